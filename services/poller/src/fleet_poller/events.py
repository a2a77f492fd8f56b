"""Readings to events: the one place where the poller's values become protobuf. Pure.

What is None or empty in a reading stays unset in the message. A failed poll is one
`status` event and nothing else.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_contracts.codec import COUNTER_COLUMNS, encode
from fleet_contracts.columns import pack_bits
from fleet_contracts.subjects import Kind
from fleet_poller.readings import (
    FirmwareReading,
    HealthReading,
    InterfacesReading,
    InventoryReading,
    LinkTimes,
    Package,
    PollReadings,
    SensorReading,
    WirelessReading,
)
from fleet_poller.routeros.errors import ErrorClass

MAX_ERROR_MESSAGE: Final = 200

_FIRST_COLUMN_FIELD: Final = pb.Interfaces.DESCRIPTOR.fields_by_name[COUNTER_COLUMNS[0]].number
_SENSOR_NAMES: Final = {
    name.removeprefix("SENSOR_NAME_").lower().replace("_", "-"): name
    for name, number in pb.SensorName.items()
    if number
}
_SENSOR_UNITS: Final = {
    "C": pb.SENSOR_UNIT_CELSIUS,
    "V": pb.SENSOR_UNIT_VOLT,
    "A": pb.SENSOR_UNIT_AMPERE,
    "W": pb.SENSOR_UNIT_WATT,
    "RPM": pb.SENSOR_UNIT_RPM,
    "%": pb.SENSOR_UNIT_PERCENT,
}
_PACKAGES: Final = {
    Package.WIRELESS: pb.WIRELESS_PACKAGE_WIRELESS,
    Package.WIFIWAVE2: pb.WIRELESS_PACKAGE_WIFIWAVE2,
    Package.WIFI: pb.WIRELESS_PACKAGE_WIFI,
    Package.CAPSMAN: pb.WIRELESS_PACKAGE_CAPSMAN,
    Package.WIFI_CAPSMAN: pb.WIRELESS_PACKAGE_WIFI_CAPSMAN,
}
_ERROR_CLASSES: Final = {error: f"ERROR_CLASS_{error.name}" for error in ErrorClass}


class OutgoingEvent(NamedTuple):
    """An encoded event, before it gets its subject."""

    kind: Kind
    payload: bytes


@dataclass(frozen=True, slots=True)
class Occasion:
    """When a poll was due, when it was complete, how long its reads took."""

    slot_unix_ms: int
    observed_after_slot_ms: int
    poll_duration_us: int


def poll_events(occasion: Occasion, readings: PollReadings) -> list[OutgoingEvent]:
    """The events of a successful poll: inventory first (others refer to it), status always."""
    events: list[OutgoingEvent] = []
    if readings.inventory is not None:
        inventory = inventory_message(readings.inventory)
        events.append(_event(Kind.INVENTORY, _base(occasion, inventory=inventory)))
    status = pb.Status(
        reachability=pb.REACHABILITY_UP,
        uptime_seconds=readings.uptime_seconds,
        rebooted=readings.rebooted,
    )
    events.append(_event(Kind.STATUS, _base(occasion, status=status)))
    if readings.health is not None:
        health = _health(readings.health)
        events.append(_event(Kind.HEALTH, _base(occasion, health=health)))
    if readings.interfaces is not None:
        interfaces = _interfaces(readings.interfaces)
        events.append(_event(Kind.INTERFACES, _base(occasion, interfaces=interfaces)))
    if readings.wireless is not None:
        wireless = _wireless(readings.wireless)
        events.append(_event(Kind.WIRELESS, _base(occasion, wireless=wireless)))
    if readings.firmware is not None:
        firmware = _firmware(readings.firmware)
        events.append(_event(Kind.FIRMWARE, _base(occasion, firmware=firmware)))
    return events


def failure_event(
    occasion: Occasion, error_class: ErrorClass, message: str, consecutive_failures: int
) -> OutgoingEvent:
    """The one event of a failed poll."""
    status = pb.Status(
        reachability=pb.REACHABILITY_DOWN,
        error_class=_ERROR_CLASSES[error_class],
        error_message=message[:MAX_ERROR_MESSAGE],
        consecutive_failures=consecutive_failures,
    )
    return _event(Kind.STATUS, _base(occasion, status=status))


def inventory_message(reading: InventoryReading) -> pb.Inventory:
    """The inventory with its revision, a hash of everything else in it; never 0."""
    message = pb.Inventory(
        identity=reading.identity,
        board_name=reading.board_name,
        model=reading.model,
        serial_number=reading.serial_number,
        architecture=reading.architecture,
        version=reading.version,
        platform=reading.platform,
        cpu_name=reading.cpu_name,
        cpu_count=reading.cpu_count,
        cpu_frequency_mhz=reading.cpu_frequency_mhz,
        license_level=reading.license_level,
        factory_software=reading.factory_software,
        interfaces=[
            pb.InterfaceDescription(
                id=one.id,
                name=one.name,
                default_name=one.default_name,
                type=one.type,
                mac_address=one.mac_address,
                mtu=one.mtu,
                actual_mtu=one.actual_mtu,
                l2mtu=one.l2mtu,
                comment=one.comment,
                slave=one.slave,
                link_rate_bits_per_second=one.link_rate_bits_per_second,
                full_duplex=one.full_duplex,
                last_up_router_unix_seconds=one.link_times.last_up_router_unix_seconds,
                last_down_router_unix_seconds=one.link_times.last_down_router_unix_seconds,
            )
            for one in reading.interfaces
        ],
    )
    message.revision = zlib.crc32(message.SerializeToString(deterministic=True)) or 1
    return message


def _base(occasion: Occasion, **body: object) -> pb.Event:
    return pb.Event(
        slot_unix_ms=occasion.slot_unix_ms,
        observed_after_slot_ms=occasion.observed_after_slot_ms,
        poll_duration_us=occasion.poll_duration_us,
        **body,  # pyright: ignore[reportArgumentType] - one field of the oneof, chosen above
    )


def _event(kind: Kind, event: pb.Event) -> OutgoingEvent:
    return OutgoingEvent(kind, encode(event))


def _health(reading: HealthReading) -> pb.Health:
    resource = reading.resource
    return pb.Health(
        cpu_load_percent=resource.cpu_load_percent,
        cpu_core_load_percent=reading.cpu_core_load_percent,
        memory_free_bytes=resource.memory_free_bytes,
        memory_total_bytes=resource.memory_total_bytes,
        disk_free_bytes=resource.disk_free_bytes,
        disk_total_bytes=resource.disk_total_bytes,
        bad_blocks_permille=resource.bad_blocks_permille,
        write_sectors_total=resource.write_sectors_total,
        sensors=[_sensor(sensor) for sensor in reading.sensors],
    )


def _sensor(reading: SensorReading) -> pb.Sensor:
    known = _SENSOR_NAMES.get(reading.name)
    unit = (
        pb.SENSOR_UNIT_STATE
        if reading.state is not None
        else _SENSOR_UNITS.get(reading.unit, pb.SENSOR_UNIT_UNSPECIFIED)
    )
    return pb.Sensor(
        known_name=known,
        name=None if known is not None else reading.name,
        unit=unit,
        value_thousandths=reading.value_thousandths,
        state=reading.state,
    )


def _interfaces(reading: InterfacesReading) -> pb.Interfaces:
    counters = reading.counters
    message = pb.Interfaces(
        ids=counters.ids,
        running_bitmap=pack_bits(counters.running),
        disabled_bitmap=pack_bits(counters.disabled),
        inventory_revision=reading.inventory_revision,
        link_changes=[_link_change(id_, times) for id_, times in reading.link_changes],
    )
    zero_columns = 0
    for position, column in enumerate(counters.columns):
        if not any(column):
            continue  # no interface gave it
        if max(column) == 1 and min(column) == 1:
            zero_columns |= 1 << (_FIRST_COLUMN_FIELD + position)
            continue
        _column(message, position).extend(column)
    message.zero_columns = zero_columns
    return message


def _column(message: pb.Interfaces, position: int) -> "_Column":
    return getattr(message, COUNTER_COLUMNS[position])


class _Column(Sequence[int]):
    """What protobuf's repeated scalar is to us."""

    def extend(self, values: Sequence[int]) -> None: ...


def _link_change(id_: int, times: LinkTimes) -> pb.LinkChange:
    return pb.LinkChange(
        id=id_,
        last_up_router_unix_seconds=times.last_up_router_unix_seconds,
        last_down_router_unix_seconds=times.last_down_router_unix_seconds,
    )


def _wireless(reading: WirelessReading) -> pb.Wireless:
    # Field names of the readings and of the messages are the same, on purpose.
    return pb.Wireless(
        package=_PACKAGES[reading.package],
        radios=[pb.Radio(**radio._asdict()) for radio in reading.radios],
        clients=[pb.WirelessClient(**client._asdict()) for client in reading.clients],
        clients_left_out=reading.clients_left_out,
    )


def _firmware(reading: FirmwareReading) -> pb.Firmware:
    return pb.Firmware(
        installed_version=reading.installed_version,
        channel=reading.channel,
        latest_version=reading.latest_version,
        architecture=reading.architecture,
        routerboot_current=reading.routerboot_current,
        routerboot_upgrade=reading.routerboot_upgrade,
        routerboot_factory=reading.routerboot_factory,
        routerboard=reading.routerboard,
    )
