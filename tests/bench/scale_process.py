"""What the parts of the scale bench share: a broker, CPU time and memory of other processes."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import nats
import psutil
from nats.aio.client import Client

from support.nats import NatsServer

SIZES = (100, 1_000, 5_000, 10_000)
"""Devices of a fleet."""


@contextlib.asynccontextmanager
async def broker(directory: Path) -> AsyncGenerator[tuple[NatsServer, Client]]:
    """A broker with room for what a bench holds, and a client of it."""
    server = NatsServer(directory, max_memory="1GB")
    server.start()
    try:
        client = await nats.connect(server.url)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        yield server, client
        await client.close()
    finally:
        server.stop()


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
