"""One run of a soak, from the first process to the last figure."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

from fleet_cli.console import RunConsole
from fleet_cli.database import read_model
from fleet_cli.environment import GATEWAY, WRITER
from fleet_cli.soak.closing import close_accounts
from fleet_cli.soak.crew import Crew, make_crew
from fleet_cli.soak.model import Moment, Sample, SoakRun, SseTally
from fleet_cli.soak.observe import Observer, follow, probe_new_stream
from fleet_cli.soak.options import INTERVAL_SECONDS, Mode, SoakOptions
from fleet_cli.soak.plans import Streams, fleets_of
from fleet_cli.soak.report import RunTable
from fleet_cli.soak.slots import VirtualClock
from fleet_cli.soak.stage import SimulatorStage, Stage, open_stage
from fleet_cli.soak.waiting import until
from fleet_common.errors import TransientError
from fleet_common.units import format_size
from fleet_contracts.subjects import Kind, TenantId

_MINUTE_MS: Final = 60_000
_TICK_MS: Final = 5_000
_LAG_MINUTES: Final = 20
"""The virtual clock waits while the writer is further behind: an hour of ours is seconds, and
a writer that cannot do thirty days in an hour is no finding."""
_WAIT_SECONDS: Final = 120.0
_SAMPLES: Final = 144
_REPLAN_HOURS: Final = 1.0
_METRICS: Final = {
    WRITER: (
        "fleet_writer_lag_messages",
        "fleet_writer_lost_messages_total",
        "fleet_writer_until_loss_seconds",
    ),
    GATEWAY: ("fleet_gateway_clients",),
}


class Soak:
    """A run of one mode. `run` returns once everything it started has ended."""

    def __init__(
        self, options: SoakOptions, mode: Mode, console: RunConsole, table: RunTable
    ) -> None:
        self._options = options
        self._mode = mode
        self._console = console
        self._table = table
        self._begin = time.monotonic()
        # Whole seconds: the simulator's --start has no finer ones. It ends now.
        seconds = int(time.time() - options.hours * 3600) // 60 * 60
        self._clock = VirtualClock(seconds * 1000)
        self._end_ms = self._clock.start_ms + round(options.hours * 3_600_000)
        self._run = SoakRun(
            mode, options.hours, min(options.wire_hours, options.hours), options.limit_bytes
        )

    async def run(self) -> SoakRun:
        """Raises ConfigurationError or TransientError when something cannot go on."""
        folder = tempfile.TemporaryDirectory(prefix="routerfleet-soak-", ignore_cleanup_errors=True)
        with folder as name:
            async with open_stage(Path(name), self._options.limit_bytes, self._console) as stage:
                await self._run_on(stage)
                self._run.restarts = stage.supervisor.restarts
        self._run.seconds = time.monotonic() - self._begin
        return self._run

    async def _run_on(self, stage: Stage) -> None:
        crew = await make_crew(self._options, self._mode, stage, self._clock)
        fleets = fleets_of(self._mode, self._options, crew.routers)
        streams = Streams(stage.client, stage.js, fleets, self._options.limit_bytes)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(crew.stop)
            if self._mode is Mode.PLANNED:
                await streams.apply(await streams.plan(measured=False, stored={}), {})
            else:
                await streams.declare_naive()
            await stage.start_readers()
            model = await stack.enter_async_context(read_model(stage.wiring.postgres.url))
            observer = Observer(stage, model, crew.tenants)
            tally = SseTally(round(INTERVAL_SECONDS * 1000))
            events = follow(stage.events_url, Kind.STATUS, tally)
            following = asyncio.create_task(events.run(), name="event stream")
            stack.push_async_callback(_cancel, following)
            if not await until(lambda: tally.connects > 0, _WAIT_SECONDS):
                raise TransientError(f"no event stream within {_WAIT_SECONDS:g} s")
            crew.start()
            await self._day(stage, crew, streams, observer, tally)
            await crew.settle(_WAIT_SECONDS, healed=self._run.healed_hour is not None)
            await close_accounts(self._run, crew, observer, model, tally, self._clock.start_ms)
            self._run.services["end"] = await self._services(observer, stage, crew)
            self._run.polls = dict(crew.polls)
            self._run.failed_polls = crew.failed_polls

    # --- the day ---------------------------------------------------------------------

    async def _day(
        self, stage: Stage, crew: Crew, streams: Streams, observer: Observer, tally: SseTally
    ) -> None:
        wire_end = self._clock.start_ms + round(self._run.wire_hours * 3_600_000)
        simulator: SimulatorStage | None = None
        if self._run.wire_hours:
            simulator = await stage.start_simulator(self._options, self._clock.start_ms)
            await crew.use_wire(simulator)
        every = self._options.hours / _SAMPLES
        next_sample, next_plan = 0.0, _REPLAN_HOURS
        while self._clock.now_ms() < self._end_ms:
            if simulator is not None and self._clock.now_ms() >= wire_end:
                await crew.use_links()
                await simulator.stop()
                simulator = None
                self._note("from here on the same polls without TCP and login")
            await self._minute(crew, simulator)
            await self._watch_refusals(stage, crew, observer)
            if self._clock.hours >= next_plan:
                next_plan += _REPLAN_HOURS
                await self._replan(streams, observer)
            if self._heal_is_due():
                await self._heal(streams, observer)
                await crew.settle(_WAIT_SECONDS, healed=True)
            await self._wait_for_writer(crew, observer)
            if self._clock.hours >= next_sample:
                next_sample = self._clock.hours + every
                await self._sample(crew, observer, tally, "direct" if simulator is None else "wire")
        if simulator is not None:
            await crew.use_links()
            await simulator.stop()

    async def _minute(self, crew: Crew, simulator: SimulatorStage | None) -> None:
        """Every device's slot within the next virtual minute."""
        begin = self._clock.now_ms()
        end = min(begin + _MINUTE_MS, self._end_ms)
        if simulator is None:
            await crew.poll_slots(begin, end)
        else:
            # The routers' clock goes on in steps; slots of a step are read at its end.
            for tick in range(begin, end, _TICK_MS):
                until = min(tick + _TICK_MS, end)
                await simulator.advance((until - tick) / 1000)
                await crew.poll_slots(tick, until, at_once=8)
        self._clock.move_to(end)
        await crew.settle(_WAIT_SECONDS, healed=False)

    async def _watch_refusals(self, stage: Stage, crew: Crew, observer: Observer) -> None:
        if self._run.full_hour is not None or not crew.refused:
            return
        self._run.full_hour = self._clock.hours
        probe = await probe_new_stream(stage)
        self._note(f"the broker refuses events; a new stream, too: {probe}")
        said = await self._services(observer, stage, crew)
        self._run.services["refused"] = said | {"probe": probe}
        for name, text in said.items():
            self._console.say(f"    {name}: {text}")

    async def _services(self, observer: Observer, stage: Stage, crew: Crew) -> dict[str, str]:
        said = await observer.services(_METRICS)
        for tenant, position in (await observer.positions()).items():
            info = (await observer.streams())[tenant]
            behind = info.last_sequence - position.last_sequence
            said[f"writer position {tenant}"] = (
                f"{position.last_sequence}, {behind} behind the stream, {position.events_lost} lost"
            )
        for tenant, text in crew.describe().items():
            said[f"poller {tenant}"] = text
        account = await stage.js.account_info()
        said["broker"] = f"memory {format_size(account.memory)} of JetStream"
        return said

    # --- plans -----------------------------------------------------------------------

    async def _replan(self, streams: Streams, observer: Observer) -> None:
        """As the local runner does each minute: measured sizes into the plan."""
        if self._mode is Mode.NAIVE or (self._mode is Mode.HEAL and self._run.healed_hour is None):
            return
        stored = await self._stored(observer)
        plans = await streams.plan(measured=True, stored=stored)
        trims = await streams.apply(plans, stored)
        for trim in trims:
            self._note(
                f"{trim.tenant}: measured sizes make it {format_size(trim.max_bytes)}, "
                f"window {trim.window_hours:.1f} h"
            )
        self._run.trims += trims

    def _heal_is_due(self) -> bool:
        full = self._run.full_hour
        return (
            self._mode is Mode.HEAL
            and full is not None
            and self._run.healed_hour is None
            and self._clock.hours >= full + self._options.heal_after_hours
        )

    async def _heal(self, streams: Streams, observer: Observer) -> None:
        stored = await self._stored(observer)
        plans = await streams.plan(measured=True, stored=stored)
        self._run.trims = await streams.apply(plans, stored)
        self._run.healed_hour = self._clock.hours
        for trim in self._run.trims:
            self._note(
                f"plan applied to {trim.tenant}: {format_size(trim.bytes_before)} → "
                f"{format_size(trim.bytes_after)} in {trim.milliseconds:.0f} ms, "
                f"{trim.dropped_messages} messages dropped, {trim.unstored} of them not stored"
            )

    async def _stored(self, observer: Observer) -> Mapping[TenantId, int]:
        positions = await observer.positions()
        return {tenant: one.last_sequence for tenant, one in positions.items()}

    # --- readings --------------------------------------------------------------------

    async def _wait_for_writer(self, crew: Crew, observer: Observer) -> None:
        """Until it is at most so many virtual minutes behind what was published."""
        allowed = _LAG_MINUTES * max(1, crew.events_a_minute)
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            positions = await observer.positions()
            stored = sum(one.last_sequence for one in positions.values())
            behind = crew.acknowledged - stored
            if behind <= allowed:
                return
            if time.monotonic() > deadline:
                raise TransientError(
                    f"the metrics-writer is {behind} events behind and did not catch up to "
                    f"{allowed} within {_WAIT_SECONDS:g} s"
                )
            await asyncio.sleep(0.05)

    async def _sample(self, crew: Crew, observer: Observer, tally: SseTally, source: str) -> None:
        readings = (await observer.streams()).values()
        positions = (await observer.positions()).values()
        newest = await observer.newest_slots()
        now_ms = self._clock.now_ms()
        firsts = [one.first_slot_ms for one in readings if one.first_slot_ms is not None]
        oldest_newest = min((slot.timestamp() for slot in newest.values()), default=None)
        limits = [one.max_bytes for one in readings]
        last = sum(one.last_sequence for one in readings)
        stored = sum(one.last_sequence for one in positions)
        sample = Sample(
            hour=round(self._clock.hours, 3),
            source=source,
            stream_bytes=sum(one.bytes for one in readings),
            max_bytes=None if None in limits else sum(cast("list[int]", limits)),
            messages=sum(one.messages for one in readings),
            server_rss_bytes=observer.server_rss(),
            window_hours=round((now_ms - max(firsts, default=now_ms)) / 3_600_000, 3),
            age_hours=round(
                self._clock.hours
                if oldest_newest is None
                else max(0.0, self._clock.seconds() - oldest_newest) / 3600,
                3,
            ),
            unstored=max(0, last - stored),
            waiting=crew.waiting,
            dropped=crew.dropped,
            made=crew.made,
            stored=stored,
            sse_events=tally.events,
        )
        self._run.samples.append(sample)
        self._table.row(sample)

    def _note(self, what: str) -> None:
        self._run.moments.append(Moment(round(self._clock.hours, 3), what))
        self._console.say(f"  hour {self._clock.hours:6.2f}  {what}")


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
