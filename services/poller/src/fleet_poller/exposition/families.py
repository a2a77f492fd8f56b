"""The forms that metric families have, and what makes their lines.

A family is one row of the table that the documentation is written from and the renderer
walks over. Its `lines` are called once for each device at each scrape and must be cheap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from fleet_contracts.subjects import Kind
from fleet_poller.exposition.description import more_labels
from fleet_poller.exposition.view import Column, View


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
        return f"{name}{{{view.labels}{more_labels(labels, values)}}} 1\n"

    return Family(name, "info", labels, text, Group.DEVICE, lines, one)


def sensor_value(name: str, unit: int, text: str, *labels: str) -> Family:
    """A sample for each sensor of a unit; one that says a word has it as a label."""

    def lines(view: View) -> str:
        return named(name, view.sensors.get(unit, ""))

    return Family(name, "gauge", ("sensor", *labels), text, Group.SENSORS, lines, sensors)


def named(name: str, lines: str) -> str:
    """Each of the lines with the metric's name before it."""
    return (name + lines.replace("\n", "\n" + name))[: -len(name)] if lines else ""


def interface_value(name: str, text: str, read: Callable[[View], Column]) -> Family:
    """A sample for each interface; `read` gives values in the order of the description."""

    def lines(view: View) -> str:
        values, description = read(view), view.description
        if not values or description is None:
            return ""
        if None in values:
            # Not splitlines: a name may have what Unicode takes for the end of a line.
            each = zip(description.lines.split("\n"), values, strict=False)
            return "".join(
                [f"{name}{line % (value,)}\n" for line, value in each if value is not None]
            )
        # Formatting all lines at once and then naming them takes half the time.
        return named(name, description.lines % tuple(values))

    labels = ("interface",)
    return Family(name, family_type(name), labels, text, Group.INTERFACES, lines, interfaces)


def interfaces(view: View) -> int:
    """A sample an interface."""
    return len(view.interfaces.ids) if view.interfaces is not None else 0


def sensors(view: View) -> int:
    """A sample a sensor, in one of the families for sensors."""
    return view.sensor_count


SHARING: Final = frozenset({sensors})
"""Counts of samples that several families have among them, not each."""
