"""`routerfleet demo` as a process of its own, as people run it."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from fleet_cli.environment import inherited_environment
from fleet_cli.folder import DataFolder, Running, StartedProcess, is_process
from support.waiting import eventually

_END_SECONDS = 90.0


@dataclass
class DemoRun:
    """A running demo. `seen` are all processes it was seen to have, restarts included."""

    folder: DataFolder
    process: asyncio.subprocess.Process
    errors: Path
    seen: set[StartedProcess] = field(default_factory=set[StartedProcess])

    def progress(self) -> str:
        """What it said on standard error so far."""
        return self.errors.read_text(encoding="utf-8")

    def pid_of(self, name: str) -> int:
        """The present pid of one of its processes."""
        processes = self.note_processes()
        return next(one.pid for one in processes if one.name == name)

    def note_processes(self) -> tuple[StartedProcess, ...]:
        """What it says to run now; remembered for `left_over`."""
        processes = self.folder.started_processes()
        self.seen.update(processes)
        return processes

    def left_over(self) -> list[str]:
        """Names of its processes that still live."""
        return [one.name for one in self.seen if is_process(one.pid, one.started)]

    async def running(self) -> Running:
        """Wait until all services have been started."""

        def look() -> Running | None:
            assert self.process.returncode is None, f"it ended:\n{self.progress()}"
            return self.folder.running()

        running = await eventually(
            look, lambda found: found is not None, deadline_seconds=60, what="the demo's start"
        )
        assert running is not None
        self.note_processes()
        return running

    async def said(self, text: str, deadline_seconds: float = 40.0) -> None:
        """Wait until it has said something."""
        await eventually(
            self.progress,
            lambda found: text in found,
            deadline_seconds=deadline_seconds,
            what=f"{text!r} on standard error",
        )

    async def everybody_up(self, devices: int) -> None:
        """Wait until the status line says so."""
        await self.said(f"devices {devices}/{devices} up")

    async def interrupt(self) -> tuple[int, dict[str, Any]]:
        """Ctrl-C; then as `end`."""
        self.note_processes()
        self.process.send_signal(signal.SIGINT)
        return await self.end()

    async def end(self) -> tuple[int, dict[str, Any]]:
        """Wait for its end: exit code and the JSON summary (empty without one)."""
        async with asyncio.timeout(_END_SECONDS):
            output, _ = await self.process.communicate()
        assert self.process.returncode is not None
        text = output.decode().strip()
        summary = cast("dict[str, Any]", json.loads(text)) if text else {}
        return self.process.returncode, summary


@asynccontextmanager
async def demo(
    folder: Path, *options: str, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[DemoRun]:
    """Start `routerfleet demo` on a folder; whatever happens, nothing of it survives the block.

    `environment` is added to this process's own.
    """
    errors = _empty_file(folder)
    with errors.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            *command("demo", "--data-dir", str(folder), *options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=sink,
            env=inherited_environment() | dict(environment or {}),
        )
    run = DemoRun(DataFolder(folder), process, errors)
    try:
        yield run
    finally:
        run.note_processes()
        if process.returncode is None:
            process.kill()
            await process.wait()
        await eventually(
            run.left_over, lambda names: not names, deadline_seconds=20, what="the end of all"
        )


def _empty_file(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    errors = folder / "progress.log"
    errors.write_text("")
    return errors


def command(*words: str) -> Sequence[str]:
    """The command line of `routerfleet …` with this interpreter."""
    return (sys.executable, "-m", "fleet_cli", *words)


async def routerfleet(*words: str, deadline_seconds: float = 30.0) -> tuple[int, str, str]:
    """Run a command to its end: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *command(*words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(deadline_seconds):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()
