"""Shards are added, removed, killed and stopped while a fleet is polled once a second.

Each slot of each device is in the tables once or named as passed over, and no router sees two
sessions for longer than a handover.
"""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from fleet_cli.database import read_model
from fleet_cli.folder import load_kept
from fleet_cli.scrape import CounterTotals, read_metrics
from fleet_contracts.subjects import Kind
from support.demo import DemoRun, demo, routerfleet
from support.waiting import eventually

pytestmark = pytest.mark.timeout(240)

DEVICES = 24
TENANT = "tenant-1"
INTERVAL_MS = 1000
_HANDOVER_SECONDS = 1.0
_MISSED = "fleet_poller_slots_missed_total"


@dataclass
class Watch:
    """What is seen from outside while shards come and go."""

    run: DemoRun
    two_since: dict[str, float] = field(default_factory=dict[str, float])
    longest_two_seconds: float = 0.0
    looks: int = 0
    missed: dict[str, CounterTotals] = field(default_factory=dict[str, CounterTotals])

    async def look(self, client: httpx.AsyncClient) -> None:
        """Sessions of each router by its own count, and the pollers' counters."""
        ports = load_kept(self.run.folder).ports
        answer = await client.get(f"http://127.0.0.1:{ports['simulator']}/ledger", timeout=10)
        now = time.monotonic()
        devices = cast("dict[str, dict[str, Any]]", answer.json()["devices"])
        for name, counts in devices.items():
            if counts["sessions"] > 1:
                begun = self.two_since.setdefault(name, now)
                self.longest_two_seconds = max(self.longest_two_seconds, now - begun)
            else:
                self.two_since.pop(name, None)
        for name in [one for one in ports if one.startswith("poller-")]:
            with contextlib.suppress(httpx.HTTPError):
                series = await read_metrics(client, ports[name])
                if series is not None:
                    self.missed.setdefault(name, CounterTotals()).update(series, [_MISSED])
        self.looks += 1

    def missed_for(self, *reasons: str) -> int:
        return sum(
            one.total(_MISSED, lambda labels: labels["reason"] in reasons)
            for one in self.missed.values()
        )

    def named(self) -> set[tuple[str, int]]:
        """The slots that shards said to have been passed over: (device, slot)."""
        found: set[tuple[str, int]] = set()
        for log in self.run.folder.logs.glob("poller-*.log"):
            for line in log.read_text(encoding="utf-8").splitlines():
                if '"slots_first_last"' not in line:
                    continue
                shown = cast("dict[str, list[int]]", json.loads(line)["slots_first_last"])
                for device, (_, first, last) in shown.items():
                    found.update((device, slot) for slot in range(first, last + 1, INTERVAL_MS))
        return found


@contextlib.asynccontextmanager
async def watching(run: DemoRun) -> AsyncGenerator[Watch]:
    watch = Watch(run)

    async def go_on() -> None:
        async with httpx.AsyncClient() as client:
            while True:
                await watch.look(client)
                await asyncio.sleep(0.05)

    task = asyncio.create_task(go_on())
    try:
        yield watch
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def shares(run: DemoRun, *words: str) -> dict[str, int]:
    """What `routerfleet shards` says: devices by shard."""
    code, output, errors = await routerfleet(
        "shards", *words, "--data-dir", str(run.folder.path), deadline_seconds=60
    )
    assert code == 0, errors
    _, _, text = output.strip().partition(": ")
    pairs = (one.split() for one in text.split(", "))
    return {shard: int(devices) for shard, devices in pairs}


async def stored_slots(run: DemoRun) -> set[tuple[str, int]]:
    running = await run.running()
    async with read_model(running.database_url) as model:
        return await model.stored_keys(TENANT, Kind.STATUS, 0)


async def test_no_slot_is_lost_unsaid_while_shards_come_and_go(tmp_path: Path) -> None:
    options = ("--devices", str(DEVICES), "--tenants", "1", "--interval", "1s", "--shards", "3")
    async with demo(tmp_path / "data", *options, "--json") as run:
        await run.running()
        await run.everybody_up(DEVICES)
        async with watching(run) as watch:
            assert sum((await shares(run)).values()) == DEVICES
            four = await shares(run, "4")
            assert (len(four), sum(four.values())) == (4, DEVICES)
            assert max(four.values()) <= 7  # ceil(1.1 x 24 / 4)
            await _goes_on(run)
            three = await shares(run, "3")
            assert (len(three), sum(three.values())) == (3, DEVICES)
            # So far everybody lived: nothing may have been left out.
            assert watch.named() == set()
            os.kill(run.pid_of(f"poller-{TENANT}.shard-1"), signal.SIGKILL)
            await _goes_on(run)
            await _stop_and_be_taken_over(run)
            await _goes_on(run)
            await _settled(run, lambda: shares(run))
            stored, named = await stored_slots(run), watch.named()
        code, summary = await run.interrupt()
    assert code == 0, run.progress()
    assert (summary["unaccounted"], summary["duplicates"], summary["lost"]) == (0, 0, 0)
    assert named, "a stopped shard's slots were not said to be missed"
    assert named & stored == set()
    missing = _missing(stored)
    unnamed = missing - named
    assert len(unnamed) <= watch.missed_for("late", "busy"), sorted(unnamed)
    # The stopped shard is taken over in time: detection, fence, reading, first poll.
    per_device = [sum(1 for device, _ in named if device == one) for one in {d for d, _ in named}]
    assert max(per_device) <= 10
    assert watch.looks > 20
    assert watch.longest_two_seconds <= _HANDOVER_SECONDS


async def _stop_and_be_taken_over(run: DemoRun) -> None:
    """SIGSTOP: it looks alive to its supervisor, but it polls nothing."""
    pid = run.pid_of(f"poller-{TENANT}")
    os.kill(pid, signal.SIGSTOP)
    started = time.monotonic()
    await run.said("gives no sign of life", deadline_seconds=15)
    assert time.monotonic() - started < 10


async def _goes_on(run: DemoRun) -> None:
    """Until every device has two slots more in the tables."""
    newest = dict(sorted(await stored_slots(run)))

    async def behind() -> list[str]:
        now = dict(sorted(await stored_slots(run)))
        return [one for one in newest if now[one] < newest[one] + 2 * INTERVAL_MS]

    await eventually(
        behind, lambda names: not names, deadline_seconds=40, what="every device polled again"
    )


async def _settled(run: DemoRun, look: Callable[[], Awaitable[dict[str, int]]]) -> None:
    """Until the killed ones are back with devices of their own."""
    await eventually(
        look,
        lambda found: len(found) == 3 and all(found.values()),
        deadline_seconds=40,
        what="three shards with devices",
    )
    await _goes_on(run)


def _missing(stored: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Slots between a device's first and last that are not in the table."""
    missing: set[tuple[str, int]] = set()
    for device in {device for device, _ in stored}:
        slots = {slot for one, slot in stored if one == device}
        wanted = set(range(min(slots), max(slots), INTERVAL_MS))
        missing.update((device, slot) for slot in wanted - slots)
    return missing


async def test_a_number_for_a_tenant_that_is_not_there_is_refused(tmp_path: Path) -> None:
    code, _, errors = await routerfleet("shards", "2", "--data-dir", str(tmp_path))
    assert code == 1
    assert "no demo runs" in errors
