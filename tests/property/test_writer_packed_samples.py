"""Packed rows of every table but interfaces, read back by an independent reader.

What they must hold is said by the messages' fields, read plainly one by one.
"""

from collections.abc import Callable, Iterable, Mapping
from struct import Struct
from typing import Any, Final, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts.codec import DecodedEvent, decode, encode
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    REACHABILITY_DOWN,
    REACHABILITY_UP,
    ErrorClass,
    Event,
    Health,
    Radio,
    Sensor,
    SensorName,
    SensorUnit,
    Status,
    Wireless,
    WirelessClient,
    WirelessPackage,
)
from fleet_contracts.subjects import Kind
from fleet_contracts.view import sensor_name
from fleet_writer.errors import RefusedRowsError
from fleet_writer.packed import PackedRows
from fleet_writer.rows import RowSet, SensorIds
from fleet_writer.tables import SAMPLE_TABLES
from fleet_writer.times import wire_ms
from fleet_writer.words import error_class_word, sensor_unit_word, wireless_package_word

_SLOT_MS: Final = 1_790_000_000_000
_SLOT: Final = wire_ms(_SLOT_MS)
_DEVICE: Final = 123_456
type Row = tuple[object, ...]
type _Reader = Callable[[bytes], object]


class _HasField(Protocol):
    def HasField(self, field_name: Any, /) -> bool: ...  # noqa: ANN401, N802 - protobuf's


def _fixed(letter: str) -> _Reader:
    """A value of exactly this width."""
    return lambda field: Struct(f">{letter}").unpack(field)[0]


def _smallints(field: bytes) -> list[int]:
    dimensions, has_null, oid, size, first = Struct(">iiiii").unpack_from(field)
    assert (dimensions, has_null, oid, first) == (1, 0, 21, 1)
    elements = list(Struct(">ih").iter_unpack(field[20:]))
    assert len(elements) == size
    assert all(length == 2 for length, _ in elements)
    return [value for _, value in elements]


_INT2, _INT4, _INT8 = _fixed("h"), _fixed("i"), _fixed("q")
_BOOL, _FLOAT8 = _fixed("?"), _fixed("d")
_SLOT_BYTES: Final = bytes
_TEXT: Final = bytes.decode
# By the tables' SQL types in migrations/.
_TYPES: Final[dict[str, tuple[_Reader, ...]]] = {
    "device_status_samples": (
        *(_INT4, _SLOT_BYTES, _BOOL, _BOOL),
        *(_INT8, _INT8, _INT8, _INT8, _TEXT),
    ),
    "health_samples": (_INT4, _SLOT_BYTES, _INT2, _INT4, *(_INT8,) * 5, _smallints),
    "sensor_samples": (_INT4, _INT4, _SLOT_BYTES, _FLOAT8, _TEXT),
    "wireless_samples": (_INT4, _SLOT_BYTES, _TEXT, _INT4, _INT4, _INT8),
    "radio_samples": (
        *(_INT4, _SLOT_BYTES, _INT4, _INT4, _INT2, _INT2, _INT4, _BOOL),
        *(_TEXT, _TEXT, _TEXT),
    ),
    "wireless_client_samples": (
        *(_INT4, _SLOT_BYTES, *(_INT8,) * 7, *(_INT2,) * 4),
        *(bytes, _TEXT, _TEXT),
    ),
}


def _read(table: str, data: bytes) -> list[Row]:
    """Rows of COPY's binary format without header and trailer."""
    types = _TYPES[table]
    rows: list[Row] = []
    position = 0
    while position < len(data):
        assert Struct(">h").unpack_from(data, position) == (len(types),)
        position += 2
        row: list[object] = []
        for read in types:
            (length,) = Struct(">i").unpack_from(data, position)
            position += 4
            if length == -1:
                row.append(None)
                continue
            assert length >= 0
            field = data[position : position + length]
            assert len(field) == length
            row.append(read(field))
            position += length
        rows.append(tuple(row))
    return rows


def _rows(events: Iterable[Event], kind: Kind) -> dict[str, list[Row]]:
    """The rows by table that the writer makes of events, one after the other."""
    sensors = SensorIds()
    rows = RowSet(sensors, {table.name: 0 for table in SAMPLE_TABLES})
    for event in events:
        decoded = _decoded(event, kind)
        if kind is Kind.HEALTH:
            for key in sensors.unknown(decoded.event.health):
                sensors.learn({key: _sensor_id(*key)})
        rows.add(_DEVICE, decoded)
    read: dict[str, list[Row]] = {}
    for partition, packed in rows.by_partition.items():
        assert isinstance(packed, PackedRows)
        name = partition.table.name
        read[name] = _read(name, b"".join(data for _, _, data in packed.events))
        assert len(packed) == len(read[name])
        assert packed.by_device() == {_DEVICE: len(read[name])}
    return read


def _decoded(event: Event, kind: Kind) -> DecodedEvent:
    event.slot_unix_ms = _SLOT_MS
    return decode(f"fleet.north.gw-01.{kind.value}", encode(event))


def _sensor_id(name: str, unit: str) -> int:
    return hash((name, unit)) % (2**31 - 1)


def _given(message: _HasField, names: Iterable[str]) -> Row:
    return tuple(getattr(message, name) if message.HasField(name) else None for name in names)


def _up_to(bits: int) -> st.SearchStrategy[int]:
    """Of an unsigned field whose column is signed; zero and the bounds often."""
    top = 2 ** (bits - 1) - 1
    return st.sampled_from((0, 1, top)) | st.integers(0, top)


def _signed(bits: int) -> st.SearchStrategy[int]:
    bound = 2 ** (bits - 1)
    return st.sampled_from((0, -1, -bound, bound - 1)) | st.integers(-bound, bound - 1)


type _Fields = Mapping[str, st.SearchStrategy[int]]


def _fill(draw: st.DrawFn, message: object, optional: _Fields) -> None:
    """Give some of the optional fields a value."""
    for name, values in optional.items():
        if draw(st.booleans()):
            setattr(message, name, draw(values))


# NUL included: that no text column holds it is for the server to say.
_TEXTS = st.sampled_from(("", "wifi1", "žluť\0")) | st.text(max_size=80)
_CLIENT_NAMES: Final = {
    "uptime_seconds": _up_to(64),
    "tx_rate_bits_per_second": _up_to(64),
    "rx_rate_bits_per_second": _up_to(64),
    "tx_bytes_total": _up_to(64),
    "rx_bytes_total": _up_to(64),
    "tx_packets_total": _up_to(64),
    "rx_packets_total": _up_to(64),
    "signal_dbm": _signed(16),
    "signal_to_noise_db": _up_to(16),
    "tx_ccq_percent": _up_to(16),
    "rx_ccq_percent": _up_to(16),
}
_RADIO_NAMES: Final = {
    "frequency_mhz": _up_to(32),
    "channel_width_mhz": _up_to(32),
    "noise_floor_dbm": _signed(16),
    "tx_power_dbm": _signed(16),
    "clients_count": _up_to(32),
    "running": st.booleans(),
}
_HEALTH_NAMES: Final = {
    "cpu_load_percent": _up_to(16),
    "bad_blocks_permille": _up_to(32),
    "memory_free_bytes": _up_to(64),
    "memory_total_bytes": _up_to(64),
    "disk_free_bytes": _up_to(64),
    "disk_total_bytes": _up_to(64),
    "write_sectors_total": _up_to(64),
}
_MACS = st.sampled_from((bytes(6), b"\x02\0\0\0\0\x01")) | st.binary(min_size=6, max_size=6)
_UINT32 = st.integers(0, 2**32 - 1)


@st.composite
def _clients(draw: st.DrawFn) -> WirelessClient:
    client = WirelessClient(mac_address=draw(_MACS), interface=draw(_TEXTS), ssid=draw(_TEXTS))
    _fill(draw, client, _CLIENT_NAMES)
    return client


@st.composite
def _radios(draw: st.DrawFn) -> Radio:
    radio = Radio(interface=draw(_TEXTS), ssid=draw(_TEXTS), band=draw(_TEXTS))
    _fill(draw, radio, _RADIO_NAMES)
    return radio


@st.composite
def _sensors(draw: st.DrawFn) -> Sensor:
    sensor = Sensor()
    sensor.known_name = draw(
        st.sampled_from((SensorName.SENSOR_NAME_UNSPECIFIED, SensorName.SENSOR_NAME_VOLTAGE))
    )
    sensor.unit = draw(
        st.sampled_from((SensorUnit.SENSOR_UNIT_UNSPECIFIED, SensorUnit.SENSOR_UNIT_CELSIUS))
    )
    if not sensor.known_name:
        sensor.name = draw(_TEXTS)
    match draw(st.sampled_from(("value", "state", "nothing"))):
        case "value":
            sensor.value_thousandths = draw(_signed(64))
        case "state":
            sensor.state = draw(_TEXTS)
        case _:
            pass
    return sensor


@st.composite
def _statuses(draw: st.DrawFn) -> Event:
    event = Event(observed_after_slot_ms=draw(_UINT32), poll_duration_us=draw(_UINT32))
    body = event.status
    body.reachability = draw(st.sampled_from((REACHABILITY_UP, REACHABILITY_DOWN)))
    body.rebooted = draw(st.booleans())
    body.consecutive_failures = draw(_UINT32)
    if body.reachability == REACHABILITY_DOWN:
        body.error_class = draw(
            st.sampled_from((ErrorClass.ERROR_CLASS_UNSPECIFIED, ErrorClass.ERROR_CLASS_TIMEOUT))
        )
    _fill(draw, body, {"uptime_seconds": _up_to(64)})
    return event


@st.composite
def _healths(draw: st.DrawFn) -> Event:
    cores = draw(st.lists(_up_to(16), max_size=5))
    sensors = draw(st.lists(_sensors(), max_size=5))
    event = Event(health=Health(cpu_core_load_percent=cores, sensors=sensors))
    _fill(draw, event.health, _HEALTH_NAMES)
    return event


@st.composite
def _wirelesses(draw: st.DrawFn) -> Event:
    return Event(
        wireless=Wireless(
            package=draw(
                st.sampled_from(
                    (
                        WirelessPackage.WIRELESS_PACKAGE_UNSPECIFIED,
                        WirelessPackage.WIRELESS_PACKAGE_WIFI_CAPSMAN,
                    )
                )
            ),
            clients_left_out=draw(_UINT32),
            radios=draw(st.lists(_radios(), max_size=4)),
            clients=draw(st.lists(_clients(), max_size=6)),
        )
    )


@given(st.lists(_statuses(), min_size=1, max_size=4))
def test_status_rows_hold_what_the_messages_say(events: list[Event]) -> None:
    def row(event: Event) -> Row:
        body = event.status
        up = body.reachability == REACHABILITY_UP
        return (
            *(_DEVICE, _SLOT, up, body.rebooted, *_given(body, ["uptime_seconds"])),
            *(body.consecutive_failures, event.observed_after_slot_ms, event.poll_duration_us),
            None if up else error_class_word(body.error_class),
        )

    assert _rows(events, Kind.STATUS) == {"device_status_samples": [row(one) for one in events]}


@given(st.lists(_healths(), min_size=1, max_size=4))
def test_health_and_sensor_rows_hold_what_the_messages_say(events: list[Event]) -> None:
    health: list[Row] = []
    sensors: list[Row] = []
    for event in events:
        body = event.health
        cores = list(body.cpu_core_load_percent) or None
        health.append((_DEVICE, _SLOT, *_given(body, _HEALTH_NAMES), cores))
        first: dict[int, Row] = {}
        for sensor in body.sensors:
            value, state = _given(sensor, ["value_thousandths", "state"])
            key = _sensor_id(sensor_name(sensor), sensor_unit_word(sensor.unit))
            if value is not None or state is not None:
                number = None if value is None else sensor.value_thousandths / 1000
                first.setdefault(key, (_DEVICE, key, _SLOT, number, state))
        sensors += first.values()

    expected = {"health_samples": health} | ({"sensor_samples": sensors} if sensors else {})
    assert _rows(events, Kind.HEALTH) == expected


@given(st.lists(_wirelesses(), min_size=1, max_size=4))
def test_wireless_rows_hold_what_the_messages_say(events: list[Event]) -> None:
    expected: dict[str, list[Row]] = {}
    for event in events:
        body = event.wireless
        package = wireless_package_word(body.package)
        counts = (len(body.radios), len(body.clients), body.clients_left_out)
        expected.setdefault("wireless_samples", []).append((_DEVICE, _SLOT, package, *counts))
        radios: dict[object, Row] = {}
        for radio in body.radios:
            texts = (radio.interface, radio.ssid, radio.band)
            row = (_DEVICE, _SLOT, *_given(radio, _RADIO_NAMES), *texts)
            radios.setdefault(radio.interface, row)
        clients: dict[object, Row] = {}
        for client in body.clients:
            texts = (client.mac_address, client.interface, client.ssid)
            row = (_DEVICE, _SLOT, *_given(client, _CLIENT_NAMES), *texts)
            clients.setdefault((client.mac_address, client.interface), row)
        for table, rows in (("radio_samples", radios), ("wireless_client_samples", clients)):
            if rows:
                expected.setdefault(table, []).extend(rows.values())

    assert _rows(events, Kind.WIRELESS) == expected


def _client(client: WirelessClient) -> Event:
    client.mac_address = bytes(6)
    return Event(wireless=Wireless(clients=[client]))


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        (Kind.STATUS, Event(status=Status(reachability=REACHABILITY_UP, uptime_seconds=2**63))),
        (Kind.HEALTH, Event(health=Health(memory_free_bytes=2**63))),
        (Kind.HEALTH, Event(health=Health(cpu_load_percent=2**15))),
        (Kind.HEALTH, Event(health=Health(cpu_core_load_percent=[1, 2**15]))),
        (Kind.WIRELESS, Event(wireless=Wireless(radios=[Radio(frequency_mhz=2**31)]))),
        (Kind.WIRELESS, Event(wireless=Wireless(radios=[Radio(noise_floor_dbm=-(2**15) - 1)]))),
        (Kind.WIRELESS, _client(WirelessClient(rx_bytes_total=2**64 - 1))),
        (Kind.WIRELESS, _client(WirelessClient(signal_dbm=2**15))),
    ],
)
def test_a_value_that_no_column_holds_is_refused_with_all_rows_of_its_event(
    kind: Kind, event: Event
) -> None:
    rows = RowSet(SensorIds(), {table.name: 0 for table in SAMPLE_TABLES})
    with pytest.raises(RefusedRowsError, match=f"{kind.value}: a value out of its column's range"):
        rows.add(_DEVICE, _decoded(event, kind))
    assert rows.by_partition == {}
