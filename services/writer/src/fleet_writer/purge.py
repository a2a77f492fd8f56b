"""Rows of tenants that keep them less long than others, whose partitions therefore stay.

Deleted by whole partitions, as the others' rows are dropped, some thousand rows a statement:
no transaction lasts long, and a round that has done enough leaves the rest to the next one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from fleet_contracts.subjects import TenantId
from fleet_writer.database import Connection
from fleet_writer.metrics import WriterMetrics
from fleet_writer.partitions import Partition, Partitions
from fleet_writer.retention import Keep, Retention

BATCH_ROWS: Final = 5_000
ROUND_BATCHES: Final = 200


class Purge:
    """Remembers up to which day each tenant's rows are gone, so that a round finds only news."""

    def __init__(
        self,
        metrics: WriterMetrics,
        *,
        batch_rows: int = BATCH_ROWS,
        round_batches: int = ROUND_BATCHES,
    ) -> None:
        self._metrics = metrics
        self._batch_rows = batch_rows
        self._round_batches = round_batches
        self._left = 0
        self._done: dict[tuple[TenantId, str], tuple[int, int]] = {}
        """By tenant and table: the days it kept, and the day up to which rows are gone."""

    async def round(
        self,
        connection: Connection,
        partitions: Partitions,
        retention: Retention,
        current_day: int,
        stop: asyncio.Event,
    ) -> bool:
        """Delete what is old; whether all of it is gone. Raises a TransientError."""
        keeping = retention.shorter()
        names = {one.tenant for one in keeping}
        self._done = {key: done for key, done in self._done.items() if key[0] in names}
        if not keeping:
            return True
        async with connection.lock:
            existing = await partitions.existing(connection, retention.longest(), current_day)
            devices = await _devices(connection, sorted(names))
        self._left = self._round_batches
        for one in keeping:
            for partition in self._due(one, existing, current_day):
                owned = devices.get(one.tenant, [])
                target = partitions.target(partition)
                if owned and not await self._empty(connection, target, partition, owned, stop):
                    return False
                days = one.days[partition.table.name]
                self._done[one.tenant, partition.table.name] = (days, partition.end_day)
        return True

    def _due(self, one: Keep, existing: Sequence[Partition], current_day: int) -> list[Partition]:
        """Partitions that lie wholly before the tenant's retention and were not looked at yet."""
        due: list[Partition] = []
        for partition in existing:
            days = one.days[partition.table.name]
            kept, until = self._done.get((one.tenant, partition.table.name), (days, 0))
            # With other days than before, older rows may have come in meanwhile.
            gone = until if kept == days else 0
            if gone < partition.end_day <= current_day - days:
                due.append(partition)
        return sorted(due, key=lambda partition: (partition.table.name, partition.first_day))

    async def _empty(
        self,
        connection: Connection,
        target: str,
        partition: Partition,
        owned: Sequence[int],
        stop: asyncio.Event,
    ) -> bool:
        """Delete these devices' rows; False when the round has done enough before the end."""
        while self._left > 0 and not stop.is_set():
            self._left -= 1
            async with connection.lock:
                deleted = await connection.execute(
                    delete_statement(target, partition), owned, self._batch_rows
                )
            self._metrics.rows_deleted.labels(partition.table.name).inc(deleted)
            if deleted < self._batch_rows:
                return True
        return False


def delete_statement(target: str, partition: Partition) -> str:
    """Delete some of the devices' rows; the first argument their ids, the second how many rows."""
    first, end = partition.bounds()
    theirs = f"device_id = ANY($1) AND slot >= '{first}' AND slot < '{end}'"
    # By place, which needs no scan of the whole; a place is one of several chunks' where
    # TimescaleDB divides the table, so whose row it is counts twice.
    return (
        f"DELETE FROM {target} WHERE ctid = ANY(ARRAY("  # noqa: S608 - our own names and days
        f"SELECT ctid FROM {target} WHERE {theirs} LIMIT $2)) AND {theirs}"
    )


async def _devices(
    connection: Connection, tenants: Sequence[TenantId]
) -> Mapping[TenantId, list[int]]:
    rows = await connection.fetch(
        "SELECT tenants.name, array_agg(devices.id) AS ids FROM devices "
        "JOIN tenants ON tenants.id = tenant_id WHERE tenants.name = ANY($1) GROUP BY 1",
        list(tenants),
    )
    return {TenantId(row["name"]): list(row["ids"]) for row in rows}
