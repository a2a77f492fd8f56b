"""Packed interface rows, read back by an independent reader, against the contract's rows."""

from struct import Struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts.codec import COUNTER_COLUMNS, DecodedEvent, decode, encode
from fleet_contracts.columns import InterfaceReading, pack, unpack
from fleet_contracts.gen.fleet.v1.events_pb2 import Event
from fleet_writer.errors import RefusedRowsError
from fleet_writer.packed import PackedRows, pack_interfaces
from fleet_writer.tables import INTERFACE
from fleet_writer.times import wire_ms

_SLOT_MS = 1_790_000_000_000
_DEVICE = 123_456
# A column of one sort is the rule, a mixed one the exception; each has a way of its own.
_COLUMN_SORTS = st.sampled_from(
    (
        st.just(0),
        st.none(),
        st.integers(0, 2**63 - 1),
        st.one_of(st.none(), st.just(0), st.integers(0, 2**63 - 1)),
    )
)
# OIDs do not travel in COPY: what the table's columns are is what decides the widths.
_WIDTHS = {"device_id": "i", "slot": "8s", "interface_id": "q", "running": "?", "disabled": "?"}
type Row = tuple[object, ...]


@st.composite
def readings(draw: st.DrawFn) -> list[InterfaceReading]:
    ids = draw(st.lists(st.integers(0, 2**32 - 1), unique=True, max_size=20))
    columns = [
        draw(st.lists(draw(_COLUMN_SORTS), min_size=len(ids), max_size=len(ids)))
        for _ in COUNTER_COLUMNS
    ]
    return [
        InterfaceReading(
            id_, draw(st.booleans()), draw(st.booleans()), tuple(column[n] for column in columns)
        )
        for n, id_ in enumerate(ids)
    ]


def _decoded(given_readings: list[InterfaceReading]) -> DecodedEvent:
    event = Event(slot_unix_ms=_SLOT_MS, interfaces=pack(given_readings, 7))
    return decode("fleet.north.gw-01.interfaces", encode(event))


def _packed(given_readings: list[InterfaceReading]) -> bytes:
    return pack_interfaces(_DEVICE, wire_ms(_SLOT_MS), _decoded(given_readings))


def _read(data: bytes) -> list[Row]:
    """The rows of COPY's binary format without its header, by the column's type."""
    rows: list[Row] = []
    position = 0
    while position < len(data):
        (fields,) = Struct(">h").unpack_from(data, position)
        assert fields == len(INTERFACE.columns)
        position += 2
        row: list[object] = []
        for name in INTERFACE.columns:
            (length,) = Struct(">i").unpack_from(data, position)
            position += 4
            if length == -1:
                row.append(None)
                continue
            value = Struct(f">{_WIDTHS.get(name, 'q')}")
            assert length == value.size
            row += value.unpack_from(data, position)
            position += length
        rows.append(tuple(row))
    return rows


@given(readings())
def test_packed_rows_hold_what_the_message_says(given_readings: list[InterfaceReading]) -> None:
    expected = [
        (_DEVICE, wire_ms(_SLOT_MS), one.id, one.running, one.disabled, *one.totals)
        for one in unpack(_decoded(given_readings).event.interfaces)
    ]
    assert _read(_packed(given_readings)) == expected


@given(st.integers(2**63, 2**64 - 2), st.sampled_from((None, 5)))
def test_a_counter_that_no_bigint_holds_is_refused_in_rows_of_either_sort(
    total: int, beside: int | None
) -> None:
    rest = (None,) * (len(COUNTER_COLUMNS) - 1)
    rows = [
        InterfaceReading(1, running=True, disabled=False, totals=(total, *rest)),
        InterfaceReading(2, running=True, disabled=False, totals=(beside, *rest)),
    ]
    with pytest.raises(RefusedRowsError, match="interface_samples"):
        _packed(rows)


def test_the_stream_is_header_rows_and_trailer_whatever_the_pieces() -> None:
    rows = PackedRows()
    for device in range(5_000):
        rows.add(device % 7, 2, b"%04d" % device * 40)
    pieces = list(rows.stream())

    assert len(pieces) > 1
    assert b"".join(pieces) == (
        b"PGCOPY\n\xff\r\n\0"
        + bytes(8)
        + b"".join(packed for _, _, packed in rows.events)
        + b"\xff\xff"
    )
    assert len(rows) == 10_000
    assert rows.by_device().total() == 10_000
    assert rows.by_device()[6] == 2 * (5_000 // 7)
