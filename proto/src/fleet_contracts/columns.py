"""The columns of an Interfaces message, packed from rows and unpacked to rows.

A total travels as value + 1 and 0 for "not given"; a column of zeros is only named,
a column without any value is left out (see events.proto for why).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fleet_contracts.codec import COUNTER_COLUMNS
from fleet_contracts.gen.fleet.v1.events_pb2 import Interfaces

FIRST_COLUMN_FIELD: Final = Interfaces.DESCRIPTOR.fields_by_name[COUNTER_COLUMNS[0]].number
"""Field number of the first of COUNTER_COLUMNS; the others follow."""
_COLUMNS: Final = len(COUNTER_COLUMNS)


@dataclass(frozen=True, slots=True)
class InterfaceReading:
    """One interface at one slot. `totals` runs parallel to COUNTER_COLUMNS; None is not given."""

    id: int
    running: bool
    disabled: bool
    totals: tuple[int | None, ...] = field(default=(None,) * len(COUNTER_COLUMNS))


def pack(readings: Sequence[InterfaceReading], inventory_revision: int) -> Interfaces:
    """The message for these readings, in their order."""
    message = Interfaces(
        ids=[reading.id for reading in readings],
        running_bitmap=pack_bits([reading.running for reading in readings]),
        disabled_bitmap=pack_bits([reading.disabled for reading in readings]),
        inventory_revision=inventory_revision,
    )
    totals = [[reading.totals[place] for reading in readings] for place in range(_COLUMNS)]
    pack_columns(message, [[0 if one is None else one + 1 for one in column] for column in totals])
    return message


def pack_columns(message: Interfaces, columns: Sequence[Sequence[int]]) -> None:
    """Fill in `columns`, lists parallel to COUNTER_COLUMNS; `message.ids` are there already.

    Their values are as they travel: totals plus one, 0 where none is given.
    """
    count = len(message.ids)
    not_given, zeros = [0] * count, [1] * count
    zero_columns = 0
    for position, column in enumerate(columns):
        if column == not_given:
            continue
        if column == zeros:
            zero_columns |= 1 << (FIRST_COLUMN_FIELD + position)
            continue
        getattr(message, COUNTER_COLUMNS[position]).extend(column)
    message.zero_columns = zero_columns


def unpack_totals(message: Interfaces) -> list[list[int | None]]:
    """One list for each of COUNTER_COLUMNS, parallel to `message.ids`."""
    return [unpack_column(message, position) for position in range(len(COUNTER_COLUMNS))]


def unpack_column(message: Interfaces, position: int) -> list[int | None]:
    """The one of COUNTER_COLUMNS at this position."""
    # A slice is a plain list, made at once: iterating upb's container takes twice as long.
    values: list[int] = getattr(message, COUNTER_COLUMNS[position])[:]
    if values:
        if 0 in values:
            return [value - 1 if value else None for value in values]
        return [value - 1 for value in values]  # mostly: the router gave every value
    given = message.zero_columns >> (FIRST_COLUMN_FIELD + position) & 1
    return [0 if given else None] * len(message.ids)


def unpack(message: Interfaces) -> list[InterfaceReading]:
    """The readings of a valid message, in its order."""
    totals = zip(*unpack_totals(message), strict=True)
    running = unpack_bits(message.running_bitmap, len(message.ids))
    disabled = unpack_bits(message.disabled_bitmap, len(message.ids))
    return [
        InterfaceReading(id_, up, off, row)
        for id_, up, off, row in zip(message.ids, running, disabled, totals, strict=True)
    ]


def pack_bits(flags: Sequence[bool]) -> bytes:
    """Flag n as bit n, least significant first; (n + 7) // 8 bytes."""
    number = 0
    for position, flag in enumerate(flags):
        if flag:
            number |= 1 << position
    return number.to_bytes((len(flags) + 7) // 8, "little")


def unpack_bits(bitmap: bytes, count: int) -> list[bool]:
    """The first `count` flags."""
    number = int.from_bytes(bitmap, "little")
    return [bool(number >> position & 1) for position in range(count)]
