"""The gateway's figures: deliveries per CPU second, delay, memory of an idle client.

The gateway runs in a process of its own, the clients in another, nats-server in a third. All
figures that count are CPU or memory of the gateway's process; wall time only bounds the run.
"""

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path

import nats
import psutil
from nats.aio.client import Client

from fleet_contracts.codec import encode
from fleet_contracts.streams import StreamStorage
from fleet_contracts.subjects import Kind, tenant_id
from support.gateway import Router, declare
from support.gateway_process import GatewayProcess, running_gateway
from support.nats import NatsServer

CLIENTS = 500
IDLE_CLIENTS = 2000
BURST_EVENTS = 2000
BURST_PER_SECOND = 400
PACED_EVENTS = 1000
PACED_PER_SECOND = 100
_DEADLINE_SECONDS = 120.0
_KINDS = (Kind.STATUS, Kind.HEALTH)


@dataclass(frozen=True)
class Delivered:
    """What the clients' process saw."""

    events: int
    delays: list[float]


def run(runs: int) -> dict[str, float]:
    """Medians of `runs` measurements of each figure."""
    samples: dict[str, list[float]] = {}
    for _ in range(runs):
        for name, value in asyncio.run(_measure()).items():
            samples.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in samples.items()}


async def _measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as folder:
        directory = Path(folder)
        server = NatsServer(directory / "nats")
        server.start()
        try:
            return {
                **await _deliveries(server, directory, "raw"),
                **await _deliveries(server, directory, "coalesced"),
                **await _delay(server, directory),
                **await _memory(server, directory),
            }
        finally:
            server.stop()


@contextlib.asynccontextmanager
async def gateway_on_empty_stream(
    server: NatsServer, directory: Path
) -> AsyncGenerator[tuple[GatewayProcess, Client]]:
    """A gateway on an empty stream, and a broker connection."""
    client = await nats.connect(server.url)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    await declare(js, "north", storage=StreamStorage.MEMORY)
    try:
        async with running_gateway(server, directory, MAX_CLIENTS="5000") as gateway:
            yield gateway, client
    finally:
        await js.delete_stream("FLEET_north")
        await client.close()


@contextlib.contextmanager
def connected_clients(
    port: int, count: int, query: str, until: int
) -> Generator["subprocess.Popen[str]"]:
    """The clients' process; it says `ready` once all have their snapshot."""
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "bench.gateway_clients", str(port), str(count), query, str(until)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "ready\n", line
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def _publish(client: Client, count: int, per_second: float) -> None:
    """`count` status and health events of 101 routers, evenly; the slot is the time of sending."""
    js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    routers = [Router(tenant_id("north"), number) for number in range(101)]
    events = [(router, kind, router.poll(0)[kind]) for kind in _KINDS for router in routers]
    start = time.monotonic()
    for number in range(count):
        router, kind, event = events[number % len(events)]
        event.slot_unix_ms = round(time.time() * 1000)
        await js.publish_async(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
            router.subject(kind), encode(event)
        )
        ahead = start + (number + 1) / per_second - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
    await js.publish_async_completed()


async def _deliveries(server: NatsServer, directory: Path, mode: str) -> dict[str, float]:
    """Live events written to 500 clients for one second of the gateway's CPU, ingest included.

    Coalesced windows of 250 ms hold each (device, kind) once at this rate, so nothing is
    superseded and every event counted was written.
    """
    query = "?coalesce=250ms" if mode == "coalesced" else "-"
    figures, _ = await _stream(server, directory, query, BURST_EVENTS, BURST_PER_SECOND)
    return {f"sse_deliveries_per_core_{mode}": figures}


async def _delay(server: NatsServer, directory: Path) -> dict[str, float]:
    """99th percentile from before the publish until a client has read the event."""
    figures, delays = await _stream(server, directory, "-", PACED_EVENTS, PACED_PER_SECOND)
    delays.sort()
    return {
        "sse_p99_ms": delays[int(len(delays) * 0.99)] * 1000,
        "sse_deliveries_per_core_paced": figures,
    }


async def _stream(
    server: NatsServer, directory: Path, query: str, events: int, per_second: float
) -> tuple[float, list[float]]:
    """Deliveries for each CPU second of the gateway, and delays in seconds."""
    async with gateway_on_empty_stream(server, directory) as (gateway, client):
        process = psutil.Process(gateway.pid)
        with connected_clients(gateway.port, CLIENTS, query, events) as clients:
            before = cpu_seconds(process)
            await _publish(client, events, per_second)
            delivered = await result_of(clients)
            spent = cpu_seconds(process) - before
    expected = events * CLIENTS
    assert delivered.events == expected, f"{delivered.events} of {expected} arrived"
    return delivered.events / spent, delivered.delays


async def _memory(server: NatsServer, directory: Path) -> dict[str, float]:
    """Growth of the gateway's resident memory for each connected idle client."""
    async with gateway_on_empty_stream(server, directory) as (gateway, _client):
        process = psutil.Process(gateway.pid)
        # The first clients load code and grow pools that the others share.
        with connected_clients(gateway.port, 50, "-", 0):
            before = process.memory_info().rss
            with connected_clients(gateway.port, IDLE_CLIENTS, "-", 0):
                after = process.memory_info().rss
    return {"sse_kb_per_client": (after - before) / IDLE_CLIENTS / 1024}


async def result_of(clients: "subprocess.Popen[str]") -> Delivered:
    async with asyncio.timeout(_DEADLINE_SECONDS):
        output, _ = await asyncio.to_thread(clients.communicate)
    count, *delays = output.split()
    return Delivered(int(count), [float(delay) for delay in delays])
