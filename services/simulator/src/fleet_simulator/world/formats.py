"""How RouterOS writes values: durations, dates of both generations, ids, MAC addresses."""

import time as _time

TRUE = b"true"
FALSE = b"false"
ISO_DATES = 7
"""The generation from which on dates are printed as in ISO 8601."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MINUTE, _HOUR, _DAY, _WEEK = 60, 3600, 86_400, 604_800


def boolean(value: bool) -> bytes:  # noqa: FBT001 - the one value it formats
    """`true` or `false`, as the API prints booleans."""
    return TRUE if value else FALSE


def number(value: float) -> bytes:
    """A whole number."""
    return b"%d" % value


def tenths(value: float) -> bytes:
    """A number with at most one decimal, as sensors print: `23.9`, `24`."""
    scaled = round(value * 10)
    whole, part = divmod(abs(scaled), 10)
    sign = b"-" if scaled < 0 else b""
    return b"%s%d.%d" % (sign, whole, part) if part else b"%s%d" % (sign, whole)


def duration(seconds: float) -> bytes:
    """`1w2d3h4m5s`, zero parts left out; `0s` for nothing."""
    left = int(seconds)
    text = b""
    if left >= _WEEK:
        text += b"%dw" % (left // _WEEK)
        left %= _WEEK
    if left >= _DAY:
        text += b"%dd" % (left // _DAY)
        left %= _DAY
    if left >= _HOUR:
        text += b"%dh" % (left // _HOUR)
        left %= _HOUR
    if left >= _MINUTE:
        text += b"%dm" % (left // _MINUTE)
        left %= _MINUTE
    if left or not text:
        text += b"%ds" % left
    return text


def duration_ms(seconds: float) -> bytes:
    """A short duration with milliseconds, as `last-activity` prints: `170ms`, `2s310ms`."""
    whole, part = divmod(int(seconds * 1000), 1000)
    if not whole:
        return b"%dms" % part
    return duration(whole) + (b"%dms" % part if part else b"")


def date_time(now: float, major: int) -> bytes:
    """v6 `sep/30/2024 21:35:18`, v7 `2026-06-23 14:58:07`; `now` is already local time."""
    day, clock = date_and_time(now, major)
    return day + b" " + clock


def date_and_time(now: float, major: int) -> tuple[bytes, bytes]:
    """The two halves of `date_time`, as `/system/clock` prints them."""
    t = _time.gmtime(now)
    clock = b"%02d:%02d:%02d" % (t.tm_hour, t.tm_min, t.tm_sec)
    if major >= ISO_DATES:
        return b"%04d-%02d-%02d" % (t.tm_year, t.tm_mon, t.tm_mday), clock
    month = _MONTHS[t.tm_mon - 1].encode()
    return b"%s/%02d/%04d" % (month, t.tm_mday, t.tm_year), clock


def item_id(index: int) -> bytes:
    """`.id` of an item: a star and capital hexadecimal."""
    return b"*%X" % index


def mac_address(bits: int, vendor: int = 0x48A98A) -> bytes:
    """A MAC address: `vendor` (MikroTik's 48:A9:8A unless said) and the low 24 of `bits`."""
    return ((vendor << 24) | (bits & 0xFF_FFFF)).to_bytes(6).hex(":").upper().encode()
