"""Owning streams: the session lock, the stored position, and which lineage it belongs to.

A lineage is (stream, creation time, generation). A stream that was deleted and made
anew counts from 1 again, so its former position means nothing to it; a broker that came
back with fewer messages than are stored (its disk had not taken them) will use sequence
numbers a second time, so the next generation starts from what the stream holds, and
rows that are stored already are absorbed by their keys.
"""

import logging
from dataclasses import dataclass
from typing import Final

from fleet_contracts.subjects import TenantId
from fleet_writer.database import Connection, Row
from fleet_writer.times import to_ms

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamState:
    """What the broker says of a stream."""

    name: str
    created: str
    first_sequence: int
    last_sequence: int
    messages: int
    bytes: int
    max_bytes: int
    max_age_seconds: float


@dataclass(slots=True)
class Position:
    """One lineage of an owned stream; sequences of the broker, times in nanoseconds."""

    id: int
    tenant: TenantId
    stream: str
    created: str
    stored_sequence: int
    """Committed."""
    stored_at_ns: int | None
    """When the message there was published."""
    prepared_sequence: int
    """Decoded and on its way to a commit."""
    prepared_at_ns: int | None


async def try_own(connection: Connection, stream: str) -> bool:
    """Take the stream's lock for this session, if no other session has it.

    The lock lives exactly as long as the connection that also commits the rows: a writer
    that lost the one cannot do the other. The caller holds the connection's lock.
    """
    return bool(
        await connection.fetch_value(
            "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", f"fleet_writer/{stream}"
        )
    )


async def release(connection: Connection, stream: str) -> None:
    """Give the stream up."""
    await connection.execute(
        "SELECT pg_advisory_unlock(hashtextextended($1, 0))", f"fleet_writer/{stream}"
    )


async def open_position(
    connection: Connection, tenant: TenantId, tenant_key: int, state: StreamState
) -> Position:
    """The stored position of the live stream; begins a lineage where there is none.

    A new lineage begins at sequence 0: what the stream discarded before anyone stored
    it counts as lost. The caller owns the stream and holds the connection's lock.
    """
    rows = await connection.fetch(_NEWEST, state.name)
    newest = rows[0] if rows else None
    generation = 0
    first_sequence = 1
    if newest is not None and newest["created"] == state.created:
        if newest["last_sequence"] <= state.last_sequence:
            return _position(tenant, newest)
        generation = newest["generation"] + 1
        first_sequence = max(1, state.first_sequence)
        _log.error(
            "the stream ends before the stored position: the broker lost its newest messages; "
            "reading what it has from the start, stored rows are absorbed",
            extra={
                "stream": state.name,
                "stored_sequence": newest["last_sequence"],
                "stream_last_sequence": state.last_sequence,
            },
        )
    elif newest is not None:
        _log.warning(
            "the stream was deleted and made anew; starting a new position",
            extra={
                "stream": state.name,
                "former_created": newest["created"],
                "stream_created": state.created,
                "former_stored_sequence": newest["last_sequence"],
            },
        )
    made = await connection.fetch(
        _BEGIN, tenant_key, state.name, state.created, generation, first_sequence
    )
    return _position(tenant, made[0])


def _position(tenant: TenantId, row: Row) -> Position:
    moment = row["last_message_at"]
    at_ns = None if moment is None else to_ms(moment) * 1_000_000
    return Position(
        id=row["id"],
        tenant=tenant,
        stream=row["stream"],
        created=row["created"],
        stored_sequence=row["last_sequence"],
        stored_at_ns=at_ns,
        prepared_sequence=row["last_sequence"],
        prepared_at_ns=at_ns,
    )


_NEWEST: Final = """
SELECT * FROM stream_positions WHERE stream = $1 ORDER BY id DESC LIMIT 1
"""
_BEGIN: Final = """
INSERT INTO stream_positions
    (tenant_id, stream, created, generation, first_sequence, last_sequence)
VALUES ($1, $2, $3, $4, $5::bigint, $5::bigint - 1)
RETURNING *
"""
