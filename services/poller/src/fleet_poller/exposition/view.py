"""One device as a scrape sees it: its newest events decoded, its label texts made."""

from collections.abc import Iterable, Sequence
from typing import Final

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_contracts.columns import unpack_bits, unpack_totals
from fleet_contracts.subjects import Kind
from fleet_poller.exposition.held import HeldEvents

type Sample = tuple[str, float]
"""A sample's labels in braces, and its value."""

_SENSOR_NAMES: Final = {
    number: name.removeprefix("SENSOR_NAME_").lower().replace("_", "-")
    for name, number in pb.SensorName.items()
}


class View:
    """Mutable while it is made, read only afterwards; lives as long as one scrape.

    A device that is down has a status, and what rarely changes: inventory and firmware.
    """

    __slots__ = (
        "columns",
        "described",
        "disabled",
        "firmware",
        "health",
        "inventory",
        "labels",
        "last_seen_ms",
        "ports",
        "running",
        "sensors",
        "status",
        "up",
        "wireless",
    )

    def __init__(self, tenant: str, device: str, held: HeldEvents) -> None:
        """Decodes what is held. The status is there: the device has been polled."""
        self.labels = f'tenant="{escaped(tenant)}",device="{escaped(device)}"'
        self.last_seen_ms = held.last_seen_ms
        payloads = held.payloads
        self.status = pb.Event.FromString(payloads[Kind.STATUS])
        self.up = up = self.status.status.reachability == pb.REACHABILITY_UP
        self.inventory = _decoded(payloads.get(Kind.INVENTORY))
        self.firmware = _decoded(payloads.get(Kind.FIRMWARE))
        self.health = _decoded(payloads.get(Kind.HEALTH)) if up else None
        self.wireless = _decoded(payloads.get(Kind.WIRELESS)) if up else None
        self.sensors: dict[int, list[tuple[str, pb.Sensor]]] = {}
        if self.health is not None and self.health.health.sensors:
            self._take_sensors(self.health.health.sensors)
        self.described: list[tuple[str, pb.InterfaceDescription]] = []
        self.ports: list[str] = []
        self.columns: Sequence[Sequence[int | None]] = ()
        self.running: Sequence[bool] = ()
        self.disabled: Sequence[bool] = ()
        if up and self.inventory is not None and Kind.INTERFACES in payloads:
            self._take_interfaces(self.inventory.inventory, payloads[Kind.INTERFACES])

    def with_labels(self, **labels: str) -> str:
        """The device's labels and these, in braces. An empty value is no label to Prometheus."""
        more = "".join([f',{name}="{escaped(value)}"' for name, value in labels.items() if value])
        return f"{{{self.labels}{more}}}"

    def _take_interfaces(self, inventory: pb.Inventory, payload: bytes) -> None:
        """Counters and descriptions; nothing when the one does not belong to the other."""
        interfaces = pb.Event.FromString(payload).interfaces
        if interfaces.inventory_revision != inventory.revision:
            return
        begin = f'{{{self.labels},interface="'
        named = unique_names([(one.id, one.name) for one in inventory.interfaces])
        labels = {id_: f'{begin}{escaped(name)}"}}' for id_, name in named.items()}
        self.described = [(labels[one.id], one) for one in inventory.interfaces]
        ids = interfaces.ids[:]
        self.ports = [labels.get(id_, "") for id_ in ids]
        if "" in self.ports:  # an interface that no inventory names: cannot be, see reader
            return
        self.columns = unpack_totals(interfaces)
        self.running = unpack_bits(interfaces.running_bitmap, len(ids))
        self.disabled = unpack_bits(interfaces.disabled_bitmap, len(ids))

    def _take_sensors(self, sensors: Iterable[pb.Sensor]) -> None:
        """By unit; of two with the same name, the first."""
        seen: set[tuple[int, str]] = set()
        for sensor in sensors:
            unit = sensor.unit
            name = _SENSOR_NAMES[sensor.known_name] if sensor.known_name else sensor.name
            if (unit, name) not in seen:
                seen.add((unit, name))
                self.sensors.setdefault(unit, []).append((name, sensor))


def unique_names(named: Iterable[tuple[int, str]]) -> dict[int, str]:
    """Names by id, each once: RouterOS lets two interfaces have the same.

    Of several the one with the lowest id keeps the name; `#` and the id, as RouterOS writes
    it, follow in the others'. Two series with the same labels would fail the whole scrape.
    """
    pairs = list(named)
    names = dict(pairs)
    taken = set(names.values())
    if len(taken) == len(names):
        return names
    seen: set[str] = set()
    for id_ in sorted(names):
        name = names[id_]
        while name in seen or (name != names[id_] and name in taken):
            name = f"{name}#{id_:X}"
        seen.add(name)
        names[id_] = name
    return names


def escaped(text: str) -> str:
    """A label's value as both text formats want it."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if '"' in text:
        text = text.replace('"', '\\"')
    if "\n" in text:
        text = text.replace("\n", "\\n")
    return text


def _decoded(payload: bytes | None) -> pb.Event | None:
    return None if payload is None else pb.Event.FromString(payload)
