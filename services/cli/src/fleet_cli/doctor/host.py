"""Checks of this machine: Python, packages, servers' programs, ports, disk, browser."""

import os
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from fleet_cli.doctor.result import Result, fail, ok, warn
from fleet_cli.folder import DataFolder, free_disk_bytes, load_kept
from fleet_cli.nats_process import server_binary
from fleet_cli.ports import is_free
from fleet_cli.postgres_process import account_for, binaries
from fleet_common.errors import ConfigurationError
from fleet_common.units import format_size

OLDEST_PYTHON: Final = (3, 12)
PACKAGES: Final = (
    "fleet-cli",
    "fleet-common",
    "fleet-contracts",
    "fleet-poller",
    "fleet-writer",
    "fleet-firmware",
    "fleet-gateway",
    "fleet-simulator",
    "nats-py",
    "asyncpg",
    "librouteros",
)
DISK_FAIL_BYTES: Final = 512 * 1024**2
DISK_WARN_BYTES: Final = 2 * 1024**3
_SETUP: Final = "run `make setup`"
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def check_python(version: tuple[int, int, int] = sys.version_info[:3]) -> Result:
    """The interpreter is new enough."""
    text = ".".join(map(str, version))
    if version[:2] < OLDEST_PYTHON:
        return fail("python", text, "use Python 3.12 or later: `make setup` picks one")
    return ok("python", text)


def check_packages(names: Sequence[str] = PACKAGES) -> Result:
    """Everything the demo runs is installed."""
    found: list[str] = []
    missing: list[str] = []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return fail("packages", f"not installed: {', '.join(missing)}", _SETUP)
    return ok("packages", ", ".join(found))


def check_servers() -> Result:
    """The programs of NATS and PostgreSQL are there and may be run."""
    try:
        programs = [server_binary(), binaries() / "postgres", binaries() / "initdb"]
    except ConfigurationError as error:
        return fail("servers", str(error), _SETUP)
    unusable = [str(path) for path in programs if not os.access(path, os.X_OK)]
    if unusable:
        return fail("servers", f"cannot be run: {', '.join(unusable)}", _SETUP)
    return ok("servers", "nats-server and PostgreSQL are installed with the packages")


def check_data_dir(path: Path) -> Result:
    """The data folder can be made and written, and PostgreSQL's user gets to it."""
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return fail(
            "data folder", f"{existing} cannot be written", "name another one with --data-dir"
        )
    try:
        account = account_for(existing)
    except ConfigurationError as error:
        return fail("data folder", str(error), "run as an ordinary user")
    who = "" if account is None else f"; PostgreSQL runs as {account.user}, not as root"
    return ok("data folder", f"{path.absolute()} can be used{who}")


def check_disk(path: Path) -> Result:
    """There is room for streams, tables and logs."""
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    return judge_disk(free_disk_bytes(existing), str(existing))


def judge_disk(free_bytes: int, place: str) -> Result:
    """A demo needs about 300 MB at the start; its tables grow by about 1 GB a day."""
    seen = f"{format_size(free_bytes)} free at {place}"
    if free_bytes < DISK_FAIL_BYTES:
        return fail("disk", seen, f"free at least {format_size(DISK_FAIL_BYTES)}, or --data-dir")
    if free_bytes < DISK_WARN_BYTES:
        return warn("disk", seen, "enough for a short run; a demo of some days needs more")
    return ok("disk", seen)


def check_ports(path: Path) -> Result:
    """The ports of the last run are free, or its demo is running."""
    folder = DataFolder(path.absolute())
    running = folder.running()
    if running is not None:
        return ok("ports", f"in use by the running demo (page {running.page_url})")
    try:
        ports = load_kept(folder).ports
    except ConfigurationError as error:
        return fail("ports", str(error), "delete the data folder")
    taken = {name: port for name, port in ports.items() if not is_free(port)}
    if taken:
        shown = ", ".join(f"{port} ({name})" for name, port in taken.items())
        return warn(
            "ports", f"taken by others: {shown}", "the next demo finds other ports by itself"
        )
    kept = f"{len(ports)} kept ports are free" if ports else "none kept yet; free ones are found"
    return ok("ports", kept)


def check_browser(playwright: Path | None = None) -> Result:
    """A Chromium, which only the page's tests need."""
    for name in _BROWSERS:
        found = shutil.which(name)
        if found is not None:
            return ok("browser", found)
    cache = playwright or Path.home() / ".cache" / "ms-playwright"
    installed = sorted(cache.glob("chromium-*")) if cache.is_dir() else []
    if installed:
        return ok("browser", str(installed[-1]))
    return warn(
        "browser",
        "no Chromium found",
        "only the tests of the page need one: `playwright install chromium`, or your "
        "distribution's chromium package",
    )
