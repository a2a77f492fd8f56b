"""The poller at one size, in a process of its own.

    python -m bench.scale_poll_child ENDPOINTS SECRETS NATS-URL TURN-POLLS

Connects and polls every device but the first one twice, then prints KB per device (resident,
connected, idle). For each line on standard input it polls the next TURN-POLLS devices, 50 at a
time, all five kinds, and prints microseconds of its CPU time per poll: read, parse, encode,
publish to JetStream, take the acknowledgement.
"""

import asyncio
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from time import process_time

import uvloop

from bench.poller_child import resident_bytes
from bench.poller_setup import context, records
from fleet_common.broker import close, connect
from fleet_common.collector import calm_collector
from fleet_common.fleet_spec import CadenceSpec
from fleet_common.raw_client import RawClient
from fleet_common.settings import NatsSection
from fleet_poller.device import Device
from fleet_poller.metrics import PollerMetrics
from fleet_poller.publisher import Publisher, PublisherBounds

_AT_ONCE = 50
_FIRST_SLOT = 1_800_000_000_000
_WARM_ROUNDS = 2
_CADENCE = CadenceSpec(interval=60, firmware=60)

type _Poll = tuple[Device, int]
"""A device and its slot."""


async def measure(endpoints: Path, secrets: Path, url: str, turn_polls: int) -> None:
    """Serve turns until standard input ends."""
    client = RawClient()
    await connect(NatsSection(url=url), "bench", client)
    metrics = PollerMetrics()
    publisher = Publisher(client, PublisherBounds(100_000, 1 << 28, 1_000, 30.0), metrics)
    publishing = asyncio.create_task(publisher.run())
    shared = context(secrets, publisher, metrics)
    first, *devices = [Device(one, shared) for one in records(endpoints, _CADENCE)]
    # The first one loads code and grows pools that all share.
    for number in range(_WARM_ROUNDS):
        await first.poll(_slot(number))
    before = resident_bytes()
    polls = ((one, _slot(number)) for number in itertools.count() for one in devices)
    warm = _WARM_ROUNDS * len(devices)
    await _poll(itertools.islice(polls, warm), publisher)
    print((resident_bytes() - before) / len(devices) / 1024, flush=True)
    done = warm + _WARM_ROUNDS
    while await asyncio.to_thread(sys.stdin.readline):
        cpu = process_time()
        await _poll(itertools.islice(polls, turn_polls), publisher)
        cpu = process_time() - cpu
        done += turn_polls
        polled = metrics.registry.get_sample_value("fleet_poller_polls_total", {"outcome": "ok"})
        if polled != done:
            raise RuntimeError(f"{polled} of {done} polls succeeded")
        print(cpu / turn_polls * 1e6, flush=True)
    for device in (first, *devices):
        device.drop_session()
    publishing.cancel()
    await asyncio.wait([publishing])
    await close(client)


async def _poll(polls: Iterable[_Poll], publisher: Publisher) -> None:
    for group in itertools.batched(polls, _AT_ONCE):
        await asyncio.gather(*(device.poll(slot) for device, slot in group))
    left = await publisher.drain(60)
    if left:
        raise RuntimeError(f"{left} events were not acknowledged")


def _slot(number: int) -> int:
    return _FIRST_SLOT + number * 60_000


if __name__ == "__main__":
    calm_collector()
    uvloop.run(measure(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
