"""Events to rows: per kind, tuples in the order of the table's columns.

The hot path of the service: no object per row but its tuple, and none but bytes for
interfaces (see packed). A slot is encoded once for a message.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from fleet_contracts.codec import DecodedEvent
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    REACHABILITY_UP,
    WirelessClient,
)
from fleet_contracts.subjects import Kind
from fleet_writer import tables
from fleet_writer.packed import PackedRows, pack_interfaces
from fleet_writer.partitions import DAY_MS, Partition, partition_for
from fleet_writer.sensors import SensorIds
from fleet_writer.times import wire_ms
from fleet_writer.words import (
    error_class_word,
    verdict_word,
    wireless_package_word,
)

type Record = tuple[object, ...]
type Rows = list[Record] | PackedRows

_THOUSAND: Final = 1000


class DayRows:
    """The lists that rows of one day go to, one a table."""

    __slots__ = tuple(table.name for table in tables.SAMPLE_TABLES)

    device_status_samples: list[Record]
    health_samples: list[Record]
    sensor_samples: list[Record]
    interface_samples: PackedRows
    wireless_samples: list[Record]
    radio_samples: list[Record]
    wireless_client_samples: list[Record]
    firmware_samples: list[Record]
    firmware_advice_samples: list[Record]
    inventory_samples: list[Record]


class RowSet:
    """The rows of one batch by partition; rows older than their retention are only counted."""

    def __init__(self, sensors: SensorIds, oldest_day: Mapping[str, int]) -> None:
        self.sensors = sensors
        self._oldest_day = oldest_day
        self._days: dict[int, DayRows] = {}
        self._rows: dict[Partition, Rows] = {}
        self._expired: list[Rows] = []

    def add(self, device_id: int, decoded: DecodedEvent) -> None:
        """Add an event's rows, all or, with UnknownSensorError, none."""
        slot_ms = decoded.event.slot_unix_ms
        day = self._days.get(slot_ms // DAY_MS) or self._open_day(slot_ms // DAY_MS)
        _MAKERS[decoded.subject.kind](self, day, device_id, wire_ms(slot_ms), decoded)

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
            rows: Rows = PackedRows() if table is tables.INTERFACE else []
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
    event = decoded.event
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
    day.device_status_samples.append(row)


def _health(rows: RowSet, day: DayRows, device_id: int, slot: bytes, decoded: DecodedEvent) -> None:
    body = decoded.event.health
    given = body.HasField
    row = (
        device_id,
        slot,
        body.cpu_load_percent or (0 if given("cpu_load_percent") else None),
        body.bad_blocks_permille or (0 if given("bad_blocks_permille") else None),
        body.memory_free_bytes or (0 if given("memory_free_bytes") else None),
        body.memory_total_bytes or (0 if given("memory_total_bytes") else None),
        body.disk_free_bytes or (0 if given("disk_free_bytes") else None),
        body.disk_total_bytes or (0 if given("disk_total_bytes") else None),
        body.write_sectors_total or (0 if given("write_sectors_total") else None),
        list(body.cpu_core_load_percent) or None,
    )
    ids = rows.sensors.ids_of(body)
    day.health_samples.append(row)
    readings: dict[int, Record] = {}
    for sensor_id, sensor in zip(ids, body.sensors, strict=True):
        if sensor.HasField("value_thousandths"):
            value = sensor.value_thousandths / _THOUSAND
            record = (device_id, sensor_id, slot, value, None)
        elif sensor.HasField("state"):
            record = (device_id, sensor_id, slot, None, sensor.state)
        else:
            continue
        # A name given twice in one reading keeps its first value.
        readings.setdefault(sensor_id, record)
    day.sensor_samples.extend(readings.values())


def _interfaces(
    _rows: RowSet, day: DayRows, device_id: int, slot: bytes, decoded: DecodedEvent
) -> None:
    packed = pack_interfaces(device_id, slot, decoded)
    if packed:
        day.interface_samples.add(device_id, len(decoded.ids), packed)


def _wireless(
    _rows: RowSet, day: DayRows, device_id: int, slot: bytes, decoded: DecodedEvent
) -> None:
    body = decoded.event.wireless
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
    for client in decoded.clients:
        clients.setdefault(
            (client.mac_address, client.interface), _client_row(device_id, slot, client)
        )
    day.wireless_samples.append(
        (
            device_id,
            slot,
            wireless_package_word(body.package),
            len(body.radios),
            len(decoded.clients),
            body.clients_left_out,
        )
    )
    day.radio_samples.extend(radios.values())
    day.wireless_client_samples.extend(clients.values())


def _client_row(device_id: int, slot: bytes, client: WirelessClient) -> Record:
    given = client.HasField
    return (
        device_id,
        slot,
        client.uptime_seconds or (0 if given("uptime_seconds") else None),
        client.tx_rate_bits_per_second or (0 if given("tx_rate_bits_per_second") else None),
        client.rx_rate_bits_per_second or (0 if given("rx_rate_bits_per_second") else None),
        client.tx_bytes_total or (0 if given("tx_bytes_total") else None),
        client.rx_bytes_total or (0 if given("rx_bytes_total") else None),
        client.tx_packets_total or (0 if given("tx_packets_total") else None),
        client.rx_packets_total or (0 if given("rx_packets_total") else None),
        client.signal_dbm or (0 if given("signal_dbm") else None),
        client.signal_to_noise_db or (0 if given("signal_to_noise_db") else None),
        client.tx_ccq_percent or (0 if given("tx_ccq_percent") else None),
        client.rx_ccq_percent or (0 if given("rx_ccq_percent") else None),
        client.mac_address,
        client.interface,
        client.ssid,
    )


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
