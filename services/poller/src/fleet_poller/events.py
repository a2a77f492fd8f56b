"""Readings to events: the one place where the poller's values become protobuf. Pure.

What is None or empty in a reading stays unset in the message. A failed poll is one
`status` event and nothing else.

Bodies are filled in place: protobuf copies a message that is given to the constructor of
another by writing it out and reading it back.
"""

import zlib
from dataclasses import dataclass
from typing import Final, NamedTuple

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_contracts.codec import encode
from fleet_contracts.columns import pack_bits, pack_columns
from fleet_contracts.subjects import Kind
from fleet_poller.readings import (
    FirmwareReading,
    HealthReading,
    InterfacesReading,
    InventoryReading,
    Package,
    PollReadings,
    Resource,
    SensorReading,
    WirelessReading,
)
from fleet_poller.routeros.errors import ErrorClass

MAX_ERROR_MESSAGE: Final = 200

# Of a Resource's fields, the event has these (the uptime is the status event's).
_RESOURCE_FIELDS: Final = tuple(
    name if name in pb.Health.DESCRIPTOR.fields_by_name else None for name in Resource._fields
)
_SENSOR_NAMES: Final = {
    name.removeprefix("SENSOR_NAME_").lower().replace("_", "-"): number
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
        event = _event(occasion)
        event.inventory.CopyFrom(inventory_message(readings.inventory))
        events.append(OutgoingEvent(Kind.INVENTORY, encode(event)))
    event = _event(occasion)
    status = event.status
    status.reachability = pb.REACHABILITY_UP
    status.rebooted = readings.rebooted
    if readings.uptime_seconds is not None:
        status.uptime_seconds = readings.uptime_seconds
    events.append(OutgoingEvent(Kind.STATUS, encode(event)))
    if readings.health is not None:
        event = _event(occasion)
        _fill_health(event.health, readings.health)
        events.append(OutgoingEvent(Kind.HEALTH, encode(event)))
    if readings.interfaces is not None:
        event = _event(occasion)
        _fill_interfaces(event.interfaces, readings.interfaces)
        events.append(OutgoingEvent(Kind.INTERFACES, encode(event)))
    if readings.wireless is not None:
        event = _event(occasion)
        _fill_wireless(event.wireless, readings.wireless)
        events.append(OutgoingEvent(Kind.WIRELESS, encode(event)))
    if readings.firmware is not None:
        event = _event(occasion)
        _fill_firmware(event.firmware, readings.firmware)
        events.append(OutgoingEvent(Kind.FIRMWARE, encode(event)))
    return events


def failure_event(
    occasion: Occasion, error_class: ErrorClass, message: str, consecutive_failures: int
) -> OutgoingEvent:
    """The one event of a failed poll."""
    event = _event(occasion)
    event.status.CopyFrom(
        pb.Status(
            reachability=pb.REACHABILITY_DOWN,
            error_class=_ERROR_CLASSES[error_class],
            error_message=message[:MAX_ERROR_MESSAGE],
            consecutive_failures=consecutive_failures,
        )
    )
    return OutgoingEvent(Kind.STATUS, encode(event))


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


def _event(occasion: Occasion) -> pb.Event:
    return pb.Event(
        slot_unix_ms=occasion.slot_unix_ms,
        observed_after_slot_ms=occasion.observed_after_slot_ms,
        poll_duration_us=occasion.poll_duration_us,
    )


def _fill_health(message: pb.Health, reading: HealthReading) -> None:
    message.SetInParent()  # a router may give none of all this
    for name, value in zip(_RESOURCE_FIELDS, reading.resource, strict=True):
        if name is not None and value is not None:
            setattr(message, name, value)
    message.cpu_core_load_percent.extend(reading.cpu_core_load_percent)
    for sensor in reading.sensors:
        _add_sensor(message, sensor)


def _add_sensor(message: pb.Health, reading: SensorReading) -> None:
    known = _SENSOR_NAMES.get(reading.name)
    message.sensors.add(
        known_name=known,
        name=None if known is not None else reading.name,
        unit=pb.SENSOR_UNIT_STATE
        if reading.state is not None
        else _SENSOR_UNITS.get(reading.unit, pb.SENSOR_UNIT_UNSPECIFIED),
        value_thousandths=reading.value_thousandths,
        state=reading.state,
    )


def _fill_interfaces(message: pb.Interfaces, reading: InterfacesReading) -> None:
    counters = reading.counters
    message.ids.extend(counters.ids)
    message.running_bitmap = pack_bits(counters.running)
    message.disabled_bitmap = pack_bits(counters.disabled)
    message.inventory_revision = reading.inventory_revision
    for id_, times in reading.link_changes:
        message.link_changes.add(
            id=id_,
            last_up_router_unix_seconds=times.last_up_router_unix_seconds,
            last_down_router_unix_seconds=times.last_down_router_unix_seconds,
        )
    pack_columns(message, counters.columns)


def _fill_wireless(message: pb.Wireless, reading: WirelessReading) -> None:
    # Field names of the readings and of the messages are the same, on purpose.
    message.package = _PACKAGES[reading.package]
    message.clients_left_out = reading.clients_left_out
    for radio in reading.radios:
        message.radios.add(**radio._asdict())
    for client in reading.clients:
        message.clients.add(**client._asdict())


def _fill_firmware(message: pb.Firmware, reading: FirmwareReading) -> None:
    message.SetInParent()  # a router may give none of all this
    message.installed_version = reading.installed_version
    message.channel = reading.channel
    message.latest_version = reading.latest_version
    message.architecture = reading.architecture
    message.routerboot_current = reading.routerboot_current
    message.routerboot_upgrade = reading.routerboot_upgrade
    message.routerboot_factory = reading.routerboot_factory
    if reading.routerboard is not None:
        message.routerboard = reading.routerboard
