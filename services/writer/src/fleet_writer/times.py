"""Unix milliseconds and nanoseconds to datetimes and back, exactly."""

from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Final

from fleet_writer.errors import RefusedRowsError

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
PG_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MILLISECOND: Final = timedelta(milliseconds=1)


PG_EPOCH_MS: Final = 946_684_800_000
"""2000-01-01, from which PostgreSQL counts."""
_INT64: Final = Struct(">q")


def wire_ms(ms: int) -> bytes:
    """A timestamptz in PostgreSQL's binary format: made once for all rows of a slot."""
    return _INT64.pack((ms - PG_EPOCH_MS) * 1000)


def wire_ms_or_none(ms: int | None) -> bytes | None:
    """None stays None."""
    return None if ms is None else _INT64.pack((ms - PG_EPOCH_MS) * 1000)


def wire_moment(moment: datetime) -> bytes:
    """An aware datetime in the same format."""
    return _INT64.pack((moment - PG_EPOCH) // _MICROSECOND)


def decode_timestamptz(value: bytes) -> datetime:
    """The moment, aware, in UTC. Raises OverflowError for the infinities; none are stored."""
    return PG_EPOCH + timedelta(microseconds=_INT64.unpack(value)[0])


def from_ms(ms: int) -> datetime:
    """The moment, aware, in UTC."""
    return EPOCH + timedelta(milliseconds=ms)


def from_ns(ns: int) -> datetime:
    """The moment to the microsecond, aware, in UTC."""
    return EPOCH + timedelta(microseconds=ns // 1000)


def to_ms(moment: datetime) -> int:
    """Unix milliseconds, rounded down."""
    return (moment - EPOCH) // _MILLISECOND


def to_ns(moment: datetime) -> int:
    """Unix nanoseconds, exactly."""
    return (moment - EPOCH) // _MICROSECOND * 1000


def to_ms_or_none(moment: datetime | None) -> int | None:
    """None stays None."""
    return None if moment is None else to_ms(moment)


def from_seconds_or_none(seconds: int | None) -> datetime | None:
    """None stays None. Raises RefusedRowsError for what is no moment before the year 10000."""
    try:
        return None if seconds is None else EPOCH + timedelta(seconds=seconds)
    except OverflowError as error:
        raise RefusedRowsError(f"{seconds} s are no Unix time: {error}") from error


def to_seconds_or_none(moment: datetime | None) -> int | None:
    """None stays None."""
    return None if moment is None else to_ms(moment) // 1000


def wire_ns(ns: int) -> bytes:
    """Unix nanoseconds as a timestamptz on the wire."""
    return wire_moment(from_ns(ns))


def wire_ns_or_none(ns: int | None) -> bytes | None:
    """None stays None."""
    return None if ns is None else wire_ns(ns)
