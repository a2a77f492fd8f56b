"""Families of interfaces: counters, state, and what the inventory says of them."""

from collections.abc import Callable
from typing import Final

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_contracts.codec import COUNTER_COLUMNS
from fleet_contracts.columns import unpack_bits, unpack_column
from fleet_poller.exposition.description import INTERFACE_LABELS, Description
from fleet_poller.exposition.families import Family, Group, interface_value, interfaces
from fleet_poller.exposition.view import Column, View


def _column(name: str) -> Callable[[View], Column]:
    position = COUNTER_COLUMNS.index(name)

    def read(view: View) -> Column:
        return unpack_column(view.interfaces, position) if view.interfaces is not None else ()

    return read


def _bitmap(read: Callable[[pb.Interfaces], bytes]) -> Callable[[View], Column]:
    def flags(view: View) -> Column:
        interfaces = view.interfaces
        return unpack_bits(read(interfaces), len(interfaces.ids)) if interfaces is not None else ()

    return flags


def _described(read: Callable[[Description], Column]) -> Callable[[View], Column]:
    """From the inventory, while there are readings beside it."""

    def described(view: View) -> Column:
        return (
            read(view.description)
            if view.description is not None and view.interfaces is not None
            else ()
        )

    return described


def _interface_info(name: str, text: str) -> Family:
    def lines(view: View) -> str:
        if view.description is None or view.interfaces is None:
            return ""
        return "".join([name + line for line in view.description.interface_info])

    labels = ("interface", *INTERFACE_LABELS)
    return Family(name, "info", labels, text, Group.INTERFACES, lines, interfaces)


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
        _bitmap(lambda interfaces: interfaces.running_bitmap),
    ),
    interface_value(
        "routeros_interface_disabled",
        "1 where the interface is disabled by configuration.",
        _bitmap(lambda interfaces: interfaces.disabled_bitmap),
    ),
    interface_value(
        "routeros_interface_link_rate_bytes_per_second",
        "Rate that an Ethernet port has negotiated, of the last inventory; times 8: bits.",
        _described(lambda description: description.link_rates),
    ),
    interface_value(
        "routeros_interface_full_duplex",
        "1 where an Ethernet port runs in full duplex, of the last inventory.",
        _described(lambda description: description.full_duplexes),
    ),
    interface_value(
        "routeros_interface_mtu_bytes",
        "The MTU in force, of the last inventory.",
        _described(lambda description: description.mtus),
    ),
    _interface_info(
        "routeros_interface_info",
        "What the inventory says of an interface; slave: member of a bridge or bond.",
    ),
)
