"""Naming items in a command: by .id, by name or by place, one or several."""

from collections.abc import Mapping, Sequence

from fleet_simulator.tables import Row, TrapError

SELECTORS = frozenset({b"numbers", b".id", b"number", b"interface"})
"""The arguments that clients name items with."""

NO_SUCH_ITEM = "no such item"


def selector(arguments: Mapping[bytes, bytes]) -> bytes:
    """The value that names items. Raises TrapError when the command has none."""
    for key in (b".id", b"numbers", b"number", b"interface"):
        if key in arguments:
            return arguments[key]
    raise TrapError("missing value(s) of argument(s) numbers", 1)


def positions(rows: Sequence[Row], text: bytes) -> list[int]:
    """Places in `rows` of the items `text` names, joined by commas: .ids, names or places.

    A name goes before a place, so an interface called `7` is found by its name.
    Raises TrapError("no such item") when one of them is not there.
    """
    by_text = {row[b".id"]: place for place, row in enumerate(rows) if b".id" in row}
    by_text |= {row[b"name"]: place for place, row in enumerate(rows) if b"name" in row}
    found: list[int] = []
    for part in text.split(b","):
        if part in by_text:
            found.append(by_text[part])
        elif part.isdigit() and int(part) < len(rows):
            found.append(int(part))
        else:
            raise TrapError(NO_SUCH_ITEM, 0)
    return found
