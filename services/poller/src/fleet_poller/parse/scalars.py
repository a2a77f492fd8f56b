"""The value formats of RouterOS, one function each: bytes in, typed value or None out.

None means "the router gave no such value": the attribute is missing, empty, or not in a
format that is known. A function never raises and never falls back to 0.

What routers say again with every poll (names, addresses, rates, versions) is remembered
by its bytes; counters and durations, which differ each time, are not.
"""

import re
from calendar import timegm
from functools import lru_cache
from typing import Final

from fleet_contracts.codec import TIME_END_UNIX_SECONDS

_UINT64_END: Final = 1 << 64
_TRUE: Final = frozenset({b"true", b"yes"})
_FALSE: Final = frozenset({b"false", b"no"})

# Digits are bounded everywhere: int() refuses thousands of them.
_UNIT_DURATION = re.compile(
    rb"(?:(\d{1,20})w)?(?:(\d{1,20})d)?(?:(\d{1,20})h)?(?:(\d{1,20})m(?!s))?"
    rb"(?:(\d{1,20})s)?(?:(\d{1,20})ms)?(?:(\d{1,20})us)?"
)
_CLOCK_DURATION = re.compile(
    rb"(?:(\d{1,20})w)?(?:(\d{1,20})d)?(\d{1,20}):(\d\d):(\d\d)(?:\.(\d{1,6}))?"
)
_DATE_V7 = re.compile(rb"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)")
_DATE_V6 = re.compile(rb"([a-z]{3})/(\d\d)/(\d{4}) (\d\d):(\d\d):(\d\d)", re.IGNORECASE)
_EPOCH_YEAR: Final = 1970
_MONTHS: Final = (b"jan feb mar apr may jun jul aug sep oct nov dec").split()
_RATE = re.compile(rb"(\d{1,12})(?:\.(\d{1,9}))?([kMG]?)bps(?![A-Za-z])")
_SCALE: Final = {b"": 1, b"k": 1_000, b"M": 1_000_000, b"G": 1_000_000_000}
_SIGNAL = re.compile(rb"(-?\d{1,4})(?:@.*|dBm)?")
_DECIMAL = re.compile(rb"(-?)(\d{1,15})(?:\.(\d{1,9}))?")
_VERSION = re.compile(r"(\d+\.\d+[0-9A-Za-z.]*)(?:\s*\(([^)]+)\))?")
_MAC_LENGTH, _MAC_COLONS, _MAC_BYTES = 17, 5, 6
_ID = re.compile(rb"\*([0-9A-Fa-f]{1,8})")

# Entries, of some 200 bytes each: names and addresses of a shard's clients, and the few
# hundred signals and rates that hardware knows. One that is pushed out is parsed again.
_MANY: Final = 16_384
_SOME: Final = 2_048


@lru_cache(_MANY)
def text(value: bytes | None) -> str:
    """Text in whatever encoding its writer used: UTF-8, else latin-1 (every byte is a letter).

    Absent is the empty string, which is what an unset protobuf string reads as.
    """
    if not value:
        return ""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def unsigned(value: bytes | None, below: int = _UINT64_END) -> int | None:
    """A non-negative decimal integer less than `below`."""
    if value is None or not value.isdigit() or len(value) > 20:  # noqa: PLR2004 - digits of 2**64
        return None
    number = int(value)
    return number if number < below else None


def unsigned32(value: bytes | None) -> int | None:
    """A non-negative decimal integer of at most 32 bits."""
    return unsigned(value, 1 << 32)


def boolean(value: bytes | None) -> bool | None:
    """`true`, `yes`, `false`, `no`."""
    if value in _TRUE:
        return True
    return False if value in _FALSE else None


def duration_microseconds(value: bytes | None) -> int | None:
    """`1w2d3h4m5s6ms`, `00:01:02`, `1d02:03:04`, `170ms`; any part may be missing."""
    if not value:
        return None
    if b":" not in value:
        match = _UNIT_DURATION.fullmatch(value)
        if match is None:
            return None
        weeks, days, hours, minutes, seconds, milliseconds, microseconds = match.groups(b"0")
    else:
        match = _CLOCK_DURATION.fullmatch(value)
        if match is None:
            return None
        weeks, days, hours, minutes, seconds, fraction = match.groups(b"0")
        milliseconds, microseconds = b"0", fraction.ljust(6, b"0")
    hours_in_all = (int(weeks) * 7 + int(days)) * 24 + int(hours)
    whole = (hours_in_all * 60 + int(minutes)) * 60 + int(seconds)
    total = (whole * 1000 + int(milliseconds)) * 1000 + int(microseconds)
    return total if total < _UINT64_END else None


def duration_seconds(value: bytes | None) -> int | None:
    """A duration in whole seconds, rounded down."""
    microseconds = duration_microseconds(value)
    return None if microseconds is None else microseconds // 1_000_000


def router_time(value: bytes | None) -> int | None:
    """A date by the router's own clock as seconds since 1970, as if that clock showed UTC.

    v6 `sep/30/2024 21:35:18`, v7 `2026-06-23 14:58:07`. Routers give no zone with it. A
    time before 1970 (a clock that was never set) is None.
    """
    if not value:
        return None
    match = _DATE_V7.fullmatch(value)
    if match is not None:
        year, month, day, hour, minute, second = map(int, match.groups())
    else:
        match = _DATE_V6.fullmatch(value)
        if match is None or match[1].lower() not in _MONTHS:
            return None
        month = _MONTHS.index(match[1].lower()) + 1
        day, year, hour, minute, second = map(int, match.groups()[1:])
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):  # noqa: PLR2004 - the calendar
        return None
    if year < _EPOCH_YEAR:
        return None
    seconds = timegm((year, month, day, hour, minute, second))
    # The last leap second of all: an event with it would be rejected whole.
    return seconds if seconds < TIME_END_UNIX_SECONDS else None


@lru_cache(_SOME)
def rate_bits_per_second(value: bytes | None) -> int | None:
    """`72.2Mbps-20MHz/1S/SGI`, `1Gbps`, or bare bits per second as the wifi package prints."""
    if not value:
        return None
    if value.isdigit():
        return unsigned(value)
    match = _RATE.match(value)
    if match is None:
        return None
    scale = _SCALE[match[3]]
    fraction = match[2] or b"0"
    rate = int(match[1]) * scale + int(fraction) * scale // 10 ** len(fraction)
    return rate if rate < _UINT64_END else None


@lru_cache(_SOME)
def signal_dbm(value: bytes | None) -> int | None:
    """`-62@1Mbps` (strength and the rate it was seen at), `-47`, `20dBm`."""
    match = _SIGNAL.fullmatch(value) if value else None
    return None if match is None else int(match[1])


def pair(value: bytes | None) -> tuple[int | None, int | None]:
    """`tx,rx` counters of a registration table; (None, None) when it is not a pair."""
    if not value:
        return None, None
    first, comma, second = value.partition(b",")
    if not comma:
        return None, None
    return unsigned(first), unsigned(second)


def thousandths(value: bytes | None) -> int | None:
    """A decimal number times 1000, digits beyond the third dropped."""
    match = _DECIMAL.fullmatch(value) if value else None
    if match is None:
        return None
    number = int(match[2]) * 1000 + int((match[3] or b"")[:3].ljust(3, b"0"))
    return -number if match[1] else number


@lru_cache(_SOME)
def version_and_channel(value: bytes | None) -> tuple[str, str]:
    """`7.16.1 (stable)` gives ("7.16.1", "stable"); a missing part is the empty string."""
    match = _VERSION.match(text(value))
    return ("", "") if match is None else (match[1], match[2] or "")


@lru_cache(_MANY)
def mac_address(value: bytes | None) -> bytes | None:
    """Six bytes of `AA:BB:CC:DD:EE:FF`."""
    if value is None or len(value) != _MAC_LENGTH or value.count(b":") != _MAC_COLONS:
        return None
    try:
        mac = bytes.fromhex(value.replace(b":", b"").decode("ascii"))
    except ValueError:
        return None
    return mac if len(mac) == _MAC_BYTES else None


def record_id(value: bytes | None) -> int | None:
    """`*1A` as the number it is in hexadecimal, at most 32 bits."""
    match = _ID.fullmatch(value) if value else None
    return None if match is None else int(match[1], 16)
