"""What a process holds, read when it is calm, before and after it was struck."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import asyncpg
import psutil

from fleet_cli.folder import DataFolder, is_process

_MORE_FDS = 8
_MORE_THREADS = 4
_MORE_BYTES = 48 * 1024 * 1024
"""Buffers and rings that fill in a run's first minutes are no leak; each has a bound."""
_SERVERS = frozenset({"nats", "postgres"})
"""Restarted in every phase; their own memory follows what they store."""


@dataclass(frozen=True)
class Held:
    """What one process holds; `started` tells it from its successor."""

    pid: int
    started: float
    fds: int
    threads: int
    rss: int


def held_by_all(folder: DataFolder, others: Mapping[str, int]) -> dict[str, Held]:
    """By name. `others` are further processes: name and pid."""
    pids = {one.name: one.pid for one in folder.started_processes()} | dict(others)
    result: dict[str, Held] = {}
    for name, pid in pids.items():
        process = psutil.Process(pid)
        with process.oneshot():
            result[name] = Held(
                pid=pid,
                started=process.create_time(),
                fds=process.num_fds(),
                threads=process.num_threads(),
                rss=process.memory_info().rss,
            )
    return result


def grown(before: Mapping[str, Held], after: Mapping[str, Held]) -> list[str]:
    """A line for each survivor that holds more than it should."""
    lines: list[str] = []
    for name, old in before.items():
        new = after.get(name)
        if new is None or (new.pid, new.started) != (old.pid, old.started) or name in _SERVERS:
            continue
        if new.fds > old.fds + _MORE_FDS:
            lines.append(f"{name}: {old.fds} open files before, {new.fds} after")
        if new.threads > old.threads + _MORE_THREADS:
            lines.append(f"{name}: {old.threads} threads before, {new.threads} after")
        if new.rss > old.rss + _MORE_BYTES:
            lines.append(f"{name}: {old.rss >> 20} MiB before, {new.rss >> 20} MiB after")
    return lines


def survivors(before: Mapping[str, Held]) -> list[str]:
    """Names of those that still run."""
    return [name for name, one in before.items() if is_process(one.pid, one.started)]


def too_many_sessions(ledger: Mapping[str, Any]) -> list[str]:
    """A line for each router that has more than our one session."""
    devices = cast("dict[str, dict[str, int]]", ledger["devices"])
    return [
        f"{name}: {counts['sessions']} sessions at the router"
        for name, counts in devices.items()
        if counts["sessions"] > 1
    ]


async def database_connections(url: str) -> dict[str, int]:
    """Client connections of the database by application name, this one left out."""
    connection = await asyncpg.connect(url, timeout=5)
    try:
        rows = await connection.fetch(
            "SELECT application_name, count(*) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() GROUP BY 1"
        )
    finally:
        await connection.close(timeout=2)
    return {str(row[0]): int(row[1]) for row in rows}
