"""What the protocol engine serves and the simulated world provides: menus of rows.

The engine (framing, login, queries, tags, faults) knows nothing of routers; the
world (personalities, metrics as functions of time) knows nothing of the wire.
They meet here. Names and values are bytes as they travel: RouterOS promises no
encoding.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

type Row = Mapping[bytes, bytes]
"""One record: attribute name to value, in the order RouterOS prints them, `.id` first where
the menu has ids. An attribute the router would not print is absent."""


class TrapError(Exception):
    """A command the router refuses: `message` and the optional `category` of `!trap`."""

    def __init__(self, message: str, category: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.category = category


class CommandResult:
    """The rows a command answers and the value of `=ret=` in its `!done`, if any."""

    __slots__ = ("ret", "rows")

    def __init__(self, rows: Sequence[Row] = (), ret: bytes | None = None) -> None:
        self.rows = rows
        self.ret = ret


class Menu(Protocol):
    """One menu of one router, e.g. `/interface`. `now` is the router's time in Unix seconds."""

    @property
    def commands(self) -> frozenset[str]:
        """The commands this menu has: `print`, `getall`, `listen`, `monitor`, `add`, `set`."""
        ...

    def rows(self, now: float) -> Sequence[Row]:
        """All records at `now`; an empty table is an empty sequence."""
        ...

    def run(self, command: str, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
        """Run any command but print, getall and listen.

        `monitor` gives one reading of each item named in `numbers`, by index, name or .id.
        Raises TrapError when refused.
        """
        ...


class Router(Protocol):
    """One simulated device as the engine sees it."""

    @property
    def name(self) -> str:
        """The device's name in the fleet, a DNS-1123 label."""
        ...

    @property
    def version(self) -> tuple[int, int, int]:
        """RouterOS version as (major, minor, patch): decides on `!empty` and the login."""
        ...

    def menu(self, path: str) -> Menu | None:
        """The menu at `path` (`/system/resource`), or None when this router has no such menu."""
        ...

    def reboot(self, now: float) -> None:
        """Restart: uptime and counters begin anew at `now`."""
        ...
