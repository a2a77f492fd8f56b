"""One device as a scrape sees it: its newest events decoded."""

from collections.abc import Iterable, Sequence
from typing import Final

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_contracts.subjects import Kind
from fleet_contracts.view import sensor_name
from fleet_poller.exposition.description import escaped, more_labels
from fleet_poller.exposition.held import HeldEvents

_SENSOR_NAMES: Final = {
    number: sensor_name(pb.Sensor(known_name=name))
    for name, number in pb.SensorName.items()
    if number
}
"""A table: looking a name up costs an eighth of making it."""

type Column = Sequence[int | None]


class View:
    """Read only once it is made; lives as long as one scrape.

    Few objects that Python's collector would look at: with those of a thousand devices it
    would stop everything in the middle of each scrape.

    A device that is down has a status, and what rarely changes: inventory and firmware.
    """

    __slots__ = (
        "clients",
        "description",
        "firmware",
        "health",
        "interfaces",
        "labels",
        "last_seen_ms",
        "radios",
        "sensor_count",
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
        self.description = held.description(self.labels)
        event = _decoded(payloads.get(Kind.FIRMWARE))
        self.firmware = event.firmware if event is not None else None
        event = _decoded(payloads.get(Kind.HEALTH)) if up else None
        self.health = event.health if event is not None else None
        self.sensors: dict[int, str] = {}
        """By unit, a line for each sensor with everything but the metric's name."""
        self.sensor_count = 0
        if self.health is not None:
            self._take_sensors(self.health.sensors)
        self.wireless: pb.Wireless | None = None
        self.radios: Sequence[pb.Radio] = ()
        self.clients: Sequence[pb.WirelessClient] = ()
        if up and (payload := payloads.get(Kind.WIRELESS)) is not None:
            self._take_wireless(pb.Event.FromString(payload).wireless)
        self.interfaces: pb.Interfaces | None = None
        if up and (payload := payloads.get(Kind.INTERFACES)) is not None:
            self._take_interfaces(pb.Event.FromString(payload).interfaces)

    def with_labels(self, **labels: str) -> str:
        """The device's labels and these, in braces."""
        return f"{{{self.labels}{more_labels(labels, labels.values())}}}"

    def _take_interfaces(self, interfaces: pb.Interfaces) -> None:
        """Not when they are others than those that the inventory describes."""
        ids, known = interfaces.ids[:], self.description
        if known is None or known.revision != interfaces.inventory_revision or known.ids != ids:
            return
        self.interfaces = interfaces

    def _take_wireless(self, wireless: pb.Wireless) -> None:
        """Each radio and each client of an interface once: what moves may be listed twice."""
        self.wireless = wireless
        self.radios = list({one.interface: one for one in wireless.radios}.values())
        self.clients = list(
            {(one.mac_address, one.interface): one for one in wireless.clients}.values()
        )

    def _take_sensors(self, sensors: Iterable[pb.Sensor]) -> None:
        """Of two with the same unit and name, the first."""
        seen: set[tuple[int, str]] = set()
        for sensor in sensors:
            unit = sensor.unit
            name = _SENSOR_NAMES[sensor.known_name] if sensor.known_name else sensor.name
            if (unit, name) in seen:
                continue
            seen.add((unit, name))
            self.sensors[unit] = self.sensors.get(unit, "") + self._sensor_line(name, sensor)
        self.sensor_count = len(seen)

    def _sensor_line(self, name: str, sensor: pb.Sensor) -> str:
        labels = f'{{{self.labels},sensor="{escaped(name)}"'
        if sensor.unit == pb.SENSOR_UNIT_STATE:
            return f'{labels},state="{escaped(sensor.state)}"}} 1\n'
        whole = 100_000 if sensor.unit == pb.SENSOR_UNIT_PERCENT else 1_000
        return f"{labels}}} {sensor.value_thousandths / whole}\n"


def _decoded(payload: bytes | None) -> pb.Event | None:
    return None if payload is None else pb.Event.FromString(payload)
