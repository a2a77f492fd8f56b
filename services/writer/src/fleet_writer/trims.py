"""Trims: what a stream dropped, as its owner announced it on the stream itself."""

from typing import Final

from fleet_contracts.gen.fleet.v1.events_pb2 import TRIM_CAUSE_SHRUNK, Event
from fleet_writer.times import from_ms, wire_moment, wire_ms

ADD_TRIM: Final = """
INSERT INTO stream_trims
    (position_id, slot, cause, from_sequence, to_sequence, dropped_messages, dropped_bytes,
     unstored_messages, first_published_at, last_published_at, max_bytes_before, max_bytes,
     window_seconds)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT DO NOTHING
"""
_MOST: Final = 2**63 - 1


def trim_values(event: Event) -> tuple[object, ...]:
    """The parameters of ADD_TRIM behind the position's id."""
    trim = event.trim
    return (
        wire_ms(event.slot_unix_ms),
        "shrunk" if trim.cause == TRIM_CAUSE_SHRUNK else "discarded_unstored",
        *(
            min(value, _MOST)
            for value in (
                trim.from_sequence,
                trim.to_sequence,
                trim.dropped_messages,
                trim.dropped_bytes,
                trim.unstored_messages,
            )
        ),
        wire_moment(from_ms(trim.from_unix_ms)) if trim.HasField("from_unix_ms") else None,
        wire_moment(from_ms(trim.to_unix_ms)) if trim.HasField("to_unix_ms") else None,
        *(
            min(value, _MOST)
            for value in (trim.max_bytes_before, trim.max_bytes, trim.window_seconds)
        ),
    )
