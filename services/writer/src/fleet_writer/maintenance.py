"""Rounds of housekeeping: partitions made ahead, old rows dropped, view settings stored."""

import asyncio
import logging
from typing import Final

from nats.aio.client import Client

from fleet_common.errors import TransientError
from fleet_common.tenants import TenantRecord, read_tenants
from fleet_contracts.subjects import TenantId
from fleet_writer.database import Connection, Database
from fleet_writer.hypertables import policy_statements
from fleet_writer.metrics import WriterMetrics
from fleet_writer.migrations import ChunkMode
from fleet_writer.partitions import Partitions, partitions_ahead, today
from fleet_writer.purge import Purge
from fleet_writer.retention import Retention
from fleet_writer.settings import WriterSettings
from fleet_writer.waiting import wait_for_stop

_log = logging.getLogger(__name__)

_FAILED_SECONDS: Final = 30.0
_MORE_SECONDS: Final = 5.0
"""Until the next round when one did not suffice."""


class Housekeeping:
    """All that a round does, with what it remembers between two."""

    def __init__(  # noqa: PLR0917 - the writer's parts, each of a type of its own
        self,
        database: Database,
        client: Client,
        partitions: Partitions,
        retention: Retention,
        metrics: WriterMetrics,
        settings: WriterSettings,
    ) -> None:
        self._database = database
        self._client = client
        self._partitions = partitions
        self._retention = retention
        self._metrics = metrics
        self._purge = Purge(metrics)
        self.settings = settings.writer

    async def round(self, stop: asyncio.Event) -> bool:
        """One round, on a connection of its own; whether nothing is left to do for now.

        Raises a TransientError when the database is away. A broker that is away is none:
        tenants' rows are kept as they were last asked for.
        """
        asked = await self._asked()
        async with self._database.connection("routerfleet-writer-maintenance") as connection:
            async with connection.lock:
                await connection.execute(
                    "UPDATE rate_settings SET max_gap = make_interval(secs => $1)",
                    self.settings.rate_gap_seconds,
                )
                await self._retention.store(connection, asked)
                await self._retention.load(connection)
            await self._divide(connection)
            return await self._purge.round(
                connection, self._partitions, self._retention, today(), stop
            )

    async def _asked(self) -> dict[TenantId, TenantRecord]:
        try:
            return await read_tenants(self._client)
        except TransientError as error:
            _log.warning(
                "tenants' own retention not read; what is stored of it holds",
                extra={"reason": str(error)},
            )
            return {}

    async def _divide(self, connection: Connection) -> None:
        """Partitions made ahead, and those dropped that are older than what anybody keeps."""
        longest = self._retention.longest()
        if self._partitions.mode is ChunkMode.TIMESCALEDB:
            async with connection.lock:
                for statement in policy_statements(longest):
                    await connection.execute(statement)
            return
        ahead = partitions_ahead(today(), self.settings.partitions_ahead_days)
        async with connection.lock:
            made = await self._partitions.make(connection, ahead)
        self._metrics.partitions_made.inc(made)
        for partition in await self._partitions.drop_expired(connection, longest, today()):
            self._metrics.partitions_dropped.labels(partition.table.name).inc()


async def run_maintenance(housekeeping: Housekeeping, stop: asyncio.Event) -> None:
    """A round now and every `maintenance_seconds`; sooner when one failed or did not suffice."""
    while not stop.is_set():
        pause = housekeeping.settings.maintenance_seconds
        try:
            if not await housekeeping.round(stop):
                pause = min(pause, _MORE_SECONDS)
        except TransientError as error:
            pause = min(pause, _FAILED_SECONDS)
            _log.warning(
                "maintenance failed; trying again",
                extra={"reason": str(error), "seconds": pause},
            )
        await wait_for_stop(stop, pause)
