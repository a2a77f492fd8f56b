"""Keeps the services running: starts them, starts them again, ends them in order."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from fleet_cli.folder import DataFolder
from fleet_cli.log_lines import readable_end
from fleet_cli.processes import ChildProcess, ProcessSpec, bound_log, start_process
from fleet_cli.restarts import RestartHistory, RestartPolicy, Trouble, after_end
from fleet_common.errors import ConfigurationError, TransientError

_log = logging.getLogger(__name__)

_MAX_LOG_BYTES: Final = 20 * 1024 * 1024


@dataclass(slots=True)
class _Entry:
    """One supervised process."""

    spec: ProcessSpec
    child: ChildProcess
    history: RestartHistory = field(default_factory=RestartHistory)
    watcher: asyncio.Task[None] | None = None


class Supervisor:
    """All processes of a run. `on_trouble` gets lines for a person.

    Not thread-safe; lives in one event loop. After `stop_all` nothing it started runs.
    """

    def __init__(
        self,
        folder: DataFolder,
        on_trouble: Callable[[str], None],
        policy: RestartPolicy | None = None,
    ) -> None:
        self._folder = folder
        self._on_trouble = on_trouble
        self._policy = policy or RestartPolicy()
        self._entries: dict[str, _Entry] = {}

    @property
    def restarts(self) -> int:
        """How often a process had to be started again."""
        return sum(entry.history.restarts for entry in self._entries.values())

    @property
    def names(self) -> tuple[str, ...]:
        """What is supervised, in the order of its start."""
        return tuple(self._entries)

    def pid(self, name: str) -> int | None:
        """The pid; None while it is down."""
        entry = self._entries.get(name)
        return None if entry is None or entry.child.exit_code is not None else entry.child.pid

    async def start(self, spec: ProcessSpec) -> None:
        """Start a process and keep it running until it is stopped.

        Raises TransientError when the system has no process, memory or room for its log now.
        """
        if spec.name in self._entries:
            raise ValueError(f"{spec.name} is supervised already")
        try:
            child = await start_process(spec, os.getpid())
        except OSError as error:
            raise TransientError(f"{spec.name} cannot be started: {error}") from error
        entry = _Entry(spec, child)
        self._entries[spec.name] = entry
        self._write_down()
        entry.watcher = asyncio.create_task(self._keep_running(entry), name=f"watch {spec.name}")

    async def stop(self, names: Iterable[str]) -> dict[str, int]:
        """End these at the same time, each within its grace; their exit codes by name."""
        entries = [self._entries.pop(name) for name in list(names) if name in self._entries]
        for entry in entries:
            if entry.watcher is not None:
                entry.watcher.cancel()
        watchers = [entry.watcher for entry in entries if entry.watcher is not None]
        await asyncio.gather(*watchers, return_exceptions=True)
        codes = await asyncio.gather(*(entry.child.stop() for entry in entries))
        self._write_down()
        return {entry.spec.name: code for entry, code in zip(entries, codes, strict=True)}

    async def kill(self, name: str) -> None:
        """End one that hangs, without grace; like any that ended it is started again."""
        entry = self._entries.get(name)
        if entry is not None:
            await entry.child.kill()

    async def kill_all(self) -> None:
        """End everything at once, without grace."""
        entries, self._entries = list(self._entries.values()), {}
        for entry in entries:
            if entry.watcher is not None:
                entry.watcher.cancel()
        await asyncio.gather(*(entry.child.kill() for entry in entries))
        self._write_down()

    def bound_logs(self) -> None:
        """Keep the logs within their size; one that cannot be is told, and ends nothing."""
        for entry in self._entries.values():
            try:
                bound_log(entry.spec.log, _MAX_LOG_BYTES)
            except OSError as error:
                self._on_trouble(f"log {entry.spec.log} cannot be shortened: {error.strerror}")

    async def _keep_running(self, entry: _Entry) -> None:
        name = entry.spec.name
        while True:
            code = await entry.child.wait()
            ran = time.monotonic() - entry.child.started_monotonic
            verdict = after_end(self._policy, entry.history, ran, code)
            entry.history = verdict.history
            self._tell(entry, code, verdict.trouble, verdict.delay)
            await asyncio.sleep(verdict.delay)
            await self._start_again(entry)
            self._write_down()
            _log.info("restarted", extra={"process": name, "pid": entry.child.pid})

    async def _start_again(self, entry: _Entry) -> None:
        """Start it, however long the system has no process, memory or room for its log."""
        delay, told = self._policy.first_delay, False
        while True:
            # A cancel in the middle of a start would leave a process nobody knows.
            starting = asyncio.create_task(start_process(entry.spec, os.getpid()))
            try:
                entry.child = await asyncio.shield(starting)
            except asyncio.CancelledError:
                entry.child = await starting
                raise
            except OSError as error:
                if not told:
                    told = True
                    self._on_trouble(f"{entry.spec.name} cannot be started: {error}; trying again")
            else:
                return
            await asyncio.sleep(delay)
            delay = min(self._policy.longest_delay, delay * 2)

    def _tell(self, entry: _Entry, code: int, trouble: Trouble, delay: float) -> None:
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        line = f"{entry.spec.name} ended ({ended}); starting it again in {delay:g} s"
        if trouble is not Trouble.NONE:
            shown = readable_end(entry.spec.log)
            line = f"{line}; {trouble.value}. Its log ({entry.spec.log}) ends with:\n{shown}"
        self._on_trouble(line)

    def _write_down(self) -> None:
        records = tuple(entry.child.record() for entry in self._entries.values())
        try:
            self._folder.write_started(records)
        except ConfigurationError as error:
            # A full disk must not end the supervision; only the next start's tidying suffers.
            self._on_trouble(str(error))
