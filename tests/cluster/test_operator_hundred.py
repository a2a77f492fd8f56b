"""A hundred fleets of a hundred devices, without pods: what looking after them costs."""

import asyncio
import time
from pathlib import Path

import psutil
import pytest

from e2e.commands import get_all
from support.cold_memory import touch_cost
from support.operator_cluster import AS_INSTALLED, operator_at
from support.operator_fleets import Document, applicable, routers_secret

FLEETS = 100
DEVICES = 100
MEASUREMENTS = 4
SCRAPE_SECONDS = 15.0
"""As a Prometheus does: its questions are part of the cost."""
TARGET_CPU = 0.02
TARGET_BYTES = 150e6
GROSS_CPU = 4
"""It fails only so far beyond: a process at rest pays what the machine makes of memory left alone,
and on one a page cost 4 to 27 us within two hours (`support.cold_memory`)."""
GROSS_BYTES = 2.5


def _fleet(number: int) -> Document:
    devices = [
        {"name": f"r{n:03}", "address": f"10.{number}.{n // 250}.{n % 250}"} for n in range(DEVICES)
    ]
    return applicable(f"many{number:03}", devices=devices)


@pytest.mark.timeout(300)
async def test_a_hundred_fleets_cost_next_to_nothing(
    namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with operator_at([namespace], tmp_path, AS_INSTALLED) as site:
        began = time.monotonic()
        site.apply(routers_secret(), *map(_fleet, range(FLEETS)))
        await site.until(
            site.ready_fleets, lambda ready: ready == FLEETS, what="ready", seconds=120
        )
        ready_after = time.monotonic() - began
        # Sooner than figures come that are there already.
        await site.until(
            lambda: sum(
                fleet["status"]["devices"].get("up") is not None
                for fleet in get_all("routerfleets", namespace)
            ),
            lambda counted: counted == FLEETS,
            what="the first count of every fleet's devices",
            seconds=25,
        )
        process = psutil.Process(site.service.pid)
        # What the start left to do is no part of the steady state.
        await site.passes(3)
        passes = passed = await site.passed()
        before, at = process.cpu_times(), time.monotonic()
        for _ in range(MEASUREMENTS):
            await asyncio.sleep(SCRAPE_SECONDS)
            passed = await site.passed()
        after, seconds = process.cpu_times(), time.monotonic() - at
        used = (after.user + after.system - before.user - before.system) / seconds
        resident = process.memory_info().rss
        assert passed > passes, "nothing was looked after meanwhile"
    machine = touch_cost()
    with capsys.disabled():
        print(  # noqa: T201 - the figure is what this test is for
            f"\n{FLEETS} fleets of {DEVICES} devices: all ready after {ready_after:.0f} s; then "
            f"{used:.2%} of a core over {seconds:.0f} s (target {TARGET_CPU:.0%}), "
            f"{resident / 1e6:.0f} MB resident (target {TARGET_BYTES / 1e6:.0f} MB); {machine}"
        )
    assert used < GROSS_CPU * TARGET_CPU
    assert resident < GROSS_BYTES * TARGET_BYTES
