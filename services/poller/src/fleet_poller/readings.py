"""What one poll has read of one router, as typed values. None is "the router gave none".

The hot ones are NamedTuples (built in a third of a frozen dataclass's time).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from fleet_contracts.subjects import Kind


class Package(StrEnum):
    """The software that drives a router's radios; decides on menus and formats."""

    WIRELESS = "wireless"
    WIFIWAVE2 = "wifiwave2"
    WIFI = "wifi"
    CAPSMAN = "capsman"
    WIFI_CAPSMAN = "wifi-capsman"


class Resource(NamedTuple):
    """`/system/resource` at one moment."""

    uptime_seconds: int | None
    cpu_load_percent: int | None
    memory_free_bytes: int | None
    memory_total_bytes: int | None
    disk_free_bytes: int | None
    disk_total_bytes: int | None
    bad_blocks_permille: int | None
    write_sectors_total: int | None
    cpu_count: int | None


class SensorReading(NamedTuple):
    """One sensor. `unit` is RouterOS' own (`C`, `V`, `A`, `W`, `RPM`, `%`, empty: unknown).

    Either a number in thousandths of the unit or a word (`ok`, `fail`).
    """

    name: str
    unit: str
    value_thousandths: int | None
    state: str | None


class LinkTimes(NamedTuple):
    """When a link last went up and down, by the router's clock, seconds since 1970."""

    last_up_router_unix_seconds: int | None
    last_down_router_unix_seconds: int | None


class Counters(NamedTuple):
    """All interfaces at one moment, as columns: entry n of each belongs to ids[n].

    `columns` runs parallel to fleet_contracts.codec.COUNTER_COLUMNS; within one, each
    value is the counter plus one, and 0 where the router gave none (the wire form).
    """

    ids: Sequence[int]
    running: Sequence[bool]
    disabled: Sequence[bool]
    columns: Sequence[Sequence[int]]


class Radio(NamedTuple):
    """One radio (or virtual access point) at one moment."""

    interface: str
    frequency_mhz: int | None
    channel_width_mhz: int | None
    noise_floor_dbm: int | None
    clients_count: int | None
    running: bool | None
    ssid: str
    band: str
    tx_power_dbm: int | None


class WirelessClient(NamedTuple):
    """One row of a registration table."""

    mac_address: bytes
    interface: str
    signal_dbm: int | None
    signal_to_noise_db: int | None
    tx_rate_bits_per_second: int | None
    rx_rate_bits_per_second: int | None
    tx_ccq_percent: int | None
    rx_ccq_percent: int | None
    uptime_seconds: int | None
    tx_bytes_total: int | None
    rx_bytes_total: int | None
    tx_packets_total: int | None
    rx_packets_total: int | None
    ssid: str


@dataclass(frozen=True, slots=True)
class WirelessReading:
    """All radios and the first clients (at most the bound, the rest counted)."""

    package: Package
    radios: tuple[Radio, ...]
    clients: tuple[WirelessClient, ...]
    clients_left_out: int


@dataclass(frozen=True, slots=True)
class HealthReading:
    """Load, memory, disk, and every sensor."""

    resource: Resource
    cpu_core_load_percent: tuple[int, ...]
    sensors: tuple[SensorReading, ...]


@dataclass(frozen=True, slots=True)
class InterfacesReading:
    """Counters, and the links that changed since the inventory of `inventory_revision`."""

    counters: Counters
    link_changes: tuple[tuple[int, LinkTimes], ...]
    inventory_revision: int


@dataclass(frozen=True, slots=True)
class FirmwareReading:
    """Versions of packages and RouterBOOT; empty text is "not given"."""

    installed_version: str
    channel: str
    latest_version: str
    architecture: str
    routerboot_current: str
    routerboot_upgrade: str
    routerboot_factory: str
    routerboard: bool | None


@dataclass(frozen=True, slots=True)
class InterfaceDescription:
    """What rarely changes about one interface; empty text is "not given"."""

    id: int
    name: str
    default_name: str
    type: str
    mac_address: bytes | None
    mtu: int | None
    actual_mtu: int | None
    l2mtu: int | None
    comment: str
    slave: bool | None
    link_rate_bits_per_second: int | None
    full_duplex: bool | None
    link_times: LinkTimes


@dataclass(frozen=True, slots=True)
class InventoryReading:
    """What rarely changes about a router; empty text is "not given"."""

    identity: str
    board_name: str
    model: str
    serial_number: str
    architecture: str
    version: str
    platform: str
    cpu_name: str
    cpu_count: int | None
    cpu_frequency_mhz: int | None
    license_level: str
    factory_software: str
    interfaces: tuple[InterfaceDescription, ...]


@dataclass(frozen=True, slots=True)
class PollReadings:
    """One successful poll. None: not due at this slot, or the router has no such menu."""

    uptime_seconds: int | None
    rebooted: bool
    health: HealthReading | None = None
    interfaces: InterfacesReading | None = None
    wireless: WirelessReading | None = None
    firmware: FirmwareReading | None = None
    inventory: InventoryReading | None = None
    forbidden: tuple[str, ...] = ()
    """Commands that this poll learned the router's user may not give."""
    refused: tuple[str, ...] = ()
    """Commands that the router refused this time only, with its words."""
    omitted: frozenset[Kind] = frozenset()
    """Kinds that were due and have no reading because of these; read with the next poll."""
    left_alone: tuple[str, ...] = ()
    """Commands refused for so long, with its words, that the readings go without them now."""
