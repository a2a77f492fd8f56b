"""Child processes on a leash: how they are described, started and ended."""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from fleet_cli.folder import StartedProcess, is_process

_log = logging.getLogger(__name__)

_LEASH: Final = Path(__file__).with_name("leash.py")
_KILL_SECONDS: Final = 5.0
HAS_DEATH_SIGNAL: Final = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class Account:
    """The user a process runs as; `reach`: it may pass folders closed to that user."""

    user: str
    reach: bool


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process. `environment` is all it gets; standard output and error go to `log`.

    `stop_signal` asks it to end, `grace_seconds` is how long that may take before it is
    killed; `death_signal` is what it gets when the runner dies.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    grace_seconds: float = 12.0
    account: Account | None = None


def leash_command(spec: ProcessSpec, parent_pid: int, *, pipe: bool) -> list[str]:
    """The command line that runs the process on its leash."""
    words = [sys.executable, "-I", "-S", str(_LEASH)]
    words += ["--parent", str(parent_pid), "--signal", str(int(spec.death_signal))]
    if pipe:
        words.append("--pipe")
    if spec.account is not None:
        words += ["--user", spec.account.user]
        if spec.account.reach:
            words.append("--reach")
    return [*words, "--", *spec.command]


class ChildProcess:
    """A started process."""

    def __init__(self, spec: ProcessSpec, process: asyncio.subprocess.Process) -> None:
        self.spec = spec
        self._process = process
        self.started_monotonic = time.monotonic()
        self._started = _create_time(process.pid)

    @property
    def pid(self) -> int:
        """Its pid, the leash's own: it replaced itself by the command."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.returncode

    def record(self) -> StartedProcess:
        """What is written down for a later runner."""
        return StartedProcess(name=self.spec.name, pid=self.pid, started=self._started)

    async def wait(self) -> int:
        """Its exit code, once it ended."""
        return await self._process.wait()

    async def stop(self) -> int:
        """Ask it to end, kill it after its grace; returns its exit code."""
        self.send(self.spec.stop_signal)
        try:
            async with asyncio.timeout(self.spec.grace_seconds):
                return await self.wait()
        except TimeoutError:
            _log.warning(
                "%s did not stop in time; killing it",
                self.spec.name,
                extra={"grace_seconds": self.spec.grace_seconds, "log": str(self.spec.log)},
            )
        return await self.kill()

    async def kill(self) -> int:
        """End it at once."""
        self.send(signal.SIGKILL)
        return await self.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal unless it has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


def _create_time(pid: int) -> float:
    """Seconds since the epoch; of one that is gone already, now: no living one began then."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return time.time()


async def start_process(spec: ProcessSpec, parent_pid: int) -> ChildProcess:
    """Start it in a session of its own: a Ctrl-C at the terminal reaches the runner alone.

    Call from the main thread: on Linux a leash follows the thread that made it.
    """
    pipe = not HAS_DEATH_SIGNAL
    with spec.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *leash_command(spec, parent_pid, pipe=pipe),
            stdin=asyncio.subprocess.PIPE if pipe else asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(spec.environment),
            start_new_session=True,
        )
    return ChildProcess(spec, process)


def end_left_over(processes: tuple[StartedProcess, ...]) -> list[StartedProcess]:
    """End what a killed runner left behind and return it; nobody else's process is touched.

    A pid counts only when the process started when ours did. Blocks for a few seconds
    at most.
    """
    mine: list[tuple[StartedProcess, psutil.Process]] = []
    for entry in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if is_process(entry.pid, entry.started):
                mine.append((entry, psutil.Process(entry.pid)))
    for _, process in mine:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs([process for _, process in mine], timeout=_KILL_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_KILL_SECONDS)
    return [entry for entry, _ in mine]


def bound_log(log: Path, max_bytes: int) -> bool:
    """Keep a log from growing for ever: its newer half moves to `<name>.1`, then it is emptied.

    Its writer appends, so it goes on at the beginning. True when something was moved.
    """
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return False
    if size <= max_bytes:
        return False
    with log.open("r+b") as file:
        file.seek(size - max_bytes // 2)
        log.with_suffix(".log.1").write_bytes(file.read())
        file.truncate(0)
    return True
