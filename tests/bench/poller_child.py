"""What the poller's bench measures in a process of its own, where nothing else counts.

    python -m bench.poller_child memory|shard ENDPOINTS SECRETS

`memory` prints KB of resident memory per connected device between polls; `shard` prints
the percentage of a core that a running shard takes, scaled to an interval of 60 s.
"""

import asyncio
import ctypes
import gc
import json
import random
import sys
import time
from pathlib import Path

import psutil
import uvloop

from bench.poller_setup import NullSink, context, records
from fleet_common.fleet_spec import CadenceSpec
from fleet_contracts.subjects import DeviceId
from fleet_poller.device import Device
from fleet_poller.shard import Shard

_POLLS_AT_ONCE = 50
_SHARD_DEVICES = 101
_SHARD_INTERVAL_SECONDS = 3.0
_SHARD_SECONDS = 6.0
_TARGET_INTERVAL_SECONDS = 60.0


def resident_bytes() -> int:
    """Resident memory once everything that can be given back has been."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss


async def memory(endpoints: Path, secrets: Path) -> float:
    """KB per device that is connected, was polled twice, and waits for its next slot."""
    shared = context(secrets, NullSink())
    first, *rest = [Device(one, shared) for one in records(endpoints, CadenceSpec(interval=60))]
    for slot in (1, 2):
        await first.poll(_slot(slot))
    before = resident_bytes()
    for slot in (1, 2):
        for start in range(0, len(rest), _POLLS_AT_ONCE):
            group = rest[start : start + _POLLS_AT_ONCE]
            await asyncio.gather(*(device.poll(_slot(slot)) for device in group))
    if not all(device.connected for device in rest):
        raise RuntimeError("not every device is connected")
    return (resident_bytes() - before) / len(rest) / 1024


async def shard(endpoints: Path, secrets: Path) -> float:
    """Percent of a core: what is always spent, plus the polls' share at 60 s."""
    cadence = CadenceSpec(interval=_SHARD_INTERVAL_SECONDS)
    chosen = records(endpoints, cadence)[:_SHARD_DEVICES]
    running = Shard(context(secrets, NullSink()))
    task = asyncio.create_task(running.run())
    idle = await _core_share(_SHARD_INTERVAL_SECONDS)
    running.assign({DeviceId(one.device): one for one in chosen})
    await asyncio.sleep(2 * _SHARD_INTERVAL_SECONDS)  # logins and inventories, once
    busy = await _core_share(_SHARD_SECONDS)
    await running.stop(1.0)
    await task
    return 100 * (idle + (busy - idle) * _SHARD_INTERVAL_SECONDS / _TARGET_INTERVAL_SECONDS)


async def _core_share(seconds: float) -> float:
    cpu, wall = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    return (time.process_time() - cpu) / (time.monotonic() - wall)


def _slot(number: int) -> int:
    return 1_800_000_000_000 + number * 60_000


if __name__ == "__main__":
    random.seed(1)
    measured = {"memory": memory, "shard": shard}[sys.argv[1]]
    print(json.dumps(uvloop.run(measured(Path(sys.argv[2]), Path(sys.argv[3])))))
