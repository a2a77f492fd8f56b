"""What the scale bench reads of a process it does not share: CPU time and resident memory."""

import asyncio
import itertools
from collections.abc import Mapping
from pathlib import Path

import psutil

SIZES = (100, 1_000, 5_000, 10_000)
"""Devices of a fleet."""


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads that live now, in nanoseconds' resolution.

    The kernel's usual counters have ticks of 10 ms. See proc(5) and
    Documentation/scheduler/sched-stats.rst for schedstat: its first number is the time on
    the CPU.
    """
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(one.read_text(encoding="ascii").split()[0]) for one in threads) / 1e9


async def resident_kb(pid: int) -> float:
    """Resident memory once it has stopped moving."""
    process = psutil.Process(pid)
    before, now = -1, process.memory_info().rss
    async with asyncio.timeout(30):
        while now != before:
            await asyncio.sleep(0.5)
            before, now = now, process.memory_info().rss
    return now / 1024


def increments(kb: Mapping[int, float]) -> dict[int, float]:
    """KB for each device between one size and the next, by the larger size."""
    sizes = sorted(kb)
    return {
        larger: (kb[larger] - kb[smaller]) / (larger - smaller)
        for smaller, larger in itertools.pairwise(sizes)
    }
