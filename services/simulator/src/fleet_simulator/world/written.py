"""Tables that commands can change: add, set, unset, remove, enable, disable, comment.

A table is made from the seed until it is first written; from then on its entries are kept.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from fleet_simulator.tables import CommandResult, Row, TrapError
from fleet_simulator.world.device import Device, Entry, Table
from fleet_simulator.world.formats import FALSE, TRUE, duration, item_id
from fleet_simulator.world.items import positions, selector
from fleet_simulator.world.menu import Action, MenuSpec

_ENTRIES_MOST = 10_000

type Values = dict[bytes, bytes]
type First = Callable[[Device], Sequence[Values]]
type Derive = Callable[[Device, Values, Sequence[Values], float], Entry]
"""(device, wanted values, the other entries, now) to the entry; raises TrapError to refuse."""


class WritableTable:
    """A table: which arguments it takes, its first rows, and how a row follows from values."""

    __slots__ = ("_derive", "_first", "_parameters", "_path", "_required")

    def __init__(
        self,
        path: str,
        first: First,
        derive: Derive,
        parameters: frozenset[bytes],
        required: tuple[bytes, ...],
    ) -> None:
        self._path = path
        self._first = first
        self._derive = derive
        self._parameters = parameters | {b"comment", b"disabled"}
        self._required = required

    def spec(self, when: Callable[[Device], bool] = lambda _: True) -> MenuSpec:
        """The menu of this table."""
        actions: Mapping[str, Action] = MappingProxyType(
            {
                "add": self.add,
                "set": self.set,
                "unset": self.unset,
                "remove": self.remove,
                "enable": lambda device, arguments, now: self._switch(
                    device, arguments, now, FALSE
                ),
                "disable": lambda device, arguments, now: self._switch(
                    device, arguments, now, TRUE
                ),
                "comment": self.set,
            }
        )
        return MenuSpec(self._path, self.rows, when, actions)

    def rows(self, device: Device, now: float) -> Sequence[Row]:
        """All entries at `now`; an entry whose time ran out is gone."""
        return [
            entry.values
            if entry.expires is None
            else entry.values | {b"timeout": duration(max(entry.expires - now, 0))}
            for entry in self._table(device).entries
            if entry.expires is None or entry.expires > now
        ]

    def add(self, device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
        """Add an entry; answers its .id."""
        values = self._checked(arguments)
        missing = [key for key in self._required if key not in values]
        if missing:
            names = b" ".join(missing).decode()
            raise TrapError(f"missing value(s) of argument(s) {names}", 1)
        table = self._open(device, now)
        if len(table.entries) >= _ENTRIES_MOST:
            raise TrapError("failure: not enough memory")
        entry = self._derive(device, values, [each.values for each in table.entries], now)
        identity = item_id(table.next_id)
        table.next_id += 1
        table.entries.append(Entry({b".id": identity, **entry.values}, entry.expires))
        return CommandResult(ret=identity)

    def set(self, device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
        """Change entries; refused as a whole when one of the new values is."""
        values = self._checked(arguments)
        table = self._open(device, now)
        for place in self._places(table, arguments, now):
            old = table.entries[place]
            others = [each.values for at, each in enumerate(table.entries) if at != place]
            wanted = {key: value for key, value in old.values.items() if key in self._parameters}
            entry = self._derive(device, wanted | values, others, now)
            table.entries[place] = Entry(
                {b".id": old.values[b".id"], **entry.values}, entry.expires
            )
        return CommandResult()

    def unset(self, device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
        """Take the property `value-name` away from entries."""
        name = arguments.get(b"value-name", b"")
        if name not in self._parameters or name in self._required:
            raise TrapError("invalid value for argument value-name", 1)
        table = self._open(device, now)
        for place in self._places(table, arguments, now):
            table.entries[place].values.pop(name, None)
        return CommandResult()

    def remove(self, device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
        """Remove entries."""
        table = self._open(device, now)
        gone = set(self._places(table, arguments, now))
        table.entries[:] = [each for at, each in enumerate(table.entries) if at not in gone]
        return CommandResult()

    def _switch(
        self, device: Device, arguments: Mapping[bytes, bytes], now: float, disabled: bytes
    ) -> CommandResult:
        table = self._open(device, now)
        for place in self._places(table, arguments, now):
            table.entries[place].values[b"disabled"] = disabled
        return CommandResult()

    def _checked(self, arguments: Mapping[bytes, bytes]) -> Values:
        values = {key: value for key, value in arguments.items() if key not in _ITEM_NAMES}
        for key in values:
            if key not in self._parameters:
                raise TrapError(f"unknown parameter {key.decode('latin-1')}")
        if b"disabled" in values:
            values[b"disabled"] = truth(values[b"disabled"], "disabled")
        return values

    def _places(self, table: Table, arguments: Mapping[bytes, bytes], now: float) -> list[int]:
        named = {key: value for key, value in arguments.items() if key != b"interface"}
        places = positions([entry.values for entry in table.entries], selector(named))
        for place in places:
            expires = table.entries[place].expires
            if expires is not None and expires <= now:
                raise TrapError("no such item", 0)
        return places

    def _table(self, device: Device) -> Table:
        kept = device.tables.get(self._path) if device.tables else None
        if kept is not None:
            return kept
        entries: list[Entry] = []
        for number, values in enumerate(self._first(device), start=1):
            others = [entry.values for entry in entries]
            entry = self._derive(device, values, others, device.configured)
            entries.append(Entry({b".id": item_id(number), **entry.values}, entry.expires))
        return Table(entries, len(entries) + 1)

    def _open(self, device: Device, now: float) -> Table:
        table = self._table(device)
        if device.tables is None:
            device.tables = {}
        device.tables[self._path] = table
        device.last_change = now
        return table


_ITEM_NAMES = frozenset({b".id", b"numbers"})


def truth(value: bytes, argument: str) -> bytes:
    """`true` or `false` from any spelling RouterOS takes. Raises TrapError for others."""
    if value in {b"yes", b"true"}:
        return TRUE
    if value in {b"no", b"false"}:
        return FALSE
    raise TrapError(f"invalid value for argument {argument}", 1)
