"""Strikes the processes of one demo. Only what its own processes.json records gets a signal."""

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import psutil

from chaos.disk import Disk
from chaos.plan import Disturb, Disturbance, Kill
from chaos.proxy import Link
from chaos.site import Site
from fleet_cli.folder import DataFolder, StartedProcess, is_process, load_kept
from fleet_cli.nats_process import NAME as NATS
from fleet_cli.postgres_process import NAME as POSTGRES
from support.waiting import eventually

_RECOVERY_SECONDS = 60.0
_TRIES = 50
_TRY_SECONDS = 0.1
_PAUSABLE = ("poller", "writer", "gateway", "firmware", NATS, POSTGRES)


def choose[ItemT](items: Sequence[ItemT], choice: float) -> ItemT:
    """The item that a number in 0..1 names."""
    return items[min(len(items) - 1, int(choice * len(items)))]


@dataclass
class Strikes:
    """Counts what it did. `at_once`: components that may be down at the same time."""

    site: Site
    folder: DataFolder
    at_once: asyncio.Semaphore
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    killed: Counter[str] = field(default_factory=Counter[str])
    restarted: Counter[str] = field(default_factory=Counter[str])
    disturbed: Counter[str] = field(default_factory=Counter[str])
    slowest_recovery: dict[str, float] = field(default_factory=dict[str, float])

    # --- kills -----------------------------------------------------------------------

    async def kill_all(self, component: str, planned: Sequence[Kill], deadline: float) -> None:
        """One component's kills, one after the other, until `deadline` (monotonic)."""
        for kill in planned:
            await asyncio.sleep(kill.gap)
            async with self.at_once:
                if time.monotonic() > deadline:
                    return
                await self._kill(component, kill)

    async def _kill(self, component: str, kill: Kill) -> None:
        process = await self._find(component, kill.choice)
        if component == "postgres-backend":
            await self._kill_backend(process, kill)
            return
        number = signal.SIGTERM if kill.gracefully else signal.SIGKILL
        if kill.gracefully and component == POSTGRES:
            number = signal.SIGINT
        began = time.monotonic()
        if not _signal(process, number):
            return
        (self.restarted if kill.gracefully else self.killed)[component] += 1
        await self._came_back(process)
        seconds = time.monotonic() - began
        slowest = self.slowest_recovery.get(component, 0.0)
        self.slowest_recovery[component] = round(max(slowest, seconds), 1)

    async def _kill_backend(self, postgres: StartedProcess, kill: Kill) -> None:
        """One of the server's children: it then ends the others and recovers by itself."""

        def kill_one() -> bool:
            with contextlib.suppress(psutil.NoSuchProcess):
                if is_process(postgres.pid, postgres.started):
                    children = psutil.Process(postgres.pid).children()
                    if children:
                        child = choose(children, kill.choice)
                        child.terminate() if kill.gracefully else child.kill()
                        return True
            return False

        # Another strike may have taken the server meanwhile: then this one comes too late.
        for _ in range(_TRIES):
            if kill_one():
                (self.restarted if kill.gracefully else self.killed)["postgres-backend"] += 1
                break
            await asyncio.sleep(_TRY_SECONDS)
            postgres = await self._find(POSTGRES, kill.choice)
        await self._answers(POSTGRES)

    async def _find(self, component: str, choice: float) -> StartedProcess:
        """A living process of a component."""
        name = POSTGRES if component == "postgres-backend" else component

        def living() -> list[StartedProcess]:
            return [
                one
                for one in self.folder.started_processes()
                if (one.name == name or one.name.startswith(f"{name}-"))
                and is_process(one.pid, one.started)
            ]

        found = await eventually(
            living, bool, deadline_seconds=_RECOVERY_SECONDS, what=f"a running {component}"
        )
        return choose(found, choice)

    async def _came_back(self, old: StartedProcess) -> None:
        """Wait until another process of the name runs and answers."""
        await eventually(
            lambda: [
                one
                for one in self.folder.started_processes()
                if one.name == old.name and one.pid != old.pid
            ],
            bool,
            deadline_seconds=_RECOVERY_SECONDS,
            every_seconds=0.05,
            what=f"the restart of {old.name}",
        )
        await self._answers(old.name)

    async def _answers(self, name: str) -> None:
        async def look() -> bool:
            if name in {NATS, POSTGRES}:
                link = self.site.nats if name == NATS else self.site.database
                return await _accepts(link.target)
            return await _serves(load_kept(self.folder).ports[name])

        await eventually(
            look,
            bool,
            deadline_seconds=_RECOVERY_SECONDS,
            every_seconds=0.05,
            what=f"an answer of {name} after its restart",
        )

    # --- disturbances ----------------------------------------------------------------

    async def disturb(self, planned: Disturb) -> None:
        """Do it and take it back."""
        await asyncio.sleep(planned.gap)
        if planned.what is Disturbance.PAUSE:
            await self._pause(planned)
        elif planned.what is Disturbance.FULL_DISK:
            if not isinstance(self.site.disk, Disk):
                return
            await self.site.disk.full(planned.seconds)
        else:
            await _disturb_link(self._link(planned.choice), planned)
        self.disturbed[planned.what.value] += 1

    def _link(self, choice: float) -> Link:
        """Each of NATS, database, page and routers as often."""
        group = choose(
            ((self.site.nats,), (self.site.database,), (self.site.page,), self.site.routers), choice
        )
        return choose(group, choice * 4 % 1)

    async def _pause(self, planned: Disturb) -> None:
        name = choose(_PAUSABLE, planned.choice)
        process = await self._find(name, planned.choice * len(_PAUSABLE) % 1)
        stopped: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            main = psutil.Process(process.pid)
            stopped = [main, *main.children()]
        for one in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.suspend()
        try:
            await asyncio.sleep(planned.seconds)
        finally:
            for one in stopped:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.resume()


async def _disturb_link(link: Link, planned: Disturb) -> None:
    match planned.what:
        case Disturbance.TEAR:
            link.tear()
        case Disturbance.HOLD:
            link.hold()
            await asyncio.sleep(planned.seconds)
            link.release()
        case Disturbance.DELAY:
            link.delay = planned.choice * 0.3
            await asyncio.sleep(planned.seconds)
            link.delay = 0.0
        case _:
            link.cut()


def _signal(process: StartedProcess, number: signal.Signals) -> bool:
    """Signal it if it is still the process that was recorded."""
    if not is_process(process.pid, process.started):
        return False
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _serves(port: int) -> bool:
    """Whether a service's admin endpoint answers, well or not."""
    try:
        async with httpx.AsyncClient(timeout=2.0) as client:
            await client.get(f"http://127.0.0.1:{port}/healthz")
    except httpx.HTTPError:
        return False
    return True
