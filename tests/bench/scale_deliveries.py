"""The gateway at each size: CPU for an event written to a client, memory of a device.

A gateway for each size runs all the time, on a stream of its own, and has taken the same
number of events (two kinds of the largest fleet, of a smaller one several rounds) when its 50
clients connect: rings are equally full and only the number of devices differs. Then events come
at the rate of the largest fleet at its cadence (10,000 devices, 60 s, four kinds a poll: 667 a
second) to one gateway after the other, in turns. At its own rate a small fleet's events would
come one by one, each costing a write of its own to each client: 100 devices would be dearer.

Memory: one gateway whose fleet grows through the sizes, all kinds of events, every device's
snapshot rendered; the ring is small and full, so that what grows is the devices' state.
"""

import asyncio
import contextlib
import itertools
import json
import subprocess
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from nats.aio.client import Client

from bench.gateway import connected_clients, result_of
from bench.scale_process import SIZES, broker, cpu_seconds, resident_kb
from fleet_contracts.codec import encode
from fleet_contracts.streams import StreamStorage
from fleet_contracts.subjects import Kind, TenantId, tenant_id
from support.gateway import Router, declare
from support.gateway_process import GatewayProcess, running_gateway
from support.nats import NatsServer

_KINDS = (Kind.STATUS, Kind.HEALTH)
_CLIENTS = 50
_EVENTS = 2_000
"""In one turn; of the largest fleet each turn brings other devices."""
_PER_SECOND = 667.0
_DEADLINE_SECONDS = 120.0
_STREAM_BYTES = 1 << 27
_FILLING_ROUNDS = 5
_SMALL_RING = {"RING_BYTES": str(1 << 20)}

type _Message = tuple[str, bytes]


async def cpu_us_per_delivery(runs: int, directory: Path) -> dict[int, list[float]]:
    """CPU microseconds of the gateway, ingest included, of each run at each size."""
    async with contextlib.AsyncExitStack() as stack:
        server, client = await stack.enter_async_context(broker(directory / "nats"))
        fleets = [
            await stack.enter_async_context(_fleet(server, client, directory, size, runs + 1))
            for size in SIZES
        ]
        spent = {size: list[float]() for size in SIZES}
        for number, fleet in itertools.product(range(runs + 1), fleets):
            microseconds = await fleet.turn(client)
            if number:  # the first turn warms
                spent[fleet.size].append(microseconds)
        for fleet in fleets:
            await fleet.check(runs + 1)
        return spent


async def kb_at_each_size(directory: Path) -> dict[int, float]:
    """Resident KB of one gateway as its fleet grows."""
    tenant = tenant_id("grows")
    kb: dict[int, float] = {}
    async with broker(directory / "nats") as (server, client):
        js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        await declare(js, tenant, max_bytes=_STREAM_BYTES, storage=StreamStorage.MEMORY)
        async with _gateway(server, directory, tenant, _SMALL_RING) as gateway:
            sent = 0
            # The first devices' events again and again, until pools and ring are full.
            for known, size in itertools.pairwise((0, SIZES[0], *SIZES)):
                routers = range(known if known < size else 0, size)
                for _ in range(_FILLING_ROUNDS if known == 0 else 1):
                    sent += await _send(client, _all_events(tenant, routers))
                await _taken(gateway, sent)
                with connected_clients(gateway.port, 1, "-", 0):
                    pass
                kb[size] = await resident_kb(gateway.pid)
    return kb


@dataclass
class _Fleet:
    """One size's gateway and clients."""

    size: int
    gateway: GatewayProcess
    clients: "subprocess.Popen[str]"
    events: Iterator[_Message]
    delivered: int = 0

    async def turn(self, client: Client) -> float:
        """Send the next events; CPU microseconds of the gateway for each delivery."""
        pid = self.gateway.pid
        before = cpu_seconds(pid)
        await _send(client, itertools.islice(self.events, _EVENTS), _PER_SECOND)
        self.delivered += _EVENTS * _CLIENTS
        await _metric_reaches(self.gateway, "fleet_gateway_deliveries_total", self.delivered)
        return (cpu_seconds(pid) - before) / (_EVENTS * _CLIENTS) * 1e6

    async def check(self, turns: int) -> None:
        """Every client has every event."""
        arrived = await result_of(self.clients)
        if arrived.events != turns * _EVENTS * _CLIENTS:
            raise RuntimeError(f"{arrived.events} events arrived at {self.size} devices")


@contextlib.asynccontextmanager
async def _fleet(
    server: NatsServer, client: Client, directory: Path, size: int, turns: int
) -> AsyncGenerator[_Fleet]:
    tenant = tenant_id(f"of-{size}")
    js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    await declare(js, tenant, max_bytes=_STREAM_BYTES, storage=StreamStorage.MEMORY)
    events = itertools.cycle(_events(tenant, size))
    async with _gateway(server, directory, tenant, {}) as gateway:
        held = max(SIZES) * len(_KINDS)
        await _send(client, itertools.islice(events, held))
        await _taken(gateway, held)
        with connected_clients(gateway.port, _CLIENTS, "-", turns * _EVENTS) as clients:
            yield _Fleet(size, gateway, clients, events)


@contextlib.asynccontextmanager
async def _gateway(
    server: NatsServer, directory: Path, tenant: TenantId, settings: dict[str, str]
) -> AsyncGenerator[GatewayProcess]:
    """A ready gateway for one tenant, its timers as they are by default."""
    given = {"TENANTS": json.dumps([tenant]), "DISCOVERY_SECONDS": "5", **settings}
    async with running_gateway(server, directory / tenant, **given) as gateway:
        yield gateway


def _events(tenant: TenantId, size: int) -> list[_Message]:
    """Each device's kinds. The slot is now: the clients measure delays."""
    found: list[_Message] = []
    for number in range(size):
        router = Router(tenant, number)
        for kind, event in router.poll(0).items():
            if kind in _KINDS:
                event.slot_unix_ms = round(time.time() * 1000)
                found.append((router.subject(kind), encode(event)))
    return found


def _all_events(tenant: TenantId, numbers: Iterable[int]) -> Iterator[_Message]:
    for number in numbers:
        router = Router(tenant, number)
        for kind, event in {**router.facts(), **router.poll(0)}.items():
            yield router.subject(kind), encode(event)


async def _send(
    client: Client, messages: Iterable[_Message], per_second: float | None = None
) -> int:
    """Publish, acknowledged; returns how many."""
    js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    start = time.monotonic()
    sent = 0
    for subject, payload in messages:
        await js.publish_async(subject, payload)  # pyright: ignore[reportUnknownMemberType] - as above
        sent += 1
        if per_second is not None:
            ahead = start + sent / per_second - time.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
    async with asyncio.timeout(_DEADLINE_SECONDS):
        await js.publish_async_completed()
    return sent


async def _taken(gateway: GatewayProcess, events: int) -> None:
    """Until the gateway has taken so many: later clients get them with their snapshot."""
    await _metric_reaches(gateway, "fleet_gateway_events_total", events)


async def _metric_reaches(gateway: GatewayProcess, name: str, wanted: int) -> None:
    """Until the sum of a counter's series is there; a scrape now and then costs little."""
    reached = 0.0
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS), httpx.AsyncClient() as http:
            while reached < wanted:
                await asyncio.sleep(0.1)
                answer = await http.get(f"{gateway.admin_url}/metrics", timeout=10)
                lines = answer.raise_for_status().text.splitlines()
                series = [one for one in lines if one.startswith((f"{name} ", f"{name}{{"))]
                reached = sum(float(one.rpartition(" ")[2]) for one in series)
    except TimeoutError:
        raise RuntimeError(f"{name} is at {reached:g}, not {wanted}") from None
