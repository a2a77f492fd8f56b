"""The metrics-writer put together: connect, migrate, then one session after another."""

import asyncio
import logging
from typing import Final

from fleet_common.broker import close, connect, jetstream
from fleet_common.errors import ConfigurationError, FleetError
from fleet_common.raw_client import RawClient
from fleet_common.runtime import Runtime, unless_stopped
from fleet_writer.database import Database
from fleet_writer.errors import (
    DatabaseAwayError,
    DatabaseFullError,
    DatabaseReadOnlyError,
    DatabaseRefusedError,
    RefusedRowsError,
)
from fleet_writer.faults import Attempts, DatabaseFault, Isolation, RejectionWindow
from fleet_writer.maintenance import Housekeeping, run_maintenance
from fleet_writer.metrics import WriterMetrics
from fleet_writer.migrations import ChunkMode, migrate
from fleet_writer.partitions import Partitions
from fleet_writer.retention import Retention
from fleet_writer.session import Session, Surroundings
from fleet_writer.settings import WriterSettings
from fleet_writer.waiting import wait_for_stop
from fleet_writer.watch import Watch

_log = logging.getLogger(__name__)

SERVICE: Final = "writer"
_FIRST_RETRY_SECONDS: Final = 0.25
_NEEDS_SOMEBODY: Final = (DatabaseFullError, DatabaseReadOnlyError, DatabaseRefusedError)


async def run(runtime: Runtime, settings: WriterSettings, metrics: WriterMetrics) -> None:
    """Write until told to stop. See fleet_common.runtime.run_service."""
    stopping = asyncio.create_task(runtime.stop.wait())
    working = asyncio.create_task(_work(runtime, settings, metrics))
    try:
        await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
        # The sessions see the stop by themselves and finish the transaction in flight;
        # the runtime's grace period bounds this.
        await working
    finally:
        stopping.cancel()
        working.cancel()


async def _work(runtime: Runtime, settings: WriterSettings, metrics: WriterMetrics) -> None:
    database = Database(settings.database)
    stall_seconds = settings.writer.stall_seconds
    progress = runtime.health.progress("commits", stall_seconds, elsewhere=True)
    # A statement and its rollback may each take until their deadline.
    attempts = Attempts(progress, stall_seconds + 3 * settings.database.statement_timeout_seconds)
    runtime.health.register("attempts", attempts.why_unwell)
    retry = Retry(settings.database.retry_max_seconds, attempts, metrics)
    runtime.health.register("database", retry.fault.why_unwell, elsewhere=True)
    rejections = RejectionWindow(
        settings.writer.rejected_window_messages, settings.writer.rejected_limit_ratio
    )
    runtime.health.register("rejected events", rejections.why_unwell, elsewhere=True)
    progress.idle()
    client = RawClient()
    connecting = connect(settings.nats, "metrics-writer", client)
    if await unless_stopped(runtime.stop, connecting) is None:
        return
    watch = Watch(client, settings, metrics, progress, retry.succeeded, attempts.failed)
    runtime.spawn(watch.run(runtime.stop), "watch")
    try:
        retention = Retention(settings.retention)
        mode = await _migrate(database, retention, retry, runtime.stop)
        if mode is None:
            return
        partitions = Partitions(mode)
        housekeeping = Housekeeping(database, client, partitions, retention, metrics, settings)
        runtime.spawn(run_maintenance(housekeeping, runtime.stop), "maintenance")
        around = Surroundings(
            settings=settings,
            client=client,
            js=jetstream(client, settings.nats),
            partitions=partitions,
            retention=retention,
            metrics=metrics,
            tracing=runtime.tracing,
            watch=watch,
            progress=progress,
            isolation=Isolation(),
            rejections=rejections,
            database_well=retry.succeeded,
            stop=runtime.stop,
        )
        runtime.health.set_ready(ready=True)
        while not runtime.stop.is_set():
            await _session(database, around, retry)
    finally:
        await close(client)


class Retry:
    """The pauses between attempts, growing until rows go in, and the reason to show.

    A connection alone is no success: a database that is full or read-only gives one every time.
    """

    def __init__(self, longest_seconds: float, attempts: Attempts, metrics: WriterMetrics) -> None:
        self.fault = DatabaseFault()
        self._longest_seconds = longest_seconds
        self._attempts = attempts
        self._metrics = metrics
        self._pause = _FIRST_RETRY_SECONDS

    def succeeded(self) -> None:
        """The database took rows, or all of our streams' are in it."""
        self._pause = _FIRST_RETRY_SECONDS
        self.fault.reason = None
        self._metrics.database_up.set(1)

    async def failed(self, error: FleetError, stop: asyncio.Event) -> None:
        """Say so, and wait before the next attempt."""
        self._attempts.failed()
        self._metrics.sessions.labels(type(error).__name__.removesuffix("Error")).inc()
        if isinstance(error, RefusedRowsError):
            return  # Isolation has said so; the next session knows what to look for
        if isinstance(error, (DatabaseAwayError, *_NEEDS_SOMEBODY)):
            self._metrics.database_up.set(0)
        if isinstance(error, _NEEDS_SOMEBODY):
            self.fault.reason = str(error)
        _log.warning(
            "writing stopped; trying again from the stored positions",
            extra={"reason": str(error), "seconds": self._pause},
        )
        await wait_for_stop(stop, self._pause)
        self._pause = min(self._pause * 2, self._longest_seconds)


async def _migrate(
    database: Database, retention: Retention, retry: Retry, stop: asyncio.Event
) -> ChunkMode | None:
    """None when the stop came first. Raises ConfigurationError for a schema not ours."""
    while not stop.is_set():
        try:
            async with database.connection("routerfleet-writer-migrations") as connection:
                mode = await migrate(connection)
                async with connection.lock:
                    await retention.load(connection)
        except ConfigurationError:
            raise
        except FleetError as error:
            await retry.failed(error, stop)
        else:
            return mode
    return None


async def _session(database: Database, around: Surroundings, retry: Retry) -> None:
    try:
        async with database.connection("routerfleet-writer") as connection:
            around.partitions.begin(await migrate(connection))
            await Session(around, connection).run()
    except ConfigurationError:
        raise
    except FleetError as error:
        await retry.failed(error, around.stop)
