"""One run of the whole system, from the first process to the last figure."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from nats.errors import Error as NatsError

from fleet_cli.closing import Closing, RunRecord
from fleet_cli.console import RunConsole
from fleet_cli.environment import RUNNER
from fleet_cli.figures import FigureReader, Figures
from fleet_cli.fleets import active_devices
from fleet_cli.folder import DataFolder
from fleet_cli.followed_fleets import FollowedFleets
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
from fleet_cli.words import counted
from fleet_common.admin import serve_admin
from fleet_common.broker import close
from fleet_common.errors import TransientError
from fleet_common.fleet_spec import RouterFleet
from fleet_common.health import Health
from fleet_common.planning import check_server_version
from fleet_common.settings import AdminSection
from fleet_common.streams.live import server_version

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
        check_server_version(server_version(foundation.client))
        warn = self._console.warn
        metrics = RunnerMetrics()
        figures = FigureReader(foundation.js, foundation.wiring.postgres.url)
        shards = Shards(foundation, self._supervisor, figures, self._options.shards, warn)
        followed = FollowedFleets(
            foundation, shards, self._options.budget_bytes, metrics, self._console
        )
        await followed.begin()
        for spec in reader_specs(foundation.folder, foundation.wiring):
            await self._supervisor.start(spec)
        await shards.reconcile(followed.fleets)
        self._announce(foundation, followed)
        sse = SseClient(f"{foundation.page_url}api/v1/events")
        postgres = PostgresWatch(self._supervisor, foundation.wiring.postgres.url, warn)
        planning = _tasks(
            {
                "re-apply": followed.reapply(self._supervisor.bound_logs),
                "stream watch": followed.watch_streams(),
            }
        )
        background = planning + _tasks(
            {
                "event stream": sse.run(),
                "metrics": self._serve_metrics(foundation, metrics),
                "shards": shards.follow(lambda: followed.fleets),
                "postgres watch": postgres.run(),
            }
        )
        if not self._options.simulated:
            background += _tasks({"fleet file": followed.follow_edits()})
        try:
            await self._watch(followed, shards, figures, background)
            self._console.end_status()
            # They publish too: the streams have to fall quiet.
            await _cancel(planning)
            closing = Closing(
                foundation, self._supervisor, figures, shards, sse, say=self._console.say
            )
            return await closing.close(self._record(followed))
        finally:
            await _cancel(background)
            await figures.close()

    def _record(self, followed: FollowedFleets) -> RunRecord:
        return RunRecord(
            fleets=followed.fleets,
            marks=followed.marks,
            begin=self._begin,
            began=self._began,
            all_known_seconds=self._all_known_seconds,
            warm=self._warm,
        )

    async def _watch(
        self,
        followed: FollowedFleets,
        shards: Shards,
        figures: FigureReader,
        background: Sequence[asyncio.Task[None]],
    ) -> None:
        """Show the status until it is time to stop."""
        moments: deque[Moment] = deque(maxlen=_RATE_READINGS)
        end: float | None = None
        while not self._stop.is_set():
            _raise_failures(background)
            reading = await figures.read(followed.tenants, shards.ports())
            self._show(followed.fleets, reading, moments)
            if (
                end is None
                and self._options.seconds is not None
                and self._complete(followed.fleets, reading)
            ):
                end = time.monotonic() + self._options.seconds
                self._console.say(f"measuring for {self._options.seconds:g} s from now")
            left = _STATUS_SECONDS if end is None else min(_STATUS_SECONDS, end - time.monotonic())
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._stop.wait()

    def _show(
        self, fleets: Sequence[RouterFleet], reading: Figures, moments: deque[Moment]
    ) -> None:
        now = time.monotonic()
        if reading.streams:
            events = sum(one.last_sequence for one in reading.streams)
            moments.append(Moment(now, reading.polls, events))
        devices = count_devices(reading, active_devices(fleets), self._began)
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

    def _complete(self, fleets: Sequence[RouterFleet], reading: Figures) -> bool:
        """Whether every device was polled once, or the wait for it is over."""
        if self._all_known_seconds is not None and reading.streams:
            return True
        longest = max((fleet.spec.cadence.interval for fleet in fleets), default=0.0)
        waited = time.monotonic() - self._begin
        if waited < max(_ALL_KNOWN_SECONDS, 3 * longest):
            return False
        self._console.warn("some devices have not been polled yet; not waiting for them any longer")
        return True

    async def _serve_metrics(self, foundation: Foundation, metrics: RunnerMetrics) -> None:
        port = foundation.wiring.admin_ports[RUNNER]
        health = Health()
        health.set_ready(ready=True)
        await serve_admin(AdminSection(host=LOOPBACK, port=port), health, metrics, self._stop)

    def _announce(self, foundation: Foundation, followed: FollowedFleets) -> None:
        followed.write_running()
        devices = counted(len(active_devices(followed.fleets)), "device")
        self._console.say(f"{devices} of {counted(len(followed.fleets), 'tenant')}")
        self._console.say(f"live page   {foundation.page_url}")
        self._console.say(f"events      curl -N {foundation.page_url}api/v1/events")
        self._console.say(f"data, logs  {self._folder.path}")


def _tasks(work: Mapping[str, Coroutine[Any, Any, None]]) -> list[asyncio.Task[None]]:
    """Started, each by its name."""
    return [asyncio.create_task(each, name=name) for name, each in work.items()]


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _raise_failures(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done():
            task.result()
