"""`/system/resource`, its cores, and `/system/health` of both RouterOS generations."""

from collections.abc import Sequence
from typing import Final

from fleet_poller.parse.scalars import (
    duration_seconds,
    text,
    thousandths,
    unsigned,
    unsigned32,
)
from fleet_poller.readings import Resource, SensorReading
from fleet_poller.routeros.wire import Attributes

RESOURCE_ATTRIBUTES: Final = (
    "uptime",
    "cpu-load",
    "free-memory",
    "total-memory",
    "free-hdd-space",
    "total-hdd-space",
    "bad-blocks",
    "write-sect-since-reboot",
    "cpu-count",
)

# v6 prints one row without units; these suffixes say them. Order matters not: the ends differ.
_V6_UNITS: Final = (
    (b"temperature", "C"),
    (b"temperature1", "C"),
    (b"temperature2", "C"),
    (b"voltage", "V"),
    (b"current", "A"),
    (b"consumption", "W"),
    (b"fan-speed", "RPM"),
    (b"speed", "RPM"),
)
_WHOLE_DISK: Final = 100_000
"""100 percent in thousandths."""
_UNIT_SUFFIXES: Final = (b"C", b"V", b"A", b"W", b"RPM", b"%")


def parse_resource(row: Attributes) -> Resource:
    """The moving part of `/system/resource`; `bad-blocks` is in percent there."""
    get = row.get
    return Resource(
        duration_seconds(get(b"uptime")),
        unsigned32(get(b"cpu-load")),
        unsigned(get(b"free-memory")),
        unsigned(get(b"total-memory")),
        unsigned(get(b"free-hdd-space")),
        unsigned(get(b"total-hdd-space")),
        _permille(get(b"bad-blocks")),
        unsigned(get(b"write-sect-since-reboot")),
        unsigned32(get(b"cpu-count")),
    )


def parse_cores(rows: Sequence[Attributes]) -> tuple[int, ...]:
    """Load of each core in percent; empty unless the router gives all of them."""
    loads = [unsigned32((row.get(b"load") or b"").removesuffix(b"%")) for row in rows]
    known = tuple(load for load in loads if load is not None)
    return known if len(known) == len(loads) else ()


def parse_health(rows: Sequence[Attributes]) -> tuple[SensorReading, ...]:
    """Every sensor. v7: a row each (name, value, type); v6: one row, an attribute each."""
    if len(rows) == 1 and b"name" not in rows[0]:
        return tuple(
            sensor
            for name, value in rows[0].items()
            if (sensor := _v6_sensor(name, value)) is not None
        )
    return tuple(_v7_sensor(row) for row in rows if row.get(b"name") and row.get(b"value"))


def _v7_sensor(row: Attributes) -> SensorReading:
    name, value, unit = text(row[b"name"]), row[b"value"], text(row.get(b"type"))
    number = thousandths(value)
    if number is None or name.endswith("state"):
        return SensorReading(name, unit, None, text(value)[:64])
    return SensorReading(name, unit, number, None)


def _v6_sensor(name: bytes, value: bytes) -> SensorReading | None:
    """A sensor, or None for a setting that v6 prints in the same row (`fan-mode=auto`)."""
    if name.startswith(b"."):
        return None
    if name.endswith(b"state"):
        return SensorReading(text(name), "", None, text(value)[:64])
    bare = value
    for suffix in _UNIT_SUFFIXES:
        bare = bare.removesuffix(suffix)
    number = thousandths(bare)
    unit = next((unit for end, unit in _V6_UNITS if name.endswith(end)), None)
    if number is None or unit is None:
        return None
    return SensorReading(text(name), unit, number, None)


def _permille(percent: bytes | None) -> int | None:
    number = thousandths((percent or b"").removesuffix(b"%"))
    return number // 100 if number is not None and 0 <= number <= _WHOLE_DISK else None
