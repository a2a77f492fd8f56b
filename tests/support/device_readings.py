"""Readings in which a router gives everything there is, and the parts to make others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from fleet_poller.events import inventory_message
from fleet_poller.exposition.families import Group
from fleet_poller.parse.interfaces import parse_counters
from fleet_poller.readings import (
    FirmwareReading,
    HealthReading,
    InterfaceDescription,
    InterfacesReading,
    InventoryReading,
    LinkTimes,
    Package,
    PollReadings,
    Radio,
    Resource,
    SensorReading,
    WirelessClient,
    WirelessReading,
)

ALL_GROUPS = frozenset(Group)


def interface_description(
    id_: int, name: str, comment: str = "", **changes: object
) -> InterfaceDescription:
    """One interface of which only the name is known, and what `changes` say."""
    plain = InterfaceDescription(
        id=id_,
        name=name,
        default_name="",
        type="ether",
        mac_address=None,
        mtu=None,
        actual_mtu=None,
        l2mtu=None,
        comment=comment,
        slave=None,
        link_rate_bits_per_second=None,
        full_duplex=None,
        link_times=LinkTimes(None, None),
    )
    return replace(plain, **changes) if changes else plain


def inventory_reading(*interfaces: InterfaceDescription) -> InventoryReading:
    """A router with these interfaces."""
    return InventoryReading(
        identity="core",
        board_name="RB5009UG+S+",
        model="RB5009UG+S+",
        serial_number="HEX0123",
        architecture="arm64",
        version="7.20.1 (stable)",
        platform="MikroTik",
        cpu_name="ARM64",
        cpu_count=2,
        cpu_frequency_mhz=1_700,
        license_level="5",
        factory_software="7.1",
        interfaces=interfaces,
    )


def interfaces_reading(
    rows: Sequence[Mapping[bytes, bytes]], ids: Sequence[int]
) -> Callable[[int], InterfacesReading]:
    """Counters as a router prints them; call it with the inventory's revision."""
    counters = parse_counters([dict(row) for row in rows], ids)
    return lambda revision: InterfacesReading(counters, (), revision)


def full_readings(*, interfaces: int = 2, clients: int = 2) -> PollReadings:
    """Everything a router may give: each family of device metrics has a sample."""
    inventory = inventory_reading(
        *(
            interface_description(
                number,
                f"ether{number}",
                comment=f"port {number}",
                default_name=f"ether{number}",
                mac_address=bytes([2, 0, 0, 0, 1, number]),
                mtu=1_500,
                slave=number > 1,
                link_rate_bits_per_second=10**9,
                full_duplex=True,
            )
            for number in range(1, interfaces + 1)
        )
    )
    rows = [_counter_row(number) for number in range(1, interfaces + 1)]
    counters = interfaces_reading(rows, range(1, interfaces + 1))
    return PollReadings(
        uptime_seconds=86_400,
        rebooted=False,
        health=_health(),
        interfaces=counters(inventory_message(inventory).revision),
        wireless=_wireless(clients),
        firmware=FirmwareReading(
            "7.20.1", "stable", "7.20.2", "arm64", "7.20", "7.20.1", "7.1", routerboard=True
        ),
        inventory=inventory,
    )


def _counter_row(number: int) -> Mapping[bytes, bytes]:
    large = b"%d" % (2**63 // number)
    return {
        b"rx-byte": large,
        b"tx-byte": b"7000000000",
        b"rx-packet": b"9000000",
        b"tx-packet": b"8000000",
        b"rx-error": b"0",
        b"tx-error": b"0",
        b"rx-drop": b"0",
        b"tx-drop": b"0",
        b"tx-queue-drop": b"3",
        b"link-downs": b"1",
        b"running": b"true",
        b"disabled": b"false",
    }


def _health() -> HealthReading:
    return HealthReading(
        Resource(86_400, 7, 600_000_000, 1 << 30, 900_000_000, 1 << 30, 2, 4_242, 2),
        (6, 8),
        (
            SensorReading("cpu-temperature", "C", 38_500, None),
            SensorReading("voltage", "V", 24_100, None),
            SensorReading("current", "A", 412, None),
            SensorReading("power-consumption", "W", 9_900, None),
            SensorReading("fan1-speed", "RPM", 3_165_000, None),
            SensorReading("battery", "%", 85_000, None),
            SensorReading("lightning-strikes", "", 2_000, None),
            SensorReading("psu1-state", "", None, "ok"),
        ),
    )


def _wireless(clients: int) -> WirelessReading:
    radio = Radio("wifi1", 5_180, 80, -105, None, True, "office", "5ghz-ax", 20)
    return WirelessReading(Package.WIFI, (radio,), tuple(map(_client, range(1, clients + 1))), 0)


def _client(number: int) -> WirelessClient:
    return WirelessClient(
        mac_address=bytes([2, 0, 0, 0, number >> 8, number & 255]),
        interface="wifi1",
        signal_dbm=-51 - 20 * (number > 1),
        signal_to_noise_db=44,
        tx_rate_bits_per_second=1_200_000_000,
        rx_rate_bits_per_second=960_000_000,
        tx_ccq_percent=93,
        rx_ccq_percent=88,
        uptime_seconds=1_234,
        tx_bytes_total=5_000_000,
        rx_bytes_total=600_000,
        tx_packets_total=4_000,
        rx_packets_total=3_000,
        ssid="office",
    )
