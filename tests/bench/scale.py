"""Does an item cost the same in a large fleet? 100, 1,000, 5,000 and 10,000 devices.

Each size has the same load, and only the CPU time of the one process that is measured counts;
routers, broker, database and clients are other processes. Polls and stored events are measured
once, over thousands (the whole part takes some five minutes), deliveries three times.

cpu_ratio_poll_<n>_to_100    the poller: a poll of five kinds, read, published, acknowledged
cpu_ratio_write_<n>_to_100   the writer: a stored event, in batches that hold a device once
cpu_ratio_sse_<n>_to_100     the gateway: an event written to one of 50 clients
"""

import asyncio
import contextlib
import itertools
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path

import asyncpg
import httpx
import nats
import psutil
from nats.aio.client import Client

from bench.gateway import connected_clients, cpu_seconds, gateway_on_empty_stream, result_of
from bench.poller_setup import load_endpoints, write_secrets
from fleet_common.broker import declare_stream
from fleet_contracts.codec import encode
from fleet_contracts.streams import StreamStorage, tenant_stream
from fleet_contracts.subjects import Kind, TenantId, device_id, stream_name, tenant_id
from support.gateway import Router
from support.nats import NatsServer
from support.postgres import PostgresServer
from support.writer import MINUTE_MS, WriterProcess, now_slot_ms, outgoing, poll_events, reading

SIZES = (100, 1_000, 5_000, 10_000)
_FLEETS = 2
"""Processes of simulated routers: two descriptors a router are more than one may have."""
_OPEN_FILES = 16_384
_STORED_POLLS = 5_000
_MINUTE_SECONDS = 60.0
_POLLS_PER_SECOND = 500.0
"""About what two cores do, routers and all."""
_WARM_POLLS = 1_000
_EVENTS_OF_A_POLL = 4
_BATCH_EVENTS = 200
_SSE_CLIENTS = 50
_SSE_RUNS = 3
_SSE_EVENTS = 2_000
_SSE_PER_SECOND = 500.0
_DEADLINE_SECONDS = 240.0
_KINDS = (Kind.STATUS, Kind.HEALTH)


def run(runs: int) -> dict[str, float]:  # noqa: ARG001 - every part has the same signature
    """CPU microseconds per item and KB per device at each size, and the ratios to 100."""
    _allow_open_files()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder:
        directory = Path(folder)
        directory.chmod(0o755)  # PostgreSQL's user has to pass
        with _fleet(directory) as (endpoints, secrets, set_speed):
            for size in SIZES:
                # Between two polls of a device passes about a minute, whatever the size.
                set_speed(_MINUTE_SECONDS * _POLLS_PER_SECOND / size)
                measured = _poll(directory / f"poll-{size}", endpoints, secrets, size)
                _note(figures, f"cpu_us_per_poll_{size}", measured["us_per_poll"])
                _note(figures, f"poller_kb_per_device_{size}", measured["kb_per_device"])
        with _postgres(directory) as postgres:
            for size in SIZES:
                stored = asyncio.run(_write(directory / f"write-{size}", postgres, size))
                _note(figures, f"cpu_us_per_stored_event_{size}", stored)
        # The busier the machine, the more events share a write: sizes in turns, and medians.
        spent = {size: list[float]() for size in SIZES}
        for number, size in itertools.product(range(_SSE_RUNS), SIZES):
            spent[size].append(asyncio.run(_deliver(directory / f"sse-{number}-{size}", size)))
        for size in SIZES:
            _note(figures, f"cpu_us_per_delivery_{size}", statistics.median(spent[size]))
    for size in SIZES[1:]:
        for item, name in (
            ("poll", "cpu_us_per_poll"),
            ("write", "cpu_us_per_stored_event"),
            ("sse", "cpu_us_per_delivery"),
        ):
            ratio = figures[f"{name}_{size}"] / figures[f"{name}_100"]
            figures[f"cpu_ratio_{item}_{size}_to_100"] = ratio
    figures["poller_memory_ratio_10000_to_1000"] = (
        figures["poller_kb_per_device_10000"] / figures["poller_kb_per_device_1000"]
    )
    return figures


def _note(figures: dict[str, float], name: str, value: float) -> None:
    print(f"  {name:<36} {value:10.2f}", file=sys.stderr, flush=True)
    figures[name] = value


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _OPEN_FILES:
        if hard != resource.RLIM_INFINITY and hard < _OPEN_FILES:
            raise RuntimeError(f"{_OPEN_FILES} open files are needed, {hard} are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, hard))


# --- polls ---------------------------------------------------------------------------


@contextlib.contextmanager
def _fleet(directory: Path) -> Generator[tuple[Path, Path, Callable[[float], None]]]:
    """Two routers more than the largest size: endpoints, secrets, and what sets their clocks."""
    each = max(SIZES) // _FLEETS + 1
    processes = [
        subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "bench.poller_fleet", str(each), str(number)],
            cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for number in range(_FLEETS)
    ]  # fmt: skip
    try:
        halves: list[list[list[object]]] = []
        for number, process in enumerate(processes):
            assert process.stdout is not None
            halves.append(json.loads(process.stdout.readline()))
            for one in halves[-1]:
                one[1] = f"{one[1]}-{number}"
        # In turns, so that each size has routers of both processes.
        mixed = [one for pair in zip(*halves, strict=True) for one in pair]
        endpoints, secrets = directory / "endpoints.json", directory / "secrets"
        endpoints.write_text(json.dumps(mixed), encoding="utf-8")
        write_secrets(secrets, load_endpoints(endpoints))

        def set_speed(scale: float) -> None:
            for process in processes:
                assert process.stdin is not None
                process.stdin.write(f"{scale}\n".encode())
                process.stdin.flush()

        yield endpoints, secrets, set_speed
    finally:
        for process in processes:
            process.kill()
            process.wait(timeout=10)


def _poll(directory: Path, endpoints: Path, secrets: Path, size: int) -> dict[str, float]:
    server = NatsServer(directory)
    server.start()
    try:
        tenant = TenantId(load_endpoints(endpoints)[0][0])
        asyncio.run(_declare(server, tenant))
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "bench.scale_poll", str(endpoints), str(secrets), server.url,
             str(size)],
            cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, check=True,
            timeout=_DEADLINE_SECONDS,
        )  # fmt: skip
        return json.loads(done.stdout)
    finally:
        server.stop()


async def _declare(server: NatsServer, tenant: TenantId) -> None:
    client = await nats.connect(server.url)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - as above
    definition = tenant_stream(
        tenant, max_bytes=1 << 27, max_age_seconds=3600, storage=StreamStorage.MEMORY
    )
    await declare_stream(js, definition)
    await client.close()


# --- stored events -------------------------------------------------------------------


@contextlib.contextmanager
def _postgres(directory: Path) -> Generator[PostgresServer]:
    server = PostgresServer(directory)
    try:
        yield server
    finally:
        server.close()


async def _write(directory: Path, postgres: PostgresServer, size: int) -> float:
    """CPU microseconds of the writer for an event, every device being known already."""
    server = NatsServer(directory)
    server.start()
    database = postgres.create_database()
    client = await nats.connect(server.url)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    try:
        # Rates need a poll before: each device's state is whole after two.
        warm, rounds = max(2, _WARM_POLLS // size), max(1, _STORED_POLLS // size)
        await _fill(client, size, warm + rounds)
        url = postgres.url(database)
        return await _drain(server, url, directory, warm * size, rounds * size)
    finally:
        await client.close()
        server.stop()
        postgres.drop_database(database)
        shutil.rmtree(directory, ignore_errors=True)


async def _fill(client: Client, size: int, polls: int) -> None:
    js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    tenant = tenant_id("scale")
    await declare_stream(js, tenant_stream(tenant, max_bytes=1 << 28, max_age_seconds=86_400))
    first = now_slot_ms() - polls * MINUTE_MS
    messages = (
        outgoing(tenant, device_id(f"router-{device:05d}"), kind, event)
        for poll in range(polls)
        for device in range(size)
        for kind, event in poll_events(first + poll * MINUTE_MS, device + poll).items()
        if kind is not Kind.FIRMWARE
    )
    for chunk in itertools.batched(messages, 500):
        sending = (js.publish(one.subject, one.payload, headers=one.headers) for one in chunk)
        await asyncio.gather(*sending)
    info = await js.stream_info(stream_name(tenant))
    if info.state.messages != size * polls * _EVENTS_OF_A_POLL:
        raise RuntimeError(f"the stream has {info.state.messages} events")


async def _drain(
    server: NatsServer, url: str, directory: Path, warm_polls: int, polls: int
) -> float:
    settings = {
        "FLEET_WRITER__BATCH_MESSAGES": str(_BATCH_EVENTS),
        "FLEET_WRITER__LINGER_SECONDS": "0.05",
    }
    writer = WriterProcess(server.url, url, directory / "writer.log", settings).start()
    assert writer.process is not None
    own = psutil.Process(writer.process.pid)
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS), reading(url) as connection:
            begun = await _until(connection, warm_polls * _EVENTS_OF_A_POLL)
            before = cpu_seconds(own)
            ended = await _until(connection, (warm_polls + polls) * _EVENTS_OF_A_POLL)
            return (cpu_seconds(own) - before) / (ended - begun) * 1e6
    finally:
        writer.terminate()


async def _until(connection: "asyncpg.Connection[asyncpg.Record]", sequence: int) -> int:
    """The stored position once it is at least this."""
    while True:
        try:
            stored = await connection.fetchval("SELECT last_sequence FROM stream_positions")
        except asyncpg.UndefinedTableError:
            stored = None
        if stored is not None and stored >= sequence:
            return stored
        await asyncio.sleep(0.02)


# --- deliveries ----------------------------------------------------------------------


async def _deliver(directory: Path, size: int) -> float:
    """CPU microseconds of the gateway for an event written to one client, ingest included."""
    server = NatsServer(directory)
    server.start()
    try:
        async with gateway_on_empty_stream(server, directory) as (gateway, client):
            assert gateway.process is not None
            process = psutil.Process(gateway.process.pid)
            events = _events(size)
            await _send(client, events, size * len(_KINDS), None)
            await _ingested(gateway.admin_port, size * len(_KINDS))
            with connected_clients(gateway.port, _SSE_CLIENTS, "-", _SSE_EVENTS) as clients:
                before = cpu_seconds(process)
                await _send(client, events, _SSE_EVENTS, _SSE_PER_SECOND)
                delivered = await result_of(clients)
                spent = cpu_seconds(process) - before
        if delivered.events != _SSE_EVENTS * _SSE_CLIENTS:
            raise RuntimeError(f"{delivered.events} events arrived")
        return spent / delivered.events * 1e6
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


async def _ingested(port: int, events: int) -> None:
    """Until the gateway has taken so many: later clients get them with their snapshot."""
    taken = 0.0
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS), httpx.AsyncClient() as http:
            while taken < events:
                answer = await http.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
                lines = answer.raise_for_status().text.splitlines()
                series = [one for one in lines if one.startswith("fleet_gateway_events_total{")]
                taken = sum(float(one.rpartition(" ")[2]) for one in series)
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise RuntimeError(f"the gateway took {taken:g} of {events} events") from None


def _events(size: int) -> list[tuple[str, bytes]]:
    """Subject and payload of each device's kinds. The slot is now: the clients measure delays."""
    found: list[tuple[str, bytes]] = []
    for number in range(size):
        router = Router(tenant_id("north"), number)
        for kind, event in router.poll(0).items():
            if kind in _KINDS:
                event.slot_unix_ms = round(time.time() * 1000)
                found.append((router.subject(kind), encode(event)))
    return found


async def _send(
    client: Client, events: list[tuple[str, bytes]], count: int, per_second: float | None
) -> None:
    js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    start = time.monotonic()
    for number in range(count):
        subject, payload = events[number % len(events)]
        await js.publish_async(subject, payload)  # pyright: ignore[reportUnknownMemberType] - as above
        if per_second is not None:
            ahead = start + (number + 1) / per_second - time.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
    await js.publish_async_completed()
