"""The end of a process's log, in a form that a person reads at a glance."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

_TAIL_BYTES: Final = 64 * 1024
_MAX_LINE: Final = 300
_KNOWN: Final = frozenset({"time", "level", "logger", "message", "service", "exc_info"})
_SETTINGS: Final = "settings"
"""Every service prints its effective settings once: long, and in the log for who wants it."""


def last_lines(log: Path, count: int = 12) -> list[str]:
    """The end of a log as it stands there; empty where there is none yet."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-count:]


def readable_end(log: Path, count: int = 8) -> str:
    """The last lines, indented, JSON records shortened to what they say."""
    lines = [shown for line in last_lines(log, 4 * count) if (shown := readable(line))]
    return "\n".join(f"    {line}" for line in lines[-count:]) or "    (nothing)"


def readable(line: str) -> str | None:
    """`14:37:31 ERROR cannot start reason=…`; None for a record not worth showing here."""
    try:
        document: object = json.loads(line)
    except ValueError:
        return line[:_MAX_LINE] or None
    if not isinstance(document, dict) or "message" not in document:
        return line[:_MAX_LINE]
    record = cast("Mapping[str, Any]", document)
    if record["message"] == _SETTINGS:
        return None
    at = str(record.get("time", ""))[11:19]
    fields = " ".join(f"{name}={value}" for name, value in record.items() if name not in _KNOWN)
    error = str(record.get("exc_info", "")).strip().rpartition("\n")[2]
    parts = [at, str(record.get("level", "")), str(record["message"]), fields, error]
    return " ".join(part for part in parts if part)[:_MAX_LINE]
