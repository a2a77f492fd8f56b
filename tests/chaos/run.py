"""One run: start, be struck in two phases, recover, be checked, stop, balance the accounts."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.calm import Observer
from chaos.discard import NAME as DISCARD
from chaos.discard import discard_unseen
from chaos.leaks import Held, grown, held_by_all, too_many_sessions
from chaos.options import Options
from chaos.plan import COMPONENTS, SERVERS, Disturbance, disturbances, kills, share
from chaos.site import Site
from chaos.strikes import Strikes
from chaos.watcher import Watcher
from fleet_contracts.subjects import tenant_id
from support.demo import DemoRun, demo, routerfleet
from support.waiting import eventually

_WARM_SECONDS = 5.0
_SETTLE_SECONDS = 60.0
"""The gateway's consumers of a killed process are removed by the broker after 30 s."""
_VERIFY_SECONDS = 90.0
_ENDED = re.compile(r"^.*\bended \(exit code [1-9]\d*\).*$", re.MULTILINE)


@dataclass
class Outcome:
    """What a run showed. `problems` is empty in a good one."""

    lost: int = 0
    duplicates: int = 0
    leaks: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])
    kills: Counter[str] = field(default_factory=Counter[str])
    restarts: Counter[str] = field(default_factory=Counter[str])
    disturbances: Counter[str] = field(default_factory=Counter[str])
    slowest_recovery: dict[str, float] = field(default_factory=dict[str, float])
    verified: int = 0
    """1 when `routerfleet verify` balanced."""
    events: int = 0
    sse_events: int = 0
    sse_connects: int = 0
    sse_resets: int = 0
    sse_told: int = 0
    """Events in whose place a reset came."""


class Run:
    """Run number `number` (from 0) of the options' runs."""

    def __init__(
        self, options: Options, site: Site, number: int, say: Callable[[str], None]
    ) -> None:
        self._options = options
        self._site = site
        self._number = number
        self._say = say
        self.outcome = Outcome()

    async def go(self) -> None:
        """Do all of it. What is wrong stands in the outcome.

        Raises AssertionError when processes outlive the demo.
        """
        options, outcome = self._options, self.outcome
        async with demo(
            self._site.folder.path,
            *self._site.demo_options(options.interval),
            environment=self._site.environment(),
        ) as run:
            try:
                await self._strike_and_look(run)
            except (AssertionError, TimeoutError, OSError) as error:
                outcome.problems.append(f"{type(error).__name__}: {error}")
            run.note_processes()
            code, summary = await self._end(run)
            self._balance(code, summary)
            outcome.problems += [
                line.strip()
                for line in _ENDED.findall(run.progress())
                if not line.strip().startswith(("nats", "postgres"))
            ]
        await self._sessions_end()

    async def _end(self, run: DemoRun) -> tuple[int, Mapping[str, Any]]:
        if run.process.returncode is not None:
            self.outcome.problems.append(f"the demo ended by itself:\n{run.progress()[-2000:]}")
            return run.process.returncode, {}
        try:
            return await run.interrupt()
        except TimeoutError:
            self.outcome.problems.append("the demo did not end within its time")
            return 1, {}

    async def _strike_and_look(self, run: DemoRun) -> None:
        running = await run.running()
        page = f"http://127.0.0.1:{self._site.page.port}/api/v1/events"
        watcher = Watcher(page)
        watcher.start()
        observer = Observer(self._site.folder, running, watcher)
        try:
            await run.everybody_up(self._options.devices)
            await asyncio.sleep(_WARM_SECONDS)
            await observer.calm()
            others = {"runner": run.process.pid, "simulator": self._site.simulator_pid}
            held = await held_by_all(self._site.folder, others)
            connections = await observer.connections()
            await self._phase("servers", SERVERS)
            await observer.calm()
            await self._settle(observer, held, others, connections)
            await self._phase("everything", COMPONENTS)
            await observer.calm()
            await self._discard(observer, watcher)
            ends = await observer.calm()
            await self._settle(observer, held, others, connections)
            for tenant, last in ends.items():
                events = await observer.events(tenant_id(tenant), last)
                self.outcome.lost += watcher.check.missing(tenant, events)
            await self._verify()
        finally:
            await watcher.leave()
            self._take_watcher(watcher)

    async def _verify(self) -> None:
        """The whole life of every stream balances, not this run alone."""
        folder = str(self._site.folder.path)
        code, output, errors = await routerfleet(
            "verify", "--json", "--data-dir", folder, deadline_seconds=_VERIFY_SECONDS
        )
        if code == 0:
            self.outcome.verified += 1
            return
        self.outcome.problems.append(f"verify ended with {code}: {output}{errors}")
        if output:
            self.outcome.lost += int(json.loads(output)["unaccounted"])

    async def _phase(self, phase: str, components: Sequence[str]) -> None:
        """Kills of these components, and disturbances for as long as they last."""
        options, number = self._options, self._number
        strikes = Strikes(self._site, self._site.folder, asyncio.Semaphore(options.at_once))
        total = share(options.kills, options.runs, number)
        deadline = time.monotonic() + options.limit
        plans = {
            component: kills(
                options.seed,
                number,
                phase,
                component,
                share(total, 2, phase == "everything") if component in SERVERS else total,
            )
            for component in components
        }
        disturbing = asyncio.create_task(self._disturb(strikes, phase), name="disturbances")
        try:
            async with asyncio.TaskGroup() as tasks:
                for component, planned in plans.items():
                    tasks.create_task(strikes.kill_all(component, planned, deadline))
        except* AssertionError as group:
            self.outcome.problems += [str(error) for error in group.exceptions]
        finally:
            strikes.stop.set()
            await disturbing
            self._take_strikes(strikes)
        self._say(
            f"run {number + 1}, {phase}: kills {dict(strikes.killed)}, "
            f"disturbances {dict(strikes.disturbed)}"
        )

    async def _discard(self, observer: Observer, watcher: Watcher) -> None:
        """What a client away still wants is discarded: the one strike that no replay can mend."""
        strikes = Strikes(self._site, self._site.folder, asyncio.Semaphore(1))
        try:
            deadline = time.monotonic() + self._options.limit
            await discard_unseen(strikes, observer, watcher, deadline)
        finally:
            self._take_strikes(strikes)
        told = watcher.check.told
        self._say(f"run {self._number + 1}: a client away was reset in place of {told} events")

    async def _disturb(self, strikes: Strikes, phase: str) -> None:
        every_kind = len(Disturbance)
        planned_ones = disturbances(self._options.seed, self._number, phase)
        for done, planned in enumerate(planned_ones):
            if strikes.stop.is_set() and done >= every_kind:
                return
            await strikes.disturb(planned)

    async def _settle(
        self,
        observer: Observer,
        held: Mapping[str, Held],
        others: Mapping[str, int],
        connections: Mapping[str, int],
    ) -> None:
        """Wait until nothing holds more than before; what stays is a leak."""

        async def more() -> list[str]:
            now = await observer.connections()
            lines = [
                f"{name}: {connections.get(name, 0)} before, {count} after"
                for name, count in now.items()
                if count > connections.get(name, 0)
            ]
            lines += grown(held, await held_by_all(self._site.folder, others))
            return lines + too_many_sessions(await self._site.ledger())

        await self._or_leak(more)

    async def _sessions_end(self) -> None:
        async def left() -> list[str]:
            ledger = await self._site.ledger()
            open_ones = int(ledger["totals"]["sessions"])
            return [f"{open_ones} sessions at routers after the end"] if open_ones else []

        await self._or_leak(left)

    async def _or_leak(self, read: Callable[[], Any]) -> None:
        last: list[str] = []

        async def look() -> list[str]:
            nonlocal last
            last = await read()
            return last

        try:
            await eventually(
                look,
                lambda lines: not lines,
                deadline_seconds=_SETTLE_SECONDS,
                every_seconds=0.5,
                what="nothing leaked",
            )
        except AssertionError:
            self.outcome.leaks += last

    # --- results ---------------------------------------------------------------------

    def _balance(self, code: int, summary: Mapping[str, Any]) -> None:
        outcome = self.outcome
        if not summary:
            outcome.problems.append(f"the demo ended with code {code} and no summary")
            return
        outcome.lost += int(summary["unaccounted"]) + int(summary["lost"])
        outcome.duplicates += int(summary["duplicates"])
        outcome.events = int(summary["events"])
        outcome.problems += summary["problems"]
        # Nothing was taken from this client: its place was in reach all the time.
        outcome.problems += [
            f"the demo's own client was reset without need: {gap}" for gap in summary["sse_gaps"]
        ]

    def _take_strikes(self, strikes: Strikes) -> None:
        outcome = self.outcome
        outcome.kills.update(strikes.killed)
        outcome.restarts.update(strikes.restarted)
        outcome.disturbances.update(strikes.disturbed)
        for name, seconds in strikes.slowest_recovery.items():
            outcome.slowest_recovery[name] = max(seconds, outcome.slowest_recovery.get(name, 0.0))

    def _take_watcher(self, watcher: Watcher) -> None:
        outcome, check = self.outcome, watcher.check
        outcome.duplicates += check.twice
        outcome.problems += check.problems
        outcome.sse_events = sum(len(order.seen) for order in check.tenants.values())
        outcome.sse_connects, outcome.sse_resets = watcher.connects, check.resets
        outcome.sse_told = check.told
        if check.resets > outcome.disturbances[DISCARD]:
            outcome.problems.append(f"{check.resets} resets, not all of them with need")
