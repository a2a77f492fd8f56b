"""What a process holds, read when it is calm, before and after it was struck."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import asyncpg
import httpx
import psutil

from fleet_cli.folder import DataFolder, load_kept
from fleet_cli.scrape import read_metrics
from fleet_common.process_metrics import TASKS

_MORE_FDS = 8
_MORE_THREADS = 4
_MORE_TASKS = 10
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
    tasks: int | None = None
    """asyncio tasks; None where nobody says."""


async def held_by_all(folder: DataFolder, others: Mapping[str, int]) -> dict[str, Held]:
    """By name. `others` are further processes: name and pid."""
    ports = load_kept(folder).ports
    pids = {one.name: one.pid for one in folder.started_processes()} | dict(others)
    result: dict[str, Held] = {}
    async with httpx.AsyncClient() as client:
        for name, pid in pids.items():
            series = None
            if name in ports and name not in _SERVERS:
                series = await read_metrics(client, ports[name])
            tasks = None if series is None else round(series[TASKS, ()])
            result[name] = _held(psutil.Process(pid), tasks)
    return result


def _held(process: psutil.Process, tasks: int | None) -> Held:
    with process.oneshot():
        return Held(
            pid=process.pid,
            started=process.create_time(),
            fds=process.num_fds(),
            threads=process.num_threads(),
            rss=process.memory_info().rss,
            tasks=tasks,
        )


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
        if old.tasks is not None and (new.tasks is None or new.tasks > old.tasks + _MORE_TASKS):
            lines.append(f"{name}: {old.tasks} tasks before, {new.tasks} after")
    return lines


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
