"""Events to rows: per kind, in the order of the table's columns.

The hot path of the service: what comes with every poll is packed, no object per row but
bytes (see packed and packed_samples); what is rare are tuples. A slot is encoded once for
a message.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from struct import error
from typing import Final, cast

from fleet_contracts.codec import DecodedEvent
from fleet_contracts.gen.fleet.v1.events_pb2 import Health, Sensor
from fleet_contracts.subjects import Kind
from fleet_contracts.view import sensor_name
from fleet_writer import tables
from fleet_writer.errors import RefusedRowsError
from fleet_writer.packed import PackedRows, pack_interfaces
from fleet_writer.packed_samples import (
    SamplePacker,
    pack_sensors,
    pack_status,
    pack_wireless,
)
from fleet_writer.partitions import DAY_MS, Partition, partition_for
from fleet_writer.times import wire_ms
from fleet_writer.words import sensor_unit_word, verdict_word

type Record = tuple[object, ...]
type Rows = list[Record] | PackedRows
type SensorKey = tuple[str, str]
"""Name and unit."""
type _WireSensorKey = tuple[int, str, int]

_PACKED: Final = frozenset(
    {
        tables.STATUS,
        tables.HEALTH,
        tables.SENSOR,
        tables.INTERFACE,
        tables.WIRELESS,
        tables.RADIO,
        tables.WIRELESS_CLIENT,
    }
)
_wire_key: Final = attrgetter("known_name", "name", "unit")


class UnknownSensorError(Exception):
    """A sensor has no key in the database yet; the caller makes one and tries again."""


class SensorIds:
    """Surrogate keys of sensors, looked up by what travels."""

    def __init__(self) -> None:
        self._by_wire: dict[_WireSensorKey, int] = {}
        self._by_key: dict[SensorKey, int] = {}

    def learn(self, ids: Mapping[SensorKey, int]) -> None:
        """Add keys read from the database."""
        self._by_key.update(ids)

    def ids_of(self, body: Health, sensors: Sequence[Sensor]) -> list[int]:
        """The keys of a message's sensors; raises UnknownSensorError when one has none yet."""
        try:
            return list(map(self._by_wire.__getitem__, map(_wire_key, sensors)))
        except KeyError:
            if self.unknown(body):
                raise UnknownSensorError from None
            return self.ids_of(body, sensors)

    def unknown(self, body: Health) -> list[SensorKey]:
        """The sensors of a message that have no key yet."""
        missing: list[SensorKey] = []
        for sensor in body.sensors:
            key = (sensor_name(sensor), sensor_unit_word(sensor.unit))
            if key in self._by_key:
                wire = (sensor.known_name, sensor.name, sensor.unit)
                self._by_wire[wire] = self._by_key[key]
            else:
                missing.append(key)
        return missing


class DayRows:
    """The lists that rows of one day go to, one a table."""

    __slots__ = tuple(table.name for table in tables.SAMPLE_TABLES)

    device_status_samples: PackedRows
    health_samples: PackedRows
    sensor_samples: PackedRows
    interface_samples: PackedRows
    wireless_samples: PackedRows
    radio_samples: PackedRows
    wireless_client_samples: PackedRows
    firmware_samples: list[Record]
    firmware_advice_samples: list[Record]
    inventory_samples: list[Record]


class RowSet:
    """The rows of one batch by partition; rows older than their retention are only counted."""

    def __init__(self, sensors: SensorIds, oldest_day: Mapping[str, int]) -> None:
        self.sensors = sensors
        self.packer = SamplePacker()
        self._oldest_day = oldest_day
        self._days: dict[int, DayRows] = {}
        self._rows: dict[Partition, Rows] = {}
        self._expired: list[Rows] = []

    def add(self, device_id: int, decoded: DecodedEvent) -> None:
        """Add an event's rows, all or, with UnknownSensorError, none.

        Raises RefusedRowsError for a value out of its column's range; nothing is added then.
        """
        slot_ms = decoded.event.slot_unix_ms
        day = self._days.get(slot_ms // DAY_MS) or self._open_day(slot_ms // DAY_MS)
        kind = decoded.subject.kind
        try:
            _MAKERS[kind](self, day, device_id, wire_ms(slot_ms), decoded)
        except error as reason:
            raise RefusedRowsError(
                f"{kind.value}: a value out of its column's range: {reason}"
            ) from reason

    @property
    def by_partition(self) -> dict[Partition, Rows]:
        """The rows to store; no empty lists."""
        return {partition: rows for partition, rows in self._rows.items() if rows}

    def counts(self) -> tuple[int, int]:
        """Rows to store, rows that are too old."""
        return sum(map(len, self._rows.values())), sum(map(len, self._expired))

    def _open_day(self, number: int) -> DayRows:
        day = DayRows()
        for table in tables.SAMPLE_TABLES:
            rows: Rows = PackedRows() if table in _PACKED else []
            if number < self._oldest_day[table.name]:
                self._expired.append(rows)
            else:
                rows = self._rows.setdefault(partition_for(table, number), rows)
            setattr(day, table.name, rows)
        self._days[number] = day
        return day


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows of one table in one piece; the parts stay as they are."""
    if len(parts) == 1:
        return parts[0]
    packed = PackedRows()
    records: list[Record] = []
    for part in parts:
        if isinstance(part, PackedRows):
            packed.extend(part)
        else:
            records.extend(part)
    return packed or records


def rows_by_device(rows: Rows) -> Counter[int]:
    """Number of rows by device id, which is the first column of every table."""
    if isinstance(rows, PackedRows):
        return rows.by_device()
    return Counter(cast("int", record[0]) for record in rows)


type _Maker = Callable[[RowSet, DayRows, int, bytes, DecodedEvent], None]


def _status(
    _rows: RowSet, day: DayRows, device_id: int, slot: bytes, decoded: DecodedEvent
) -> None:
    day.device_status_samples.add(device_id, 1, pack_status(device_id, slot, decoded.event))


def _health(rows: RowSet, day: DayRows, device_id: int, slot: bytes, decoded: DecodedEvent) -> None:
    body = decoded.event.health
    sensors = body.sensors[:]
    readings = pack_sensors(device_id, slot, rows.sensors.ids_of(body, sensors), sensors)
    day.health_samples.add(device_id, 1, rows.packer.health(device_id, slot, body))
    if readings:
        day.sensor_samples.add(device_id, len(readings), b"".join(readings))


def _interfaces(
    _rows: RowSet, day: DayRows, device_id: int, slot: bytes, decoded: DecodedEvent
) -> None:
    packed = pack_interfaces(device_id, slot, decoded)
    if packed:
        day.interface_samples.add(device_id, len(decoded.ids), packed)


def _wireless(
    rows: RowSet, day: DayRows, device_id: int, slot: bytes, decoded: DecodedEvent
) -> None:
    body = decoded.event.wireless
    radios = body.radios[:]
    clients = decoded.clients
    row = pack_wireless(device_id, slot, body, len(radios), len(clients))
    radio_rows = rows.packer.radios(device_id, slot, radios)
    client_count, client_rows = rows.packer.clients(device_id, slot, clients)
    day.wireless_samples.add(device_id, 1, row)
    if radio_rows:
        day.radio_samples.add(device_id, len(radio_rows), b"".join(radio_rows))
    if client_count:
        day.wireless_client_samples.add(device_id, client_count, client_rows)


def _firmware(
    _rows: RowSet, day: DayRows, device_id: int, slot: bytes, decoded: DecodedEvent
) -> None:
    body = decoded.event.firmware
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
    day.firmware_samples.append(row)


def _advice(
    _rows: RowSet, day: DayRows, device_id: int, slot: bytes, decoded: DecodedEvent
) -> None:
    body = decoded.event.firmware_advice
    row = (
        device_id,
        slot,
        body.routerboot_upgrade_available,
        verdict_word(body.verdict),
        body.installed_version,
        body.channel,
        body.latest_version,
    )
    day.firmware_advice_samples.append(row)


def _inventory(
    _rows: RowSet, day: DayRows, device_id: int, slot: bytes, decoded: DecodedEvent
) -> None:
    body = decoded.event.inventory
    row = (device_id, slot, body.revision, len(body.interfaces), body.identity, body.version)
    day.inventory_samples.append(row)


_MAKERS: Final[dict[Kind, _Maker]] = {
    Kind.STATUS: _status,
    Kind.HEALTH: _health,
    Kind.INTERFACES: _interfaces,
    Kind.WIRELESS: _wireless,
    Kind.FIRMWARE: _firmware,
    Kind.INVENTORY: _inventory,
    Kind.FIRMWARE_ADVICE: _advice,
}
