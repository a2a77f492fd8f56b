"""The poller at one size, in a process of its own.

    python -m bench.scale_poll ENDPOINTS SECRETS NATS-URL DEVICES

Prints JSON: `us_per_poll` (CPU of this process: read, parse, encode, publish to JetStream,
take the acknowledgement; all five kinds) and `kb_per_device` (resident, connected, idle).
"""

import asyncio
import json
import sys
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

_POLLS = 5_000
_AT_ONCE = 50
_FIRST_SLOT = 1_800_000_000_000
_WARM_ROUNDS = 1
_CADENCE = CadenceSpec(interval=60, firmware=60)


async def measure(endpoints: Path, secrets: Path, url: str, count: int) -> dict[str, float]:
    """Polls 50 at a time, at least 5,000 of them and at least one of each device."""
    client = RawClient()
    await connect(NatsSection(url=url), "bench", client)
    metrics = PollerMetrics()
    publisher = Publisher(client, PublisherBounds(100_000, 1 << 28, 1_000, 30.0), metrics)
    publishing = asyncio.create_task(publisher.run())
    chosen = [
        Device(one, context(secrets, publisher, metrics)) for one in records(endpoints, _CADENCE)
    ]
    first, devices = chosen[0], chosen[1 : count + 1]
    # The first one loads code and grows pools that all share.
    for number in range(_WARM_ROUNDS):
        await first.poll(_slot(number))
    before = resident_bytes()
    for number in range(_WARM_ROUNDS):
        await _round(devices, number)
    await publisher.drain(60)
    rounds = max(1, _POLLS // count)
    polls = rounds * count
    cpu = process_time()
    for number in range(rounds):
        await _round(devices, _WARM_ROUNDS + number)
    left = await publisher.drain(60)
    cpu = process_time() - cpu
    memory = (resident_bytes() - before) / count / 1024
    polled = metrics.registry.get_sample_value("fleet_poller_polls_total", {"outcome": "ok"})
    if left or polled != polls + _WARM_ROUNDS * (count + 1):
        raise RuntimeError(f"{polled} polls succeeded, {left} events were not acknowledged")
    for device in chosen:
        device.drop_session()
    publishing.cancel()
    await asyncio.wait([publishing])
    await close(client)
    return {"us_per_poll": cpu / polls * 1e6, "kb_per_device": memory}


async def _round(devices: list[Device], number: int) -> None:
    for start in range(0, len(devices), _AT_ONCE):
        group = devices[start : start + _AT_ONCE]
        await asyncio.gather(*(device.poll(_slot(number)) for device in group))


def _slot(number: int) -> int:
    return _FIRST_SLOT + number * 60_000


if __name__ == "__main__":
    calm_collector()
    print(
        json.dumps(
            uvloop.run(measure(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
        )
    )
