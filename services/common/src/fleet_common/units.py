"""Durations and sizes as people write them: `90s`, `6h`, `64MiB`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "Ki": 2**10,
    "KiB": 2**10,
    "Mi": 2**20,
    "MiB": 2**20,
    "Gi": 2**30,
    "GiB": 2**30,
    "Ti": 2**40,
    "TiB": 2**40,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_duration(value: object) -> float:
    """Seconds of `90s`, `1h30m` or a plain number; raises ValueError saying what is allowed."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        text = value.strip()
        parts = _DURATION_PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    raise ValueError(f"{value!r} is not a duration (examples: 500ms, 60s, 1h30m, 7d)")


def parse_size(value: object) -> int:
    """Bytes of `64MiB`, `128MB` or a whole number; raises ValueError saying what is allowed."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match is not None and match[2] in _BYTES:
            return int(float(match[1]) * _BYTES[match[2]])
    raise ValueError(f"{value!r} is not a size (examples: 1048576, 64MiB, 128MB, 1Gi)")


def format_duration(seconds: float) -> str:
    """The shortest exact form: 5400 becomes `1h30m`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    rest = round(seconds)
    parts: list[str] = []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, int(_SECONDS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def format_about(seconds: float) -> str:
    """For people: whole minutes from 10 minutes on, whole hours from two days on."""
    for unit, least in ((3600, 172_800), (60, 600)):
        if seconds >= least:
            return format_duration(round(seconds / unit) * unit)
    return format_duration(seconds)


def format_size(count: float) -> str:
    """Three digits and a binary unit, for people: `64.0 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - the step between the units
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


type Seconds = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
"""A duration in seconds, written as `60s` or a number."""

type Bytes = Annotated[int, BeforeValidator(parse_size)]
"""A size in bytes, written as `64MiB` or a whole number."""
