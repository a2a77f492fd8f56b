"""The data folder of a local run: what is kept in it, who uses it now, what runs in it.

<folder>/kept.json       ports and secrets, chosen once and used again at each start
<folder>/running.json    the addresses of the running demo; there only while it runs
<folder>/processes.json  the processes it started: name, pid, start time
<folder>/lock            held by the runner for as long as it lives
<folder>/nats, postgres, simulator, tokens, logs
"""

import fcntl
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from fleet_common.errors import ConfigurationError

_START_TIME_TOLERANCE = 1.0
_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o711  # PostgreSQL's user has to pass, nobody needs to list


class Record(BaseModel):
    """A JSON file of the data folder."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Kept(Record):
    """What a folder keeps from run to run. Ports by process name; 0 is never kept."""

    ports: dict[str, int]
    nats_token: str
    database_password: str
    largest_budget: int = 0
    """Bytes. The broker's own limit stays there when a later run plans with less: below what
    its streams reserve it would not take them back."""


class Running(Record):
    """How to reach the demo that runs in a folder. Holds secrets: readable by its owner only."""

    runner_pid: int
    runner_started: float
    """Seconds since the epoch: tells the runner from another process with its pid."""
    page_url: str
    nats_url: str
    nats_token: str
    database_url: str
    tenants: tuple[str, ...]


class StartedProcess(Record):
    """A process the runner started.

    `started` (seconds since the epoch) tells it from another that got the same pid later.
    """

    name: str
    pid: int
    started: float


class StartedProcesses(Record):
    """processes.json."""

    processes: tuple[StartedProcess, ...] = ()


class FolderInUseError(Exception):
    """Another runner holds the folder; the message says which and where its page is."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths of one data folder; `path` is absolute."""

    path: Path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def logs(self) -> Path:
        """One file a process."""
        return self.path / "logs"

    def log(self, name: str) -> Path:
        """The log of one process."""
        return self.logs / f"{name}.log"

    def running(self) -> Running | None:
        """The running demo; None when none runs, whatever a killed one left behind."""
        try:
            running = Running.model_validate_json((self / "running.json").read_bytes())
        except (OSError, ValidationError):
            return None
        return running if is_process(running.runner_pid, running.runner_started) else None

    def write_running(self, running: Running) -> None:
        """Say where the demo can be reached."""
        write_private(self / "running.json", running.model_dump_json(indent=2))

    def forget_running(self) -> None:
        """The demo is over."""
        (self / "running.json").unlink(missing_ok=True)

    def started_processes(self) -> tuple[StartedProcess, ...]:
        """What a runner of this folder started last; empty when it ended in order."""
        try:
            text = (self / "processes.json").read_bytes()
        except FileNotFoundError:
            return ()
        try:
            return StartedProcesses.model_validate_json(text).processes
        except ValidationError as error:
            raise ConfigurationError(
                f"{self / 'processes.json'} is damaged; see that no demo of this folder runs, "
                "then delete the file"
            ) from error

    def write_started(self, processes: tuple[StartedProcess, ...]) -> None:
        """Remember what runs, for the case that this runner cannot end it itself."""
        write_private(
            self / "processes.json", StartedProcesses(processes=processes).model_dump_json()
        )


def open_folder(path: Path) -> DataFolder:
    """Create the folder where it is missing. Raises ConfigurationError saying what is wrong."""
    folder = DataFolder(path.absolute())
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.path.chmod(_PRIVATE_FOLDER)
        folder.logs.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"--data-dir {path}: {error.strerror}; name a folder that can be written to"
        ) from error
    return folder


def load_kept(folder: DataFolder) -> Kept:
    """The kept ports and secrets, or fresh ones (not yet written)."""
    file = folder / "kept.json"
    try:
        return Kept.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return Kept(
            ports={}, nats_token=secrets.token_urlsafe(24), database_password=secrets.token_hex(16)
        )
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise ConfigurationError(
            f"{file} cannot be read ({reason}); its database password is lost with it. "
            f"Delete {folder.path} to begin anew"
        ) from error


def write_kept(folder: DataFolder, kept: Kept) -> None:
    """Keep ports and secrets for the next run."""
    write_private(folder / "kept.json", kept.model_dump_json(indent=2))


class FolderLock:
    """Held while a runner uses the folder; the system gives it free when the runner dies."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock. Raises FolderInUseError when another runner has it."""
        file = (self._folder / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise FolderInUseError(self._explain()) from None
        self._file = file

    def release(self) -> None:
        """Give the folder free."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _explain(self) -> str:
        running = self._folder.running()
        if running is None:
            where = "it is starting or stopping"
        else:
            where = f"pid {running.runner_pid}, page {running.page_url}"
        return (
            f"a demo already uses {self._folder.path} ({where}); "
            "use that one, stop it with Ctrl-C, or give another --data-dir"
        )


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner only. Raises ConfigurationError."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}; make room or name another --data-dir"
        ) from error


def is_process(pid: int, started: float) -> bool:
    """Whether the process with this pid lives and began then (seconds since the epoch)."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < _START_TIME_TOLERANCE
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def free_disk_bytes(path: Path) -> int:
    """What an ordinary user can still write on the file system of `path`."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
