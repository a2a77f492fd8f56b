"""One run of the whole system, from the first process to the last figure."""

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import psutil
from nats.errors import Error as NatsError

from fleet_cli.account_reader import StreamMark, mark_stream
from fleet_cli.advice import ADVICE
from fleet_cli.closing import Closing, RunRecord
from fleet_cli.console import RunConsole
from fleet_cli.database import Position, read_model
from fleet_cli.environment import RUNNER
from fleet_cli.figures import FigureReader, Figures
from fleet_cli.fleets import active_devices, missing_secrets
from fleet_cli.folder import DataFolder, Running
from fleet_cli.foundation import Foundation, lay_foundation
from fleet_cli.metrics import RunnerMetrics
from fleet_cli.options import DemoOptions
from fleet_cli.ports import LOOPBACK
from fleet_cli.postgres_watch import PostgresWatch
from fleet_cli.restarts import RestartPolicy
from fleet_cli.services import reader_specs
from fleet_cli.shards import Shards
from fleet_cli.sse_client import SseClient
from fleet_cli.status import Moment, count_devices, rates, status_line
from fleet_cli.summary import Summary
from fleet_cli.supervisor import Supervisor
from fleet_common.admin import serve_admin
from fleet_common.broker import close
from fleet_common.errors import ConfigurationError, FleetError, TransientError
from fleet_common.fleet_spec import RouterFleet
from fleet_common.health import Health
from fleet_common.planning import check_server_version, single_budget
from fleet_common.settings import AdminSection
from fleet_common.streams.applier import PlanApplier
from fleet_common.streams.live import server_version
from fleet_common.streams.measure import measure_kinds
from fleet_common.streams.trims import TrimAnnouncer
from fleet_common.streams.watch import LOOK_SECONDS, StreamWatch
from fleet_contracts.subjects import TenantId

_log = logging.getLogger(__name__)

_REAPPLY_SECONDS: Final = 60.0
_STATUS_SECONDS: Final = 1.0
_RATE_READINGS: Final = 15
_ALL_KNOWN_SECONDS: Final = 60.0
"""Beyond it (and three intervals) a device that was never polled is waited for no more."""


class Demo:
    """A run. `run` returns once everything it started has ended."""

    def __init__(
        self, options: DemoOptions, folder: DataFolder, console: RunConsole, stop: asyncio.Event
    ) -> None:
        self._options = options
        self._folder = folder
        self._console = console
        self._stop = stop
        self._begin = time.monotonic()
        self._began = datetime.now(UTC)
        self._warm = (folder / "postgres").exists()
        self._supervisor = Supervisor(
            folder,
            console.warn,
            RestartPolicy(longest_delay=options.longest_restart_delay),
        )
        self._fleets: list[RouterFleet] = []
        self._marks: dict[TenantId, StreamMark] = {}
        self._all_known_seconds: float | None = None

    async def run(self) -> Summary | None:
        """Start, run until told to stop (or for the seconds asked for), stop in order.

        None when it was told to stop before the services were started. Raises
        ConfigurationError or TransientError when it cannot start; nothing it started runs
        any more then.
        """
        try:
            foundation = await lay_foundation(
                self._options, self._folder, self._supervisor, self._console.say
            )
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(close, foundation.client)
                if self._stop.is_set():
                    return None
                return await self._run_on(foundation)
        except NatsError as error:
            raise TransientError(f"the broker: {type(error).__name__}: {error}") from error
        finally:
            self._console.end_status()
            self._folder.forget_running()
            await self._supervisor.kill_all()

    # --- running ---------------------------------------------------------------------

    async def _run_on(self, foundation: Foundation) -> Summary:
        self._fleets = foundation.source.load()
        for line in missing_secrets(self._fleets, foundation.source.credentials_directory):
            self._console.warn(line)
        check_server_version(server_version(foundation.client))
        metrics = RunnerMetrics()
        announcer = TrimAnnouncer(foundation.js, metrics)
        applier = PlanApplier(
            foundation.client,
            foundation.js,
            single_budget(self._options.budget_bytes),
            metrics,
            announcer=announcer,
            advice=ADVICE,
        )
        watch = StreamWatch(foundation.js, applier, announcer, metrics)
        self._say_all((await applier.apply(self._fleets)).notes)
        figures = FigureReader(foundation.js, foundation.wiring.postgres.url)
        await self._mark(foundation, self._tenants())
        shards = Shards(
            foundation, self._supervisor, figures, self._options.shards, self._console.warn
        )
        for spec in reader_specs(foundation.folder, foundation.wiring):
            await self._supervisor.start(spec)
        await shards.reconcile(self._fleets)
        sse = SseClient(f"{foundation.page_url}api/v1/events")
        self._announce(foundation)
        planning = [
            asyncio.create_task(self._reapply(foundation, applier), name="re-apply"),
            asyncio.create_task(self._watch_streams(watch), name="stream watch"),
        ]
        background = [
            *planning,
            asyncio.create_task(sse.run(), name="event stream"),
            asyncio.create_task(self._serve_metrics(foundation, metrics), name="metrics"),
            asyncio.create_task(shards.follow(lambda: self._fleets), name="shards"),
            asyncio.create_task(
                PostgresWatch(
                    self._supervisor, foundation.wiring.postgres.url, self._console.warn
                ).run(),
                name="postgres watch",
            ),
        ]
        if not self._options.simulated:
            background.append(
                asyncio.create_task(
                    self._follow_edits(foundation, applier, shards), name="fleet file"
                )
            )
        try:
            await self._watch(shards, figures, background)
            self._console.end_status()
            # They publish too: the streams have to fall quiet.
            await _cancel(planning)
            record = RunRecord(
                fleets=self._fleets,
                marks=self._marks,
                begin=self._begin,
                began=self._began,
                all_known_seconds=self._all_known_seconds,
                warm=self._warm,
            )
            closing = Closing(
                foundation, self._supervisor, figures, shards, sse, say=self._console.say
            )
            return await closing.close(record)
        finally:
            await _cancel(background)
            await figures.close()

    async def _watch(
        self,
        shards: Shards,
        figures: FigureReader,
        background: Sequence[asyncio.Task[None]],
    ) -> None:
        """Show the status until it is time to stop."""
        moments: deque[Moment] = deque(maxlen=_RATE_READINGS)
        end: float | None = None
        while not self._stop.is_set():
            _raise_failures(background)
            reading = await figures.read(self._tenants(), shards.ports())
            self._show(reading, moments)
            if end is None and self._options.seconds is not None and self._complete(reading):
                end = time.monotonic() + self._options.seconds
                self._console.say(f"measuring for {self._options.seconds:g} s from now")
            left = _STATUS_SECONDS if end is None else min(_STATUS_SECONDS, end - time.monotonic())
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._stop.wait()

    def _show(self, reading: Figures, moments: deque[Moment]) -> None:
        now = time.monotonic()
        if reading.streams:
            events = sum(one.last_sequence for one in reading.streams)
            moments.append(Moment(now, reading.polls, events))
        devices = count_devices(reading, active_devices(self._fleets), self._began)
        if devices is not None and devices.known == devices.total:
            self._all_known_seconds = self._all_known_seconds or now - self._begin
        self._console.status(
            status_line(
                now - self._begin,
                devices,
                rates(list(moments)),
                reading,
                self._supervisor.restarts,
            )
        )

    def _complete(self, reading: Figures) -> bool:
        """Whether every device was polled once, or the wait for it is over."""
        if self._all_known_seconds is not None and reading.streams:
            return True
        longest = max((fleet.spec.cadence.interval for fleet in self._fleets), default=0.0)
        waited = time.monotonic() - self._begin
        if waited < max(_ALL_KNOWN_SECONDS, 3 * longest):
            return False
        self._console.warn("some devices have not been polled yet; not waiting for them any longer")
        return True

    # --- following the fleets --------------------------------------------------------

    async def _reapply(self, foundation: Foundation, applier: PlanApplier) -> None:
        """Each minute: measured sizes into the plan, hand-made changes undone, logs bounded."""
        while True:
            await asyncio.sleep(_REAPPLY_SECONDS)
            self._supervisor.bound_logs()
            try:
                measured = await measure_kinds(foundation.client, self._tenants())
                applied = await applier.apply(self._fleets, measured)
            except (TransientError, ConfigurationError, NatsError, TimeoutError) as error:
                self._console.warn(f"the plan could not be re-applied: {error}")
            else:
                self._say_all(applied.notes)

    async def _watch_streams(self, watch: StreamWatch) -> None:
        """Every few seconds: streams as planned, losses foretold and said."""
        trouble: str | None = None
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                notes = (await watch.look()).notes
            except (FleetError, NatsError, OSError) as error:
                now = str(error) or type(error).__name__
                if now != trouble:
                    self._console.warn(f"the streams could not be looked at: {now}")
                trouble = now
            else:
                trouble = None
                for line in notes:
                    self._console.warn(line)

    async def _serve_metrics(self, foundation: Foundation, metrics: RunnerMetrics) -> None:
        port = foundation.wiring.admin_ports[RUNNER]
        health = Health()
        health.set_ready(ready=True)
        await serve_admin(AdminSection(host=LOOPBACK, port=port), health, metrics, self._stop)

    async def _follow_edits(
        self, foundation: Foundation, applier: PlanApplier, shards: Shards
    ) -> None:
        async for edit in foundation.source.edits():
            if isinstance(edit, ConfigurationError):
                self._console.warn(f"{edit}\nwhat runs goes on as before")
                continue
            try:
                await self._take_edit(foundation, applier, shards, edit)
            except (TransientError, ConfigurationError, NatsError, TimeoutError) as error:
                self._console.warn(f"the edited fleet file could not be applied: {error}")

    async def _take_edit(
        self,
        foundation: Foundation,
        applier: PlanApplier,
        shards: Shards,
        fleets: list[RouterFleet],
    ) -> None:
        applied = await applier.apply(fleets)
        new = [fleet.tenant for fleet in fleets if fleet.tenant not in self._marks]
        await self._mark(foundation, new)
        self._fleets = fleets
        await shards.reconcile(fleets)
        self._console.say(f"fleet file read again: {len(active_devices(fleets))} devices")
        self._say_all(applied.notes)
        for line in missing_secrets(fleets, foundation.source.credentials_directory):
            self._console.warn(line)
        self._write_running(foundation)

    # --- small things ----------------------------------------------------------------

    async def _mark(self, foundation: Foundation, tenants: Sequence[TenantId]) -> None:
        """Note where the tenants' streams stand before anything of this run is in them."""
        positions: list[Position] = []
        try:
            async with read_model(foundation.wiring.postgres.url) as model:
                positions = await model.positions()
        except TransientError as error:
            # A first run: the writer has not made its tables, so nothing is stored.
            _log.info("no positions yet", extra={"reason": str(error)})
        for tenant in tenants:
            self._marks[tenant] = await mark_stream(foundation.js, positions, tenant)

    def _write_running(self, foundation: Foundation) -> None:
        wiring = foundation.wiring
        self._folder.write_running(
            Running(
                runner_pid=os.getpid(),
                runner_started=psutil.Process().create_time(),
                page_url=foundation.page_url,
                nats_url=wiring.nats.url,
                nats_token=wiring.nats.token,
                database_url=wiring.postgres.url,
                tenants=tuple(self._tenants()),
            )
        )

    def _announce(self, foundation: Foundation) -> None:
        self._write_running(foundation)
        fleets, devices = len(self._fleets), len(active_devices(self._fleets))
        self._console.say(f"{devices} devices of {fleets} tenants")
        self._console.say(f"live page   {foundation.page_url}")
        self._console.say(f"events      curl -N {foundation.page_url}api/v1/events")
        self._console.say(f"data, logs  {self._folder.path}")

    def _say_all(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._console.say(line)

    def _tenants(self) -> list[TenantId]:
        return [fleet.tenant for fleet in self._fleets]


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _raise_failures(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done():
            task.result()
