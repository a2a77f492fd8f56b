"""Unix milliseconds and nanoseconds to datetimes and back, exactly."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def from_ms(ms: int) -> datetime:
    """The moment, aware, in UTC."""
    return EPOCH + timedelta(milliseconds=ms)


def from_ms_or_none(ms: int | None) -> datetime | None:
    """None stays None."""
    return None if ms is None else EPOCH + timedelta(milliseconds=ms)


def from_ns(ns: int) -> datetime:
    """The moment to the microsecond, aware, in UTC."""
    return EPOCH + timedelta(microseconds=ns // 1000)


def to_ms(moment: datetime) -> int:
    """Unix milliseconds, rounded down."""
    return (moment - EPOCH) // _MILLISECOND


def to_ms_or_none(moment: datetime | None) -> int | None:
    """None stays None."""
    return None if moment is None else to_ms(moment)


def from_seconds_or_none(seconds: int | None) -> datetime | None:
    """None stays None."""
    return None if seconds is None else EPOCH + timedelta(seconds=seconds)


def to_seconds_or_none(moment: datetime | None) -> int | None:
    """None stays None."""
    return None if moment is None else to_ms(moment) // 1000
