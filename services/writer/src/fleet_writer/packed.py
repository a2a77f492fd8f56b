"""Packed rows, and how an event's interface rows become such with one call of `struct`.

Packed is COPY's binary format. Interface rows are nearly half of all rows, and every
column has a fixed width: what tells one event's rows from another's in layout is only
which columns hold values, which are zero and which are NULL. For each such layout there
is one Struct; lengths, zeros and NULLs are runs of constant bytes in it. Encoding a row
through asyncpg takes ten times as long.

A field is its length (int32, -1 for NULL) and its big-endian value, a row the number of
its fields (int16) and they: https://www.postgresql.org/docs/current/sql-copy.html
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct, error
from typing import Final

from fleet_contracts.codec import DecodedEvent
from fleet_contracts.columns import FIRST_COLUMN_FIELD, unpack_bits
from fleet_writer.errors import RefusedRowsError
from fleet_writer.tables import INTERFACE

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_CHUNK_BYTES: Final = 1 << 18
_NULL: Final = b"\xff\xff\xff\xff"
"""A field without value: its length is -1."""
_INT64_LENGTH: Final = b"\0\0\0\x08"
_INT64_ZERO: Final = _INT64_LENGTH + bytes(8)
_PLACE: Final = Struct(">hiii8s")
"""How a row begins whose first columns are device_id and slot.

Number of fields, device_id with its length, the slot's length and its eight bytes.
"""
_MIDDLE: Final = Struct(">iqi?i?")
"""interface_id, running and disabled with their lengths."""
_INT64: Final = Struct(">iq")


@dataclass(slots=True)
class PackedRows:
    """Rows of one table, packed; `len` is their number."""

    events: list[tuple[int, int, bytes]] = field(default_factory=list[tuple[int, int, bytes]])
    """A device's id, the number of its rows, and they."""

    def __len__(self) -> int:
        return sum(count for _, count, _ in self.events)

    def __bool__(self) -> bool:
        return bool(self.events)

    def add(self, device_id: int, count: int, packed: bytes) -> None:
        """Add `count` rows of a device, one at least."""
        self.events.append((device_id, count, packed))

    def extend(self, more: "PackedRows") -> None:
        """Add another's rows behind these."""
        self.events += more.events

    def by_device(self) -> Counter[int]:
        """Number of rows by device id."""
        rows: Counter[int] = Counter()
        for device_id, count, _ in self.events:
            rows[device_id] += count
        return rows

    def stream(self) -> Iterator[bytes]:
        """What COPY … (FORMAT binary) reads, in pieces of about 256 KiB."""
        piece = [_HEADER]
        size = 0
        for _, _, packed in self.events:
            piece.append(packed)
            size += len(packed)
            if size >= _CHUNK_BYTES:
                yield b"".join(piece)
                piece, size = [], 0
        piece.append(_TRAILER)
        yield b"".join(piece)


def pack_interfaces(device_id: int, slot: bytes, decoded: DecodedEvent) -> bytes:
    """The rows of an interfaces event, in its order.

    `slot` is a timestamptz as it travels. Raises RefusedRowsError for a counter that no
    bigint holds.
    """
    body = decoded.event.interfaces
    columns = decoded.columns
    zero_columns = body.zero_columns
    count = len(decoded.ids)
    start = _PLACE.pack(len(INTERFACE.columns), 4, device_id, 8, slot)
    middles = _middles(tuple(decoded.ids), body.running_bitmap, body.disabled_bitmap)
    try:
        for values in columns:
            if 0 in values:
                return _by_value(start, middles, zero_columns, columns)
        layout = _layout(count, zero_columns, tuple(map(bool, columns)))
        fields = layout.fields.copy()
        step = layout.step
        fields[0::step] = [start] * count
        fields[1::step] = middles
        place = 3
        for values in columns:
            if values:
                fields[place::step] = [value - 1 for value in values]
                place += 2
        return layout.rows.pack(*fields)
    except error as reason:
        raise RefusedRowsError(f"{INTERFACE.name}: a counter out of bigint's range") from reason


@dataclass(frozen=True, slots=True)
class _Layout:
    """`fields` holds the constants; of each row's `step` fields 0, 1 and 3, 5, … are to fill."""

    rows: Struct
    fields: list[object]
    step: int


@lru_cache(maxsize=512)
def _layout(count: int, zero_columns: int, given: tuple[bool, ...]) -> _Layout:
    row_format = f"{_PLACE.size}s{_MIDDLE.size}s"
    row: list[object] = [b"", b""]
    constant = b""
    for position, values in enumerate(given):
        if values:
            constant += _INT64_LENGTH
            row_format += f"{len(constant)}sq"
            row += [constant, 0]
            constant = b""
        else:
            constant += _absent(zero_columns, position)
    row_format += f"{len(constant)}s"
    row.append(constant)
    return _Layout(Struct(">" + row_format * count), row * count, len(row))


def _absent(zero_columns: int, position: int) -> bytes:
    """The field of a column without values."""
    return _INT64_ZERO if zero_columns >> (FIRST_COLUMN_FIELD + position) & 1 else _NULL


def _by_value(
    start: bytes, middles: Sequence[bytes], zero_columns: int, columns: Sequence[list[int]]
) -> bytes:
    """Where the router gave a value for some interfaces and not for others."""
    fields: list[Iterable[bytes]] = []
    for position, values in enumerate(columns):
        if values:
            fields.append([_INT64.pack(8, value - 1) if value else _NULL for value in values])
        else:
            fields.append([_absent(zero_columns, position)] * len(middles))
    rows = zip([start] * len(middles), middles, *fields, strict=True)
    return b"".join(field for row in rows for field in row)


@lru_cache(maxsize=4096)
def _middles(ids: tuple[int, ...], running: bytes, disabled: bytes) -> list[bytes]:
    """These repeat: interfaces rarely come, go or change their link."""
    flags = zip(ids, unpack_bits(running, len(ids)), unpack_bits(disabled, len(ids)), strict=True)
    return [_MIDDLE.pack(8, id_, 1, up, 1, off) for id_, up, off in flags]
