"""One batch, one transaction: rows, read model, losses, rejections, and the positions.

Rows go in with COPY. When a key is taken (events published twice, beyond the broker's
de-duplication), the batch is stored again through staging tables that absorb what is
there already, and so are the next batches until one absorbs nothing.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fleet_contracts.subjects import TenantId
from fleet_writer.batch import Batch, StreamPart
from fleet_writer.database import Connection
from fleet_writer.errors import DuplicateRowsError, OwnershipLostError
from fleet_writer.packed import PackedRows
from fleet_writer.partitions import Partition, Partitions
from fleet_writer.read_model import store_devices
from fleet_writer.rows import Rows, rows_by_device
from fleet_writer.times import wire_ns, wire_ns_or_none
from fleet_writer.trims import ADD_TRIM, trim_values


@dataclass(slots=True)
class Committed:
    """What a commit did."""

    seconds: float = 0.0
    rows_by_table: Counter[str] = field(default_factory=Counter[str])
    duplicates_by_table: Counter[str] = field(default_factory=Counter[str])
    duplicates_by_tenant: Counter[TenantId] = field(default_factory=Counter[TenantId])
    staged: bool = False


class Store:
    """Commits batches on the connection that owns their streams."""

    def __init__(
        self,
        connection: Connection,
        partitions: Partitions,
        tenant_of: Mapping[int, TenantId],
        *,
        rejected_payload_bytes: int,
    ) -> None:
        self._connection = connection
        self._partitions = partitions
        self._tenant_of = tenant_of
        self._payload_bytes = rejected_payload_bytes
        self._staging = False

    async def commit(self, batch: Batch) -> Committed:
        """Store a batch; afterwards its positions are stored positions.

        Raises OwnershipLostError, RefusedRowsError (some value fits no column) or a
        TransientError; nothing is stored then, and the session is over.
        """
        started = time.perf_counter()
        async with self._connection.lock:
            rows = batch.by_partition()
            await self._partitions.make(self._connection, rows)
            try:
                committed = await self._transaction(batch, rows, staging=self._staging)
            except DuplicateRowsError:
                committed = await self._transaction(batch, rows, staging=True)
        self._staging = committed.staged and committed.duplicates_by_table.total() > 0
        for part in batch.parts.values():
            part.position.stored_sequence = part.to_sequence
            part.position.stored_at_ns = part.last_ns
        committed.seconds = time.perf_counter() - started
        return committed

    async def _transaction(
        self, batch: Batch, rows: Mapping[Partition, Rows], *, staging: bool
    ) -> Committed:
        committed = Committed(staged=staging)
        connection = self._connection
        async with connection.transaction():
            for partition, records in rows.items():
                committed.rows_by_table[partition.table.name] += len(records)
                if staging:
                    await self._through_staging(partition, records, committed)
                else:
                    target = self._partitions.target(partition)
                    await self._copy(target, partition.table.columns, records)
            await store_devices(connection, batch.devices)
            for part in batch.parts.values():
                await self._store_part(part, committed)
        return committed

    async def _copy(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        if isinstance(rows, PackedRows):
            await self._connection.copy_packed(table, columns, rows.stream())
        else:
            await self._connection.copy_rows(table, columns, rows)

    async def _through_staging(
        self, partition: Partition, records: Rows, committed: Committed
    ) -> None:
        table = partition.table
        columns = ", ".join(table.columns)
        staging = f"staging_{partition.name}"
        await self._connection.execute(
            f"CREATE TEMPORARY TABLE {staging} (LIKE {table.name}) ON COMMIT DROP"
        )
        await self._copy(staging, table.columns, records)
        inserted = await self._connection.fetch(
            f"WITH made AS (INSERT INTO {self._partitions.target(partition)} ({columns}) "  # noqa: S608 - our own names
            f"SELECT {columns} FROM {staging} ON CONFLICT DO NOTHING RETURNING device_id) "
            "SELECT device_id, count(*) AS made FROM made GROUP BY device_id"
        )
        absorbed = rows_by_device(records)
        for row in inserted:
            absorbed[row["device_id"]] -= row["made"]
        for device_id, count in absorbed.items():
            if count:
                committed.duplicates_by_table[table.name] += count
                committed.duplicates_by_tenant[self._tenant_of[device_id]] += count
                committed.rows_by_table[table.name] -= count

    async def _store_part(self, part: StreamPart, committed: Committed) -> None:
        position = part.position
        duplicates = committed.duplicates_by_tenant[position.tenant]
        rows, expired = part.rows.counts()
        moved = await self._connection.execute(
            _MOVE_POSITION,
            position.id,
            part.from_sequence,
            part.to_sequence,
            wire_ns_or_none(part.last_ns),
            part.events,
            len(part.rejected),
            sum(lost.messages for lost in part.lost),
            rows - duplicates,
            duplicates,
            expired,
        )
        if moved != 1:
            raise OwnershipLostError(
                f"{position.stream}: the stored position is no longer {part.from_sequence}; "
                "another writer stored beyond it"
            )
        for lost in part.lost:
            await self._connection.execute(
                _ADD_LOST,
                position.id,
                lost.from_sequence,
                lost.to_sequence,
                wire_ns_or_none(lost.after_ns),
                wire_ns_or_none(lost.before_ns),
                lost.reason,
            )
        for event in part.trims:
            await self._connection.execute(ADD_TRIM, position.id, *trim_values(event))
        for rejected in part.rejected:
            message = rejected.message
            await self._connection.execute(
                _ADD_REJECTED,
                position.id,
                message.sequence,
                wire_ns(message.published_ns),
                _storable(message.subject),
                _storable(rejected.reason),
                message.payload[: self._payload_bytes],
                len(message.payload),
            )


def _storable(text: str) -> str:
    """PostgreSQL's text holds every character but NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


_MOVE_POSITION: Final = """
UPDATE stream_positions SET
    last_sequence = $3, last_message_at = $4,
    events_stored = events_stored + $5, events_rejected = events_rejected + $6,
    events_lost = events_lost + $7, rows_stored = rows_stored + $8,
    rows_duplicate = rows_duplicate + $9, rows_expired = rows_expired + $10,
    updated_at = now()
WHERE id = $1 AND last_sequence = $2
"""
_ADD_LOST: Final = """
INSERT INTO lost_ranges (position_id, from_sequence, to_sequence, after, before, reason)
VALUES ($1, $2, $3, $4, $5, $6)
"""
_ADD_REJECTED: Final = """
INSERT INTO rejected_events
    (position_id, sequence, published_at, subject, reason, payload, payload_bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
