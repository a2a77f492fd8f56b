"""What a running command does, step by step, so that many can run on one connection.

A job is a generator of steps: bytes to write (always whole sentences), or a Sleep. It ends after
the step that holds its `!done`; one that is cancelled is simply not asked for its next step.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fleet_simulator.command import Command
from fleet_simulator.replies import done, empty, encode_rows, head, trap
from fleet_simulator.tables import CommandResult, Menu, Router, Row, TrapError

CHUNK_ROWS: Final = 64
"""Rows written before another tag has its turn."""

_DRIFT_INTERVAL: Final = 1.0
_MONITOR_INTERVAL: Final = 1.0
_EMPTY_SINCE: Final = (7, 18, 0)
_BOOLEAN_DEAD_SINCE: Final = (7, 0, 0)


@dataclass(frozen=True, slots=True)
class Sleep:
    """Go on after `seconds` of real time, or when a table of this router was written."""

    seconds: float
    wake_on_change: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Write `before`, then nothing at all on this connection for `seconds` (None: for ever).

    The job goes on first when it is over, so what was begun is completed by the same job.
    """

    before: bytes
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Close:
    """Write `before` and close the connection."""

    before: bytes


type Step = bytes | Sleep | Stall | Close
type Job = Generator[Step]


@dataclass(frozen=True, slots=True)
class Context:
    """What a job may use: the router, its time, where writes and refusals are announced.

    `pad` enlarges a table (the fault "huge tables"), None leaves it as it is.
    """

    router: Router
    now: Callable[[], float]
    changed: Callable[[], None]
    refused: Callable[[Command], None]
    pad: Callable[[Sequence[Row]], Sequence[Row]] | None = None


def run(command: Command, tag: bytes | None, context: Context) -> Job:
    """The job of any command but those the session answers itself (login, cancel, quit)."""
    try:
        menu = _find(command, context.router)
        if command.is_print or command.name == "listen":
            if command.follows:
                yield from _follow(command, tag, menu, context)
            else:
                yield from _print(command, tag, menu, context)
        elif command.name.startswith("monitor") and b"once" not in command.arguments:
            yield from _monitor(command, tag, menu, context)
        else:
            yield from _execute(command, tag, menu, context)
    except TrapError as error:
        context.refused(command)
        yield trap(tag, error) + done(tag)


def _find(command: Command, router: Router) -> Menu:
    menu = router.menu(command.path)
    if menu is None:
        if router.version[0] >= 7:  # noqa: PLR2004 - the major version that changed the text
            raise TrapError("no such command prefix", category=0)
        raise TrapError(_no_such(_first_unknown(command.path, router)), category=0)
    wanted = "print" if command.name == "getall" else command.name
    if wanted not in menu.commands and not (wanted == "listen" and "print" in menu.commands):
        raise TrapError(_no_such(command.name), category=0)
    return menu


def _no_such(word: str) -> str:
    return f"no such command or directory ({word})"


def _first_unknown(path: str, router: Router) -> str:
    """The first element of `path` below which the router has no menu at all."""
    elements = path.strip("/").split("/")
    known = ""
    for element in elements[:-1]:
        if router.menu(f"{known}/{element}") is None:
            break
        known = f"{known}/{element}"
    return path.removeprefix(known).strip("/").split("/")[0]


def _select(command: Command, menu: Menu, context: Context) -> Sequence[Row]:
    rows = menu.rows(context.now())
    if context.pad is not None:
        rows = context.pad(rows)
    wanted = command.arguments.get(b".id")
    if wanted is not None:
        ids = set(wanted.split(b","))
        rows = [row for row in rows if row.get(b".id") in ids]
    matches = command.predicate()
    return rows if matches is None else [row for row in rows if matches(row)]


def _print(command: Command, tag: bytes | None, menu: Menu, context: Context) -> Job:
    rows = _select(command, menu, context)
    if command.counts_only:
        yield done(tag, b"%d" % len(rows))
        return
    if not rows:
        announce = context.router.version >= _EMPTY_SINCE
        yield empty(tag) + done(tag) if announce else done(tag)
        return
    first = head(b"!re", tag)
    last = max(len(rows) - 1, 0) // CHUNK_ROWS * CHUNK_ROWS
    for start in range(0, last, CHUNK_ROWS):
        yield encode_rows(rows[start : start + CHUNK_ROWS], command.proplist, first)
    yield encode_rows(rows[last:], command.proplist, first) + done(tag)


def _follow(command: Command, tag: bytes | None, menu: Menu, context: Context) -> Job:
    """Rows as they are, then as they change, until cancelled.

    Only attributes that the client asked for count as a change. A row that went is its `.id` and
    `.dead`: `yes` as in the manual, `true` as RouterOS 7 sends it (seen on CHR 7.23.1).
    """
    first = head(b"!re", tag)
    dead = b"true" if context.router.version >= _BOOLEAN_DEAD_SINCE else b"yes"
    known = _snapshot(command, menu, context)
    if command.wants_first_rows:
        rows = list(known.values())
        for start in range(0, len(rows), CHUNK_ROWS):
            yield encode_rows(rows[start : start + CHUNK_ROWS], None, first)
    while True:
        yield Sleep(_DRIFT_INTERVAL, wake_on_change=True)
        present = _snapshot(command, menu, context)
        changes: list[Row] = [row for key, row in present.items() if known.get(key) != row]
        changes += [{b".id": key, b".dead": dead} for key in known if key not in present]
        known = present
        for start in range(0, len(changes), CHUNK_ROWS):
            yield encode_rows(changes[start : start + CHUNK_ROWS], None, first)


def _snapshot(command: Command, menu: Menu, context: Context) -> dict[bytes, Row]:
    """The wanted attributes of the wanted rows by `.id` (by position where there is none)."""
    rows = _select(command, menu, context)
    keys = [row.get(b".id", b"%d" % index) for index, row in enumerate(rows)]
    names = command.proplist
    if names is None:
        return dict(zip(keys, map(dict, rows), strict=True))
    if b".id" not in names:
        names = (b".id", *names)
    kept = [{name: row[name] for name in names if name in row} for row in rows]
    return dict(zip(keys, kept, strict=True))


def _monitor(command: Command, tag: bytes | None, menu: Menu, context: Context) -> Job:
    """A reading each second, numbered in `.section`, until cancelled or `duration` is over."""
    duration = command.arguments.get(b"duration")
    left = None if duration is None else parse_duration(duration)
    arguments = {name: value for name, value in command.arguments.items() if name != b"duration"}
    first = head(b"!re", tag)
    section = 0
    while True:
        result = _run_menu(menu, command.name, arguments, context)
        readings = [{b".section": b"%d" % section, **_chosen(command, row)} for row in result.rows]
        yield encode_rows(readings, None, first)
        section += 1
        if left is not None:
            left -= _MONITOR_INTERVAL
            if left <= 0:
                yield done(tag)
                return
        yield Sleep(_MONITOR_INTERVAL)


def _execute(command: Command, tag: bytes | None, menu: Menu, context: Context) -> Job:
    result = _run_menu(menu, command.name, command.arguments, context)
    if not command.name.startswith("monitor"):
        context.changed()
    yield encode_rows(result.rows, command.proplist, head(b"!re", tag)) + done(tag, result.ret)


def _run_menu(
    menu: Menu, name: str, arguments: Mapping[bytes, bytes], context: Context
) -> CommandResult:
    return menu.run(name, arguments, context.now())


def _chosen(command: Command, row: Row) -> Row:
    if command.proplist is None:
        return row
    return {name: row[name] for name in command.proplist if name in row}


def parse_duration(text: bytes) -> float:
    """Seconds of `2s`, `1m30s`, `00:00:02`, `500ms` or `2`. Raises TrapError otherwise."""
    try:
        value = _duration(text.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        raise TrapError("invalid value for argument duration", category=1) from None
    return value


def _duration(text: str) -> float:
    if ":" in text:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    if not text:
        raise ValueError("empty")
    total, digits, rest = 0.0, "", text
    while rest:
        if rest[0].isdigit():
            digits, rest = digits + rest[0], rest[1:]
            continue
        unit = "ms" if rest.startswith("ms") else rest[0]
        if not digits or unit not in units:
            raise ValueError(text)
        total += int(digits) * units[unit]
        digits, rest = "", rest[len(unit) :]
    return total + (int(digits) if digits else 0)
