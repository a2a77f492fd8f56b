"""Families of radios and their clients. Transmit is from the router to the client."""

from collections.abc import Callable
from typing import Final

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_poller.exposition.families import Family, Group, family_type
from fleet_poller.exposition.view import View

_HERTZ_IN_MHZ: Final = 1_000_000
_PERCENT: Final = 100
_BITS: Final = 8
_PACKAGES: Final = {
    number: name.removeprefix("WIRELESS_PACKAGE_").lower().replace("_", "-")
    for name, number in pb.WirelessPackage.items()
}


def _radios(view: View) -> int:
    return len(view.radios)


def _clients(view: View) -> int:
    return len(view.clients)


def _radio_value(name: str, field: str, text: str, unit: int = 1) -> Family:
    """A sample for each radio whose `field` the router gave."""

    def lines(view: View) -> str:
        return "".join(
            [
                f"{name}{view.with_labels(interface=radio.interface)} "
                f"{getattr(radio, field) * unit}\n"
                for radio in view.radios
                if radio.HasField(field)
            ]
        )

    return Family(name, "gauge", ("interface",), text, Group.WIRELESS, lines, _radios)


def _radio_info(name: str, text: str) -> Family:
    labels = ("interface", "ssid", "band", "package")

    def lines(view: View) -> str:
        if view.wireless is None:
            return ""
        package = _PACKAGES[view.wireless.package]
        return "".join(
            [
                name
                + view.with_labels(
                    interface=radio.interface, ssid=radio.ssid, band=radio.band, package=package
                )
                + " 1\n"
                for radio in view.radios
            ]
        )

    return Family(name, "info", labels, text, Group.WIRELESS, lines, _radios)


def _per_interface(name: str, text: str, read: Callable[[View], dict[str, float]]) -> Family:
    """A sample for each interface that has radios or clients."""

    def lines(view: View) -> str:
        return "".join(
            [
                f"{name}{view.with_labels(interface=interface)} {value}\n"
                for interface, value in read(view).items()
            ]
        )

    def most(view: View) -> int:
        return len(view.radios) + len(view.clients)

    return Family(name, "gauge", ("interface",), text, Group.WIRELESS, lines, most)


def _client_numbers(view: View) -> dict[str, float]:
    """What a radio says of itself; else the rows, unless some were left out of the event."""
    if view.wireless is None:
        return {}
    counts: dict[str, float] = {}
    if not view.wireless.clients_left_out:
        counts = dict.fromkeys([radio.interface for radio in view.radios], 0)
        for client in view.clients:
            counts[client.interface] = counts.get(client.interface, 0) + 1
    for radio in view.radios:
        if radio.HasField("clients_count"):
            counts[radio.interface] = radio.clients_count
    return counts


def _weakest_signals(view: View) -> dict[str, float]:
    weakest: dict[str, float] = {}
    for client in view.clients:
        if client.HasField("signal_dbm"):
            known = weakest.get(client.interface, client.signal_dbm)
            weakest[client.interface] = min(known, client.signal_dbm)
    return weakest


def _client_value(name: str, field: str, text: str, divide: int = 1) -> Family:
    """A sample for each client whose `field` the router gave."""

    def lines(view: View) -> str:
        rows = [
            (client, getattr(client, field)) for client in view.clients if client.HasField(field)
        ]
        return "".join(
            [
                name
                + view.with_labels(
                    interface=client.interface, mac_address=client.mac_address.hex(":")
                )
                + f" {value if divide == 1 else value / divide}\n"
                for client, value in rows
            ]
        )

    labels = ("interface", "mac_address")
    return Family(name, family_type(name), labels, text, Group.WIRELESS_CLIENTS, lines, _clients)


WIRELESS_FAMILIES: Final = (
    _radio_info("routeros_wireless_info", "What a radio or virtual access point is set to."),
    _radio_value("routeros_wireless_up", "running", "1 while the radio runs."),
    _radio_value(
        "routeros_wireless_frequency_hertz", "frequency_mhz", "Its frequency.", _HERTZ_IN_MHZ
    ),
    _radio_value(
        "routeros_wireless_channel_width_hertz",
        "channel_width_mhz",
        "Width of its channel.",
        _HERTZ_IN_MHZ,
    ),
    _radio_value("routeros_wireless_noise_floor_dbm", "noise_floor_dbm", "Noise on its channel."),
    _radio_value("routeros_wireless_transmit_power_dbm", "tx_power_dbm", "Power it sends with."),
    _per_interface("routeros_wireless_clients", "Clients registered.", _client_numbers),
    _per_interface(
        "routeros_wireless_weakest_signal_dbm",
        "Signal of the client that is received worst.",
        _weakest_signals,
    ),
    _client_value("routeros_wireless_client_signal_dbm", "signal_dbm", "Signal received of it."),
    _client_value(
        "routeros_wireless_client_signal_to_noise_db", "signal_to_noise_db", "Signal over noise."
    ),
    _client_value(
        "routeros_wireless_client_transmit_rate_bytes_per_second",
        "tx_rate_bits_per_second",
        "Rate towards the client; times 8: bits.",
        _BITS,
    ),
    _client_value(
        "routeros_wireless_client_receive_rate_bytes_per_second",
        "rx_rate_bits_per_second",
        "Rate from the client; times 8: bits.",
        _BITS,
    ),
    _client_value(
        "routeros_wireless_client_transmit_ccq_ratio",
        "tx_ccq_percent",
        "Connection quality towards the client, 0 to 1.",
        _PERCENT,
    ),
    _client_value(
        "routeros_wireless_client_receive_ccq_ratio",
        "rx_ccq_percent",
        "Connection quality from the client, 0 to 1.",
        _PERCENT,
    ),
    _client_value(
        "routeros_wireless_client_uptime_seconds", "uptime_seconds", "Time since it registered."
    ),
    _client_value(
        "routeros_wireless_client_transmit_bytes_total",
        "tx_bytes_total",
        "Bytes sent to the client since it registered.",
    ),
    _client_value(
        "routeros_wireless_client_receive_bytes_total",
        "rx_bytes_total",
        "Bytes received of the client since it registered.",
    ),
    _client_value(
        "routeros_wireless_client_transmit_packets_total",
        "tx_packets_total",
        "Packets sent to the client since it registered.",
    ),
    _client_value(
        "routeros_wireless_client_receive_packets_total",
        "rx_packets_total",
        "Packets received of the client since it registered.",
    ),
)
