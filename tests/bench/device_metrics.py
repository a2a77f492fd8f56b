"""What a scrape of device metrics costs: CPU by sample, memory by device, the event loop's time.

1,000 devices hold the readings of an access point with ten interfaces, eight sensors and six
clients (groups as by default). The baseline are the same samples, as ready families, written by
prometheus_client's generate_latest in the same process, right before and after.
"""

import asyncio
import gc
import statistics
import time
import tracemalloc
from collections.abc import Iterable

import uvloop
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from fleet_common.collector import calm_collector
from fleet_poller.exposition.families import Group
from fleet_poller.exposition.scrape import DeviceExposition
from support.device_metrics import ScrapedFleet, polled, rendered
from support.device_readings import ALL_GROUPS, full_readings

_DEVICES = 1_000
_BASELINE_DEVICES = 100
_INTERFACES = 10
_CLIENTS = 6


class _Ready(Collector):
    """Families that were read before: the baseline writes them and does nothing else."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples = sum(len(one.samples) for one in self.families)

    def collect(self) -> Iterable[Metric]:
        return self.families


def run(runs: int) -> dict[str, float]:
    """The median of `runs` measurements of each figure."""
    calm_collector()  # as the service does
    return uvloop.run(_run(runs))


async def _run(runs: int) -> dict[str, float]:
    fleet, held_bytes = await _fleet(_DEVICES)
    small, _ = await _fleet(_BASELINE_DEVICES)
    ready = _Ready(await rendered(small.exposition()))
    costs: list[float] = []
    ratios: list[float] = []
    holds: list[float] = []
    for _ in range(runs):
        before = _baseline(ready)
        cost = await _scrape(fleet.exposition()) / (ready.samples / _BASELINE_DEVICES * _DEVICES)
        costs.append(cost)
        ratios.append((before + _baseline(ready)) / 2 / cost)
        holds.append(await _longest_hold(fleet.exposition()))
    return {
        "device_metrics_cpu_us_per_sample": statistics.median(costs) * 1e6,
        "device_metrics_ratio_to_prometheus_client": statistics.median(ratios),
        "device_metrics_longest_hold_ms": statistics.median(holds) * 1e3,
        "device_metrics_bytes_per_device": held_bytes / _DEVICES,
    }


async def _fleet(devices: int) -> tuple[ScrapedFleet, int]:
    """Devices that were polled and scraped, and the bytes that they hold for it."""
    groups = ALL_GROUPS - {Group.WIRELESS_CLIENTS}
    fleet = ScrapedFleet(groups=groups, max_series=10**7)
    held = [fleet.add(f"router-{number:05d}") for number in range(devices)]
    readings = full_readings(interfaces=_INTERFACES, clients=_CLIENTS)
    gc.collect()
    tracemalloc.start()
    for one in held:
        polled(one, readings)
    await _scrape(fleet.exposition())
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return fleet, size


def _baseline(ready: _Ready) -> float:
    """CPU seconds a sample."""
    cpu = time.process_time()
    generate_latest(ready)
    return (time.process_time() - cpu) / ready.samples


async def _scrape(exposition: DeviceExposition) -> float:
    """CPU seconds."""
    cpu = time.process_time()
    async for _ in exposition.stream(openmetrics=False):
        pass
    return time.process_time() - cpu


async def _longest_hold(exposition: DeviceExposition) -> float:
    """CPU seconds between two turns of another task, at most: wall time would be the machine's."""
    longest = 0.0

    async def others() -> None:
        nonlocal longest
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    waiting = asyncio.create_task(others())
    await asyncio.sleep(0)
    await _scrape(exposition)
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    return longest
