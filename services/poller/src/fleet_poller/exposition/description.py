"""What an inventory gives to every scrape until the next one: label texts and whole lines.

An inventory changes rarely and is most of what a scrape would have to decode, so its texts are
made once, by the first scrape that needs them, and take the place of the event.
"""

from collections.abc import Iterable
from typing import Final

import fleet_contracts.gen.fleet.v1.events_pb2 as pb

INVENTORY_LABELS: Final = (
    "identity",
    "board_name",
    "model",
    "serial_number",
    "architecture",
    "version",
    "platform",
    "cpu_name",
    "license_level",
    "factory_software",
)
INTERFACE_LABELS: Final = ("type", "default_name", "mac_address", "comment", "slave")

type Column = tuple[int | None, ...]


class Description:
    """Texts and values of one inventory; entry n of each column belongs to ids[n].

    `lines` has a line for each interface with everything but the metric's name: the labels
    and `%d` for the value, newline included.
    """

    __slots__ = (
        "cpu_cores",
        "cpu_frequency_mhz",
        "full_duplexes",
        "ids",
        "info",
        "interface_info",
        "lines",
        "link_rates",
        "mtus",
        "revision",
    )

    def __init__(self, labels: str, inventory: pb.Inventory) -> None:
        """`labels` are the device's, as they stand in braces."""
        interfaces = inventory.interfaces
        self.revision = inventory.revision
        self.ids = [one.id for one in interfaces]
        named = unique_names(zip(self.ids, [one.name for one in interfaces], strict=True))
        ports = [f'{{{labels},interface="{escaped(named[one.id])}"' for one in interfaces]
        self.lines = "".join([port.replace("%", "%%") + "} %d\n" for port in ports])
        values = [getattr(inventory, name) for name in INVENTORY_LABELS]
        self.info = f"{{{labels}{more_labels(INVENTORY_LABELS, values)}}} 1\n"
        self.interface_info = tuple(
            f"{port}{more_labels(INTERFACE_LABELS, _described(one))}}} 1\n"
            for port, one in zip(ports, interfaces, strict=True)
        )
        self.link_rates: Column = tuple(map(_link_rate, interfaces))
        self.full_duplexes: Column = tuple(map(_full_duplex, interfaces))
        self.mtus: Column = tuple(map(_mtu, interfaces))
        self.cpu_cores = inventory.cpu_count if inventory.HasField("cpu_count") else None
        frequency = "cpu_frequency_mhz"
        self.cpu_frequency_mhz = (
            inventory.cpu_frequency_mhz if inventory.HasField(frequency) else None
        )


def _described(interface: pb.InterfaceDescription) -> tuple[str, ...]:
    slave = str(interface.slave).lower() if interface.HasField("slave") else ""
    mac = interface.mac_address.hex(":") if interface.mac_address else ""
    return interface.type, interface.default_name, mac, interface.comment, slave


def _link_rate(interface: pb.InterfaceDescription) -> int | None:
    """In bytes a second, Prometheus's base unit."""
    rate = "link_rate_bits_per_second"
    return interface.link_rate_bits_per_second // 8 if interface.HasField(rate) else None


def _full_duplex(interface: pb.InterfaceDescription) -> int | None:
    return interface.full_duplex if interface.HasField("full_duplex") else None


def _mtu(interface: pb.InterfaceDescription) -> int | None:
    if interface.HasField("actual_mtu"):
        return interface.actual_mtu
    return interface.mtu if interface.HasField("mtu") else None


def unique_names(named: Iterable[tuple[int, str]]) -> dict[int, str]:
    """Names by id, each once: RouterOS lets two interfaces have the same.

    Of several the one with the lowest id keeps the name; `#` and the id, as RouterOS writes
    it, follow in the others'. Two series with the same labels would fail the whole scrape.
    """
    names = dict(named)
    taken = set(names.values())
    if len(taken) == len(names):
        return names
    seen: set[str] = set()
    for id_ in sorted(names):
        given = name = names[id_]
        while name in seen or (name != given and name in taken):
            name = f"{name}#{id_:X}"
        seen.add(name)
        names[id_] = name
    return names


def more_labels(names: Iterable[str], values: Iterable[str]) -> str:
    """Labels to follow others. An empty value is no label to Prometheus: it is left out."""
    return "".join(
        [f',{name}="{escaped(value)}"' for name, value in zip(names, values, strict=True) if value]
    )


def escaped(text: str) -> str:
    """A label's value as both text formats want it."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if '"' in text:
        text = text.replace('"', '\\"')
    if "\n" in text:
        text = text.replace("\n", "\\n")
    return text
