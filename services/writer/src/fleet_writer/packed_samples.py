"""Rows of the other tables that come with every poll, in COPY's binary format.

As for interfaces (see packed, which tells the format), no value of a row goes through an
encoder of its own. Columns that may be NULL give a row several layouts; the next row has
nearly always the one of the row before.

A `slot` is a timestamptz as it travels. A value out of its column's range raises
struct.error.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from operator import attrgetter
from struct import Struct, calcsize
from typing import Any, Final, Protocol

from fleet_contracts.gen.fleet.v1.events_pb2 import (
    REACHABILITY_UP,
    Event,
    Health,
    Radio,
    Sensor,
    Wireless,
    WirelessClient,
)
from fleet_writer import tables
from fleet_writer.packed import NULL, PLACE
from fleet_writer.words import error_class_word, wireless_package_word

_LENGTH: Final = Struct(">i")
_STATUS: Final = Struct(">hiii8si?i?iqiqiqiqi")
_STATUS_REST: Final = Struct(">i?i?iqiqiqiq")
_STATUS_REST_NO_UPTIME: Final = Struct(">i?i?iiqiqiq")
_WIRELESS_COUNTS: Final = Struct(">iiiiiq")
_SENSOR_VALUE: Final = Struct(">hiiiii8sidi")
_SENSOR_STATE: Final = Struct(">hiiiii8si")
_INT2_OID: Final = 21
_MAC_BYTES: Final = 6
_CACHED_CHARACTERS: Final = 64
_THOUSAND: Final = 1000

_STATUS_COLUMNS: Final = len(tables.STATUS.columns)
_HEALTH_COLUMNS: Final = len(tables.HEALTH.columns)
_SENSOR_COLUMNS: Final = len(tables.SENSOR.columns)
_WIRELESS_COLUMNS: Final = len(tables.WIRELESS.columns)
_RADIO_COLUMNS: Final = len(tables.RADIO.columns)
_CLIENT_COLUMNS: Final = len(tables.WIRELESS_CLIENT.columns)
# In the order of the tables' columns.
_HEALTH: Final = {
    "cpu_load_percent": "h",
    "bad_blocks_permille": "i",
    "memory_free_bytes": "q",
    "memory_total_bytes": "q",
    "disk_free_bytes": "q",
    "disk_total_bytes": "q",
    "write_sectors_total": "q",
}
_RADIO: Final = {
    "frequency_mhz": "i",
    "channel_width_mhz": "i",
    "noise_floor_dbm": "h",
    "tx_power_dbm": "h",
    "clients_count": "i",
    "running": "?",
}
_CLIENT: Final = {
    "uptime_seconds": "q",
    "tx_rate_bits_per_second": "q",
    "rx_rate_bits_per_second": "q",
    "tx_bytes_total": "q",
    "rx_bytes_total": "q",
    "tx_packets_total": "q",
    "rx_packets_total": "q",
    "signal_dbm": "h",
    "signal_to_noise_db": "h",
    "tx_ccq_percent": "h",
    "rx_ccq_percent": "h",
}
_radio_texts: Final = attrgetter("interface", "ssid", "band")
_client_texts: Final = attrgetter("interface", "ssid")


class Message(Protocol):
    """A protobuf message."""

    def HasField(self, field_name: Any, /) -> bool:  # noqa: ANN401, N802 - protobuf's
        """Whether an optional field is given."""
        ...


@dataclass(frozen=True, slots=True)
class _Layout:
    """Of rows in which the same fields are given."""

    absent: tuple[str, ...]
    given: tuple[str, ...]
    values: Callable[[Message], tuple[object, ...]]
    row: Struct
    fields: list[object]
    """The row's beginning, then constants (lengths and NULLs) and values by turns."""


class PackedFields:
    """Neighbouring columns of fixed width behind a row's `place`.

    `optional` are optional fields of a message, `required` such as are always given; the
    letters, by the field's name, are struct's.
    """

    def __init__(self, optional: Mapping[str, str], required: Mapping[str, str]) -> None:
        self._optional = dict(optional)
        self._required = dict(required)
        self._layouts: dict[tuple[bool, ...], _Layout] = {}
        self._last = self._layout((True,) * len(optional))

    def pack(self, start: bytes, messages: Iterable[Message]) -> list[bytes]:
        """Each message's row up to and with these columns; `start` is its `place`."""
        rows: list[bytes] = []
        layout = self._last
        fields = layout.fields
        fields[0] = start
        for message in messages:
            given = message.HasField
            values = layout.values(message)
            if any(map(given, layout.absent)) or (
                0 in values and not all(map(given, layout.given))
            ):
                layout = self._last = self._layout(tuple(map(given, self._optional)))
                fields = layout.fields
                fields[0] = start
                values = layout.values(message)
            fields[2::2] = values
            rows.append(layout.row.pack(*fields))
        return rows

    def _layout(self, given: tuple[bool, ...]) -> _Layout:
        layout = self._layouts.get(given)
        if layout is None:
            layout = self._layouts[given] = self._new_layout(given)
        return layout

    def _new_layout(self, given: tuple[bool, ...]) -> _Layout:
        names = tuple(compress(self._optional, given))
        row_format = f">{PLACE.size}s"
        fields: list[object] = [b""]
        constant = b""
        for name, letter in (self._optional | self._required).items():
            if name not in names and name not in self._required:
                constant += NULL
                continue
            constant += _LENGTH.pack(calcsize(f">{letter}"))
            row_format += f"{len(constant)}s{letter}"
            fields += [constant, 0]
            constant = b""
        return _Layout(
            absent=tuple(name for name in self._optional if name not in names),
            given=names,
            values=_getter((*names, *self._required)),
            row=Struct(f"{row_format}{len(constant)}s"),
            fields=[*fields, constant],
        )


def _getter(names: tuple[str, ...]) -> Callable[[Message], tuple[object, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    # Of one name attrgetter gives the value itself, of none it gives an error.
    return lambda message: tuple(getattr(message, name) for name in names)


class SamplePacker:
    """Packs health and wireless events; one for many, since it knows their layouts then."""

    def __init__(self) -> None:
        self._health = PackedFields(_HEALTH, {})
        self._radios = PackedFields(_RADIO, {})
        self._clients = PackedFields(_CLIENT, {"mac_address": f"{_MAC_BYTES}s"})

    def health(self, device_id: int, slot: bytes, body: Health) -> bytes:
        """The row of the device itself."""
        start = PLACE.pack(_HEALTH_COLUMNS, 4, device_id, 8, slot)
        return self._health.pack(start, (body,))[0] + _smallints(body.cpu_core_load_percent[:])

    def radios(self, device_id: int, slot: bytes, radios: Sequence[Radio]) -> list[bytes]:
        """A row for each; of an interface named twice the first."""
        rows = self._radios.pack(PLACE.pack(_RADIO_COLUMNS, 4, device_id, 8, slot), radios)
        by_interface: dict[str, bytes] = {}
        for row, (interface, ssid, band) in zip(rows, map(_radio_texts, radios), strict=True):
            if interface not in by_interface:
                by_interface[interface] = row + text(interface) + text(ssid) + text(band)
        return list(by_interface.values())

    def clients(
        self, device_id: int, slot: bytes, clients: Sequence[WirelessClient]
    ) -> tuple[int, bytes]:
        """Number of rows and they; of a MAC address twice on an interface the first."""
        rows = self._clients.pack(PLACE.pack(_CLIENT_COLUMNS, 4, device_id, 8, slot), clients)
        texts = list(map(_client_texts, clients))
        if len(set(texts)) == 1 and len({row[-_MAC_BYTES:] for row in rows}) == len(rows):
            interface, ssid = texts[0]
            end = text(interface) + text(ssid)
            return len(rows), end.join(rows) + end
        by_key: dict[tuple[bytes, str], bytes] = {}
        for row, (interface, ssid) in zip(rows, texts, strict=True):
            key = (row[-_MAC_BYTES:], interface)
            if key not in by_key:
                by_key[key] = row + text(interface) + text(ssid)
        return len(by_key), b"".join(by_key.values())


def pack_status(device_id: int, slot: bytes, event: Event) -> bytes:
    """A status event's row."""
    body = event.status
    up = body.reachability == REACHABILITY_UP
    rebooted = body.rebooted
    failures = body.consecutive_failures
    observed = event.observed_after_slot_ms
    duration = event.poll_duration_us
    uptime = body.uptime_seconds
    # fmt: off
    if up and uptime:
        return _STATUS.pack(
            _STATUS_COLUMNS, 4, device_id, 8, slot, 1, up, 1, rebooted,
            8, uptime, 8, failures, 8, observed, 8, duration, -1,
        )
    head = PLACE.pack(_STATUS_COLUMNS, 4, device_id, 8, slot)
    error_class = NULL if up else text(error_class_word(body.error_class))
    if uptime or body.HasField("uptime_seconds"):
        return head + _STATUS_REST.pack(
            1, up, 1, rebooted, 8, uptime, 8, failures, 8, observed, 8, duration
        ) + error_class
    return head + _STATUS_REST_NO_UPTIME.pack(
        1, up, 1, rebooted, -1, 8, failures, 8, observed, 8, duration
    ) + error_class
    # fmt: on


def pack_sensors(
    device_id: int, slot: bytes, ids: Sequence[int], sensors: Sequence[Sensor]
) -> list[bytes]:
    """The rows of the sensors that give something; of one given twice the first reading."""
    rows: dict[int, bytes] = {}
    for sensor_id, sensor in zip(ids, sensors, strict=True):
        if sensor_id in rows:
            continue
        thousandths = sensor.value_thousandths
        if thousandths or sensor.HasField("value_thousandths"):
            value = thousandths / _THOUSAND
            rows[sensor_id] = _SENSOR_VALUE.pack(
                _SENSOR_COLUMNS, 4, device_id, 4, sensor_id, 8, slot, 8, value, -1
            )
        elif sensor.HasField("state"):
            rows[sensor_id] = _SENSOR_STATE.pack(
                _SENSOR_COLUMNS, 4, device_id, 4, sensor_id, 8, slot, -1
            ) + text(sensor.state)
    return list(rows.values())


def pack_wireless(device_id: int, slot: bytes, body: Wireless, radios: int, clients: int) -> bytes:
    """The row of the device itself."""
    return (
        PLACE.pack(_WIRELESS_COLUMNS, 4, device_id, 8, slot)
        + text(wireless_package_word(body.package))
        + _WIRELESS_COUNTS.pack(4, radios, 4, clients, 8, body.clients_left_out)
    )


def text(value: str) -> bytes:
    """A text's field; the texts of routers repeat from poll to poll."""
    return _short_text(value) if len(value) <= _CACHED_CHARACTERS else _text(value)


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _LENGTH.pack(len(encoded)) + encoded


_short_text: Final = lru_cache(maxsize=8192)(_text)


def _smallints(values: Sequence[int]) -> bytes:
    """A smallint[]'s field.

    An array is the number of its dimensions, whether it holds NULLs, its elements' type,
    then for its dimension the size and the first index, then the elements.
    """
    if not values:
        return NULL
    array, fields = _smallints_layout(len(values))
    fields[7::2] = values
    return array.pack(*fields)


@lru_cache(maxsize=256)
def _smallints_layout(count: int) -> tuple[Struct, list[int]]:
    array = Struct(">iiiiii" + "ih" * count)
    return array, [array.size - 4, 1, 0, _INT2_OID, count, 1] + [2, 0] * count
