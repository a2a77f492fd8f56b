"""Events to rows: per kind, tuples in the order of the table's columns.

The hot path of the service: no object per row but its tuple, columns zipped straight
from the message. A slot's datetime is made once for a message.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from typing import Final

from fleet_contracts.codec import DecodedEvent
from fleet_contracts.columns import unpack_bits, unpack_totals
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    REACHABILITY_UP,
    Event,
    Health,
    Sensor,
    WirelessClient,
)
from fleet_contracts.subjects import Kind
from fleet_contracts.view import sensor_name
from fleet_writer import tables
from fleet_writer.partitions import DAY_MS, Partition, partition_for
from fleet_writer.tables import SampleTable
from fleet_writer.words import (
    error_class_word,
    sensor_unit_word,
    verdict_word,
    wireless_package_word,
)

type Record = tuple[object, ...]
type SensorKey = tuple[str, str]
"""Name and unit."""
type _WireSensorKey = tuple[int, str, int]

_THOUSAND: Final = 1000


class SensorIds:
    """Surrogate keys of sensors, looked up by what travels."""

    def __init__(self) -> None:
        self._by_wire: dict[_WireSensorKey, int] = {}
        self._by_key: dict[SensorKey, int] = {}

    def learn(self, ids: Mapping[SensorKey, int]) -> None:
        """Add keys read from the database."""
        self._by_key.update(ids)

    def unknown(self, body: Health) -> list[SensorKey]:
        """The sensors of a message that have no key yet."""
        return [key for sensor in body.sensors if (key := self._find(sensor)) is not None]

    def id_of(self, sensor: Sensor) -> int:
        """The key of a sensor that `unknown` did not name."""
        return self._by_wire[sensor.known_name, sensor.name, sensor.unit]

    def _find(self, sensor: Sensor) -> SensorKey | None:
        wire = (sensor.known_name, sensor.name, sensor.unit)
        if wire in self._by_wire:
            return None
        key = (sensor_name(sensor), sensor_unit_word(sensor.unit))
        if key not in self._by_key:
            return key
        self._by_wire[wire] = self._by_key[key]
        return None


@dataclass(slots=True)
class RowSet:
    """The rows of one batch by partition; rows older than their retention are only counted."""

    sensors: SensorIds
    oldest_day: Mapping[str, int]
    by_partition: dict[Partition, list[Record]] = field(default_factory=dict)
    expired: int = 0
    _cache: dict[tuple[str, int], list[Record]] = field(default_factory=dict)

    def add(self, device_id: int, slot: datetime, decoded: DecodedEvent) -> int:
        """Add an event's rows; returns how many will be stored."""
        event = decoded.event
        day = event.slot_unix_ms // DAY_MS
        stored = 0
        for table, records in _MAKERS[decoded.subject.kind](self, device_id, slot, event):
            if not records:
                continue
            if day < self.oldest_day[table.name]:
                self.expired += len(records)
                continue
            self._list(table, day).extend(records)
            stored += len(records)
        return stored

    def _list(self, table: SampleTable, day: int) -> list[Record]:
        rows = self._cache.get((table.name, day))
        if rows is None:
            rows = self.by_partition.setdefault(partition_for(table, day), [])
            self._cache[table.name, day] = rows
        return rows


type _Made = tuple[tuple[SampleTable, list[Record]], ...]
type _Maker = Callable[[RowSet, int, datetime, Event], _Made]


def _status(_rows: RowSet, device_id: int, slot: datetime, event: Event) -> _Made:
    body = event.status
    up = body.reachability == REACHABILITY_UP
    row = (
        device_id,
        slot,
        up,
        body.rebooted,
        body.uptime_seconds if body.HasField("uptime_seconds") else None,
        body.consecutive_failures,
        event.observed_after_slot_ms,
        event.poll_duration_us,
        None if up else error_class_word(body.error_class),
    )
    return ((tables.STATUS, [row]),)


def _health(rows: RowSet, device_id: int, slot: datetime, event: Event) -> _Made:
    body = event.health
    given = body.HasField
    row = (
        device_id,
        slot,
        body.cpu_load_percent if given("cpu_load_percent") else None,
        body.bad_blocks_permille if given("bad_blocks_permille") else None,
        body.memory_free_bytes if given("memory_free_bytes") else None,
        body.memory_total_bytes if given("memory_total_bytes") else None,
        body.disk_free_bytes if given("disk_free_bytes") else None,
        body.disk_total_bytes if given("disk_total_bytes") else None,
        body.write_sectors_total if given("write_sectors_total") else None,
        list(body.cpu_core_load_percent) or None,
    )
    id_of = rows.sensors.id_of
    readings: dict[int, Record] = {}
    for sensor in body.sensors:
        sensor_id = id_of(sensor)
        if sensor.HasField("value_thousandths"):
            reading = (sensor.value_thousandths / _THOUSAND, None)
        elif sensor.HasField("state"):
            reading = (None, sensor.state)
        else:
            continue
        # A name given twice in one reading keeps its first value.
        readings.setdefault(sensor_id, (device_id, sensor_id, slot, *reading))
    return ((tables.HEALTH, [row]), (tables.SENSOR, list(readings.values())))


def _interfaces(_rows: RowSet, device_id: int, slot: datetime, event: Event) -> _Made:
    body = event.interfaces
    ids = body.ids
    count = len(ids)
    records: list[Record] = list(
        zip(
            repeat(device_id, count),
            repeat(slot, count),
            ids,
            unpack_bits(body.running_bitmap, count),
            unpack_bits(body.disabled_bitmap, count),
            *unpack_totals(body),
            strict=True,
        )
    )
    return ((tables.INTERFACE, records),)


def _wireless(_rows: RowSet, device_id: int, slot: datetime, event: Event) -> _Made:
    body = event.wireless
    radios: dict[str, Record] = {}
    for radio in body.radios:
        given = radio.HasField
        radios.setdefault(
            radio.interface,
            (
                device_id,
                slot,
                radio.frequency_mhz if given("frequency_mhz") else None,
                radio.channel_width_mhz if given("channel_width_mhz") else None,
                radio.noise_floor_dbm if given("noise_floor_dbm") else None,
                radio.tx_power_dbm if given("tx_power_dbm") else None,
                radio.clients_count if given("clients_count") else None,
                radio.running if given("running") else None,
                radio.interface,
                radio.ssid,
                radio.band,
            ),
        )
    clients: dict[tuple[bytes, str], Record] = {}
    for client in body.clients:
        clients.setdefault(
            (client.mac_address, client.interface), _client_row(device_id, slot, client)
        )
    row = (
        device_id,
        slot,
        wireless_package_word(body.package),
        len(body.radios),
        len(body.clients),
        body.clients_left_out,
    )
    return (
        (tables.WIRELESS, [row]),
        (tables.RADIO, list(radios.values())),
        (tables.WIRELESS_CLIENT, list(clients.values())),
    )


def _client_row(device_id: int, slot: datetime, client: WirelessClient) -> Record:
    given = client.HasField
    return (
        device_id,
        slot,
        client.uptime_seconds if given("uptime_seconds") else None,
        client.tx_rate_bits_per_second if given("tx_rate_bits_per_second") else None,
        client.rx_rate_bits_per_second if given("rx_rate_bits_per_second") else None,
        client.tx_bytes_total if given("tx_bytes_total") else None,
        client.rx_bytes_total if given("rx_bytes_total") else None,
        client.tx_packets_total if given("tx_packets_total") else None,
        client.rx_packets_total if given("rx_packets_total") else None,
        client.signal_dbm if given("signal_dbm") else None,
        client.signal_to_noise_db if given("signal_to_noise_db") else None,
        client.tx_ccq_percent if given("tx_ccq_percent") else None,
        client.rx_ccq_percent if given("rx_ccq_percent") else None,
        client.mac_address,
        client.interface,
        client.ssid,
    )


def _firmware(_rows: RowSet, device_id: int, slot: datetime, event: Event) -> _Made:
    body = event.firmware
    row = (
        device_id,
        slot,
        body.routerboard if body.HasField("routerboard") else None,
        body.installed_version,
        body.channel,
        body.latest_version,
        body.architecture,
        body.routerboot_current,
        body.routerboot_upgrade,
        body.routerboot_factory,
    )
    return ((tables.FIRMWARE, [row]),)


def _advice(_rows: RowSet, device_id: int, slot: datetime, event: Event) -> _Made:
    body = event.firmware_advice
    row = (
        device_id,
        slot,
        body.routerboot_upgrade_available,
        verdict_word(body.verdict),
        body.installed_version,
        body.channel,
        body.latest_version,
    )
    return ((tables.FIRMWARE_ADVICE, [row]),)


def _inventory(_rows: RowSet, device_id: int, slot: datetime, event: Event) -> _Made:
    body = event.inventory
    row = (device_id, slot, body.revision, len(body.interfaces), body.identity, body.version)
    return ((tables.INVENTORY, [row]),)


_MAKERS: Final[dict[Kind, _Maker]] = {
    Kind.STATUS: _status,
    Kind.HEALTH: _health,
    Kind.INTERFACES: _interfaces,
    Kind.WIRELESS: _wireless,
    Kind.FIRMWARE: _firmware,
    Kind.INVENTORY: _inventory,
    Kind.FIRMWARE_ADVICE: _advice,
}
