"""Rounds of housekeeping: partitions made ahead, old ones dropped, view settings stored."""

import asyncio
import logging

from fleet_common.errors import TransientError
from fleet_writer.database import Database
from fleet_writer.hypertables import policy_statements
from fleet_writer.metrics import WriterMetrics
from fleet_writer.migrations import ChunkMode
from fleet_writer.partitions import Partitions, partitions_ahead, retention_days, today
from fleet_writer.settings import WriterSettings
from fleet_writer.waiting import wait_for_stop

_log = logging.getLogger(__name__)


async def run_maintenance(
    database: Database,
    partitions: Partitions,
    metrics: WriterMetrics,
    settings: WriterSettings,
    stop: asyncio.Event,
) -> None:
    """A round now and every `maintenance_seconds`; a round that fails is tried again sooner."""
    writer = settings.writer
    while not stop.is_set():
        pause = writer.maintenance_seconds
        try:
            await maintain(database, partitions, metrics, settings)
        except TransientError as error:
            pause = min(pause, 30.0)
            _log.warning(
                "maintenance failed; trying again",
                extra={"reason": str(error), "seconds": pause},
            )
        await wait_for_stop(stop, pause)


async def maintain(
    database: Database, partitions: Partitions, metrics: WriterMetrics, settings: WriterSettings
) -> None:
    """One round, on a connection of its own."""
    writer = settings.writer
    retention = retention_days(settings.retention)
    async with database.connection("routerfleet-writer-maintenance") as connection:
        async with connection.lock:
            await connection.execute(
                "UPDATE rate_settings SET max_gap = make_interval(secs => $1)",
                writer.rate_gap_seconds,
            )
            if partitions.mode is ChunkMode.TIMESCALEDB:
                for statement in policy_statements(retention):
                    await connection.execute(statement)
                return
            ahead = partitions_ahead(today(), writer.partitions_ahead_days)
            made = await partitions.make(connection, ahead)
        metrics.partitions_made.inc(made)
        for partition in await partitions.drop_expired(connection, retention, today()):
            metrics.partitions_dropped.labels(partition.table.name).inc()
