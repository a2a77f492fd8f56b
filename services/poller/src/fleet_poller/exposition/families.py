"""The forms that metric families have, and what makes their lines.

A family is one row of the table that the documentation is written from and the renderer
walks over. Its `lines` are called once for each device at each scrape and must be cheap.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_contracts.subjects import Kind
from fleet_poller.exposition.view import View, escaped


class Group(StrEnum):
    """What can be switched on and off; `device` is always on."""

    DEVICE = "device"
    SYSTEM = "system"
    SENSORS = "sensors"
    INTERFACES = "interfaces"
    WIRELESS = "wireless"
    WIRELESS_CLIENTS = "wireless-clients"


KINDS: dict[Group, frozenset[Kind]] = {
    Group.DEVICE: frozenset({Kind.STATUS, Kind.INVENTORY, Kind.FIRMWARE}),
    Group.SYSTEM: frozenset({Kind.HEALTH}),
    Group.SENSORS: frozenset({Kind.HEALTH}),
    Group.INTERFACES: frozenset({Kind.INTERFACES}),
    Group.WIRELESS: frozenset({Kind.WIRELESS}),
    Group.WIRELESS_CLIENTS: frozenset({Kind.WIRELESS}),
}
"""The events a group is made from."""

type FamilyType = Literal["counter", "gauge", "info"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `name` is that of the samples: with `_total` or `_info` where it has one."""

    name: str
    type: FamilyType
    labels: tuple[str, ...]
    """Besides `tenant` and `device`."""
    help: str
    group: Group
    lines: Callable[[View], str]
    """A line for each sample, each with its newline; empty where there is none."""
    most: Callable[[View], int]
    """How many samples there can be: what the bound on series counts."""


def one(_view: View) -> int:
    """A sample a device."""
    return 1


def family_type(name: str) -> FamilyType:
    """As the name says."""
    if name.endswith("_total"):
        return "counter"
    return "info" if name.endswith("_info") else "gauge"


def device_value(
    group: Group, name: str, text: str, read: Callable[[View], float | None]
) -> Family:
    """One sample a device; None: the router gave no value."""

    def lines(view: View) -> str:
        value = read(view)
        return "" if value is None else f"{name}{{{view.labels}}} {value}\n"

    return Family(name, family_type(name), (), text, group, lines, one)


def device_info(
    name: str,
    labels: tuple[str, ...],
    text: str,
    read: Callable[[View], Sequence[str] | None],
) -> Family:
    """One sample a device, always 1, whose labels are the message; `read` gives their values."""

    def lines(view: View) -> str:
        values = read(view)
        if values is None:
            return ""
        return f"{name}{view.with_labels(**dict(zip(labels, values, strict=True)))} 1\n"

    return Family(name, "info", labels, text, Group.DEVICE, lines, one)


def sensor_value(name: str, unit: int, text: str, thousandths: int = 1000) -> Family:
    """A sample for each sensor of a unit; `thousandths` of it are one of the metric's."""

    def lines(view: View) -> str:
        return "".join(
            [
                f'{name}{{{view.labels},sensor="{escaped(sensor)}"}} '
                f"{reading.value_thousandths / thousandths}\n"
                for sensor, reading in view.sensors.get(unit, ())
                if reading.HasField("value_thousandths")
            ]
        )

    return Family(name, "gauge", ("sensor",), text, Group.SENSORS, lines, _sensors_of(unit))


def sensor_state(name: str, unit: int, text: str) -> Family:
    """A sample for each sensor that says a word, which is a label."""

    def lines(view: View) -> str:
        return "".join(
            [
                f"{name}{view.with_labels(sensor=sensor, state=reading.state)} 1\n"
                for sensor, reading in view.sensors.get(unit, ())
            ]
        )

    labels = ("sensor", "state")
    return Family(name, "gauge", labels, text, Group.SENSORS, lines, _sensors_of(unit))


def interface_value(name: str, text: str, read: Callable[[View], Iterable[int | None]]) -> Family:
    """A sample for each interface; `read` gives values in the order of `view.ports`."""

    def lines(view: View) -> str:
        return "".join(
            [
                f"{name}{labels} {value:d}\n"
                for labels, value in zip(view.ports, read(view), strict=False)
                if value is not None
            ]
        )

    return Family(name, family_type(name), ("interface",), text, Group.INTERFACES, lines, _ports)


def description_value(
    name: str, text: str, read: Callable[[pb.InterfaceDescription], int | None]
) -> Family:
    """A sample for each interface, from the inventory."""

    def lines(view: View) -> str:
        return "".join(
            [
                f"{name}{labels} {value:d}\n"
                for labels, interface in view.described
                if (value := read(interface)) is not None
            ]
        )

    return Family(name, "gauge", ("interface",), text, Group.INTERFACES, lines, _described)


def description_info(
    name: str,
    labels: tuple[str, ...],
    text: str,
    read: Callable[[pb.InterfaceDescription], Sequence[str]],
) -> Family:
    """A sample for each interface, always 1, whose labels are the message."""

    def line(port: str, interface: pb.InterfaceDescription) -> str:
        more = "".join(
            [
                f',{label}="{escaped(value)}"'
                for label, value in zip(labels, read(interface), strict=True)
                if value
            ]
        )
        return f"{name}{port[:-1]}{more}}} 1\n"

    def lines(view: View) -> str:
        return "".join([line(port, interface) for port, interface in view.described])

    return Family(name, "info", ("interface", *labels), text, Group.INTERFACES, lines, _described)


def _ports(view: View) -> int:
    return len(view.ports)


def _described(view: View) -> int:
    return len(view.described)


def _sensors_of(unit: int) -> Callable[[View], int]:
    def count(view: View) -> int:
        return len(view.sensors.get(unit, ()))

    return count
