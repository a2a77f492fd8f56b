"""Owning streams: the session lock, the stored position, and which lineage it belongs to.

A lineage is (stream, creation time, generation). A stream that was deleted and made
anew counts from 1 again, so its former position means nothing to it; a broker that came
back with fewer messages than are stored (its disk had not taken them) will use sequence
numbers a second time, so the next generation starts from what the stream holds, and
rows that are stored already are absorbed by their keys.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fleet_contracts.subjects import TenantId
from fleet_writer.database import Connection, Row
from fleet_writer.times import to_ns

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamState:
    """What the broker says of a stream."""

    name: str
    created: str
    first_sequence: int
    last_sequence: int


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


type PublishedAt = Callable[[int], Awaitable[datetime | None]]
"""When the message of a sequence was published, None when the stream does not hold it."""


async def uses_numbers_again(
    state: StreamState, sequence: int, at_ns: int | None, published_at: PublishedAt
) -> bool:
    """Whether the stream lost the message we have of this sequence: another gets its number.

    `at_ns` is when ours was published, None when we do not know. A message that was discarded
    or deleted tells nothing. The database keeps microseconds, so these are compared.
    """
    if sequence > state.last_sequence:
        return True
    if at_ns is None or sequence < state.first_sequence:
        return False
    held = await published_at(sequence)
    return held is not None and to_ns(held) // 1000 != at_ns // 1000


async def open_position(
    connection: Connection,
    tenant: TenantId,
    tenant_key: int,
    state: StreamState,
    published_at: PublishedAt,
) -> Position:
    """The stored position of the live stream; begins a lineage where there is none.

    A new lineage begins at sequence 0: what the stream discarded before anyone stored
    it counts as lost. The caller owns the stream and holds the connection's lock.
    Raises what `published_at` does.
    """
    rows = await connection.fetch(_NEWEST, state.name)
    newest = rows[0] if rows else None
    generation = 0
    first_sequence = 1
    if newest is not None and newest["created"] == state.created:
        position = _position(tenant, newest)
        if not await uses_numbers_again(
            state, position.stored_sequence, position.stored_at_ns, published_at
        ):
            return position
        generation = newest["generation"] + 1
        first_sequence = max(1, state.first_sequence)
        _log.error(
            "the message at the stored position is gone, or another one has its number: "
            "the broker lost its newest messages; "
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
    at_ns = None if moment is None else to_ns(moment)
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
