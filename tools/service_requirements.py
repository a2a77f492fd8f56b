"""The part of requirements.lock that some packages need, with its hashes, on standard output.

    python tools/service_requirements.py requirements.lock proto services/common services/poller
    python tools/service_requirements.py requirements.lock --packages hatchling

The lock says for each pin through whom it is needed (`# via`); following that from the
named packages gives exactly their pins, and nothing that only tests or other services use.
"""

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==")
_VIA_FOLDER = re.compile(r"\(([^():]+)/pyproject\.toml(?::[a-z]+)?\)")


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned package: its lines, the packages and the folders that need it."""

    name: str
    lines: tuple[str, ...]
    via_packages: frozenset[str]
    via_folders: frozenset[str]


def parse_lock(text: str) -> list[Pin]:
    """All pins of the lock, in its order."""
    pins: list[Pin] = []
    name, lines, via = "", list[str](), list[str]()

    def finish() -> None:
        if name:
            folders = {match[1] for entry in via if (match := _VIA_FOLDER.search(entry))}
            packages = {entry.split()[0].split("[")[0] for entry in via if "(" not in entry}
            pins.append(Pin(name, tuple(lines), frozenset(packages), frozenset(folders)))

    for line in text.splitlines():
        if match := _PIN.match(line):
            finish()
            name, lines, via = match[1], [line], []
        elif line.strip().startswith("--hash="):
            lines.append(line)
        elif line.strip().startswith("#"):
            entry = line.strip().lstrip("# ").removeprefix("via").strip()
            if entry:
                via.append(entry)
    finish()
    return pins


def needed(pins: Iterable[Pin], folders: set[str], packages: set[str]) -> list[Pin]:
    """The pins reachable from the folders' own dependencies and from the named packages."""
    pins = list(pins)
    wanted = {pin.name for pin in pins if pin.via_folders & folders or pin.name in packages}
    unknown = packages - wanted
    if unknown:
        raise SystemExit(f"not in the lock: {', '.join(sorted(unknown))}")
    while True:
        more = {pin.name for pin in pins if pin.via_packages & wanted} - wanted
        if not more:
            return [pin for pin in pins if pin.name in wanted]
        wanted |= more


def main(arguments: list[str]) -> None:
    """Print the pins."""
    if len(arguments) < 2:  # noqa: PLR2004 - the lock and at least one name
        raise SystemExit(__doc__)
    lock = Path(arguments[0])
    folders, packages = set[str](), set[str]()
    target = folders
    for argument in arguments[1:]:
        if argument == "--packages":
            target = packages
        else:
            target.add(argument.rstrip("/").removeprefix("./"))
    for pin in needed(parse_lock(lock.read_text(encoding="utf-8")), folders, packages):
        print("\n".join(pin.lines))


if __name__ == "__main__":
    main(sys.argv[1:])
