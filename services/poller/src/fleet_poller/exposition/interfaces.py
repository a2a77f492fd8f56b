"""Families of interfaces: counters, state, and what the inventory says of them."""

from collections.abc import Callable, Sequence
from typing import Final

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_contracts.codec import COUNTER_COLUMNS
from fleet_poller.exposition.families import (
    description_info,
    description_value,
    interface_value,
)
from fleet_poller.exposition.view import View

_INFO_LABELS: Final = ("type", "default_name", "mac_address", "comment", "slave")


def _column(name: str) -> Callable[[View], Sequence[int | None]]:
    position = COUNTER_COLUMNS.index(name)

    def read(view: View) -> Sequence[int | None]:
        return view.columns[position] if view.columns else ()

    return read


def _described(interface: pb.InterfaceDescription) -> tuple[str, ...]:
    slave = str(interface.slave).lower() if interface.HasField("slave") else ""
    mac = interface.mac_address.hex(":") if interface.mac_address else ""
    return interface.type, interface.default_name, mac, interface.comment, slave


def _mtu(interface: pb.InterfaceDescription) -> int | None:
    if interface.HasField("actual_mtu"):
        return interface.actual_mtu
    return interface.mtu if interface.HasField("mtu") else None


def _link_rate(interface: pb.InterfaceDescription) -> int | None:
    rate = "link_rate_bits_per_second"
    return interface.link_rate_bits_per_second // 8 if interface.HasField(rate) else None


def _full_duplex(interface: pb.InterfaceDescription) -> int | None:
    return interface.full_duplex if interface.HasField("full_duplex") else None


INTERFACE_FAMILIES: Final = (
    interface_value(
        "routeros_interface_receive_bytes_total",
        "Bytes received since the router's start.",
        _column("rx_bytes_total"),
    ),
    interface_value(
        "routeros_interface_transmit_bytes_total",
        "Bytes sent since the router's start.",
        _column("tx_bytes_total"),
    ),
    interface_value(
        "routeros_interface_receive_packets_total",
        "Packets received since the router's start.",
        _column("rx_packets_total"),
    ),
    interface_value(
        "routeros_interface_transmit_packets_total",
        "Packets sent since the router's start.",
        _column("tx_packets_total"),
    ),
    interface_value(
        "routeros_interface_receive_errors_total",
        "Packets received with errors since the router's start.",
        _column("rx_errors_total"),
    ),
    interface_value(
        "routeros_interface_transmit_errors_total",
        "Packets not sent because of errors since the router's start.",
        _column("tx_errors_total"),
    ),
    interface_value(
        "routeros_interface_receive_drops_total",
        "Packets received and dropped since the router's start.",
        _column("rx_drops_total"),
    ),
    interface_value(
        "routeros_interface_transmit_drops_total",
        "Packets dropped instead of sent since the router's start.",
        _column("tx_drops_total"),
    ),
    interface_value(
        "routeros_interface_transmit_queue_drops_total",
        "Packets dropped by the interface's queue since the router's start.",
        _column("tx_queue_drops_total"),
    ),
    interface_value(
        "routeros_interface_link_downs_total",
        "Times the link went down since the router's start.",
        _column("link_downs_total"),
    ),
    interface_value(
        "routeros_interface_up",
        "1 while the interface runs: it has a link, or a peer.",
        lambda view: view.running,
    ),
    interface_value(
        "routeros_interface_disabled",
        "1 where the interface is disabled by configuration.",
        lambda view: view.disabled,
    ),
    description_value(
        "routeros_interface_link_rate_bytes_per_second",
        "Rate that an Ethernet port has negotiated, of the last inventory; times 8: bits.",
        _link_rate,
    ),
    description_value(
        "routeros_interface_full_duplex",
        "1 where an Ethernet port runs in full duplex, of the last inventory.",
        _full_duplex,
    ),
    description_value(
        "routeros_interface_mtu_bytes", "The MTU in force, of the last inventory.", _mtu
    ),
    description_info(
        "routeros_interface_info",
        _INFO_LABELS,
        "What the inventory says of an interface; slave: member of a bridge or bond.",
        _described,
    ),
)
