"""A real nats-server stays within the memory and disk that `ServerBudget` plans for it.

With GOMEMLIMIT set as planned, streams are written and read whole, which is when the server
holds most; the kernel's own high-water mark of its resident size is the witness. A run
records the measured figures (`pytest --junit-xml`): they are where the constants come from.
"""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from fleet_common.broker import declare_stream
from fleet_common.planning import ServerBudget, server_memory_needed
from fleet_common.planning.budget import (
    DISK_OVERHEAD,
    MEMORY_STREAM_RESIDENT,
    SERVER_BASE_BYTES,
)
from fleet_contracts.streams import DUPLICATE_WINDOW_SECONDS, StreamStorage, tenant_stream
from fleet_contracts.subjects import TenantId, stream_name
from support.nats import NatsServer, connected
from support.waiting import eventually

MIB = 1024**2
MESSAGES = 96_000
PAYLOAD = b"x" * 400
DEVICES = 100
MESSAGES_PER_SECOND = MESSAGES / DUPLICATE_WINDOW_SECONDS
"""All ids are remembered at once, as with so many messages in each duplicate window."""


@dataclass
class Measured:
    """Bytes: resident before there were streams, highest resident, in streams, on disk."""

    base: int
    peak: int
    streams: int
    disk: int


def resident(server: NatsServer, field: str) -> int:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


async def measure(server: NatsServer, storage: StreamStorage, streams: int) -> Measured:
    """Write MESSAGES spread over the streams, read all of each, and see what it took."""
    server.start()
    try:
        async with asyncio.timeout(90), connected(server.url) as client:
            js = client.jetstream(timeout=20)  # pyright: ignore[reportUnknownMemberType] - as above
            base = resident(server, "VmRSS")
            tenants = [TenantId(f"t{number}") for number in range(streams)]
            for tenant in tenants:
                await fill(client, js, tenant, storage, MESSAGES // streams)
            held = 0
            for tenant in tenants:
                held += (await js.stream_info(stream_name(tenant))).state.bytes
                await read_all(js, tenant, MESSAGES // streams)
            store = server.directory / "js"
            disk = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
            return Measured(base, resident(server, "VmHWM"), held, disk)
    finally:
        server.stop()


async def fill(
    client: Client, js: JetStreamContext, tenant: TenantId, storage: StreamStorage, count: int
) -> None:
    await declare_stream(
        js, tenant_stream(tenant, max_bytes=128 * MIB, max_age_seconds=3600, storage=storage)
    )
    for chunk in itertools.batched(range(count), 1000):
        for number in chunk:
            device = number % DEVICES
            await client.publish(
                f"fleet.{tenant}.router-{device:03d}.interfaces",
                PAYLOAD,
                headers={"Nats-Msg-Id": f"i{number:x}-router-{device:03d}"},
            )
        await client.flush(timeout=20)
    await eventually(
        lambda: js.stream_info(stream_name(tenant)),
        lambda info: info.state.messages == count,
        what=f"{count} messages in the stream",
    )


async def read_all(js: JetStreamContext, tenant: TenantId, count: int) -> None:
    reader = await js.pull_subscribe(  # pyright: ignore[reportUnknownMemberType] - as above
        f"fleet.{tenant}.>",
        "reader",
        stream=stream_name(tenant),
        config=ConsumerConfig(ack_policy=AckPolicy.NONE),
    )
    got = 0
    while got < count:
        got += len(await reader.fetch(1000, timeout=20))


def limited(monkeypatch: pytest.MonkeyPatch, budget: ServerBudget) -> None:
    monkeypatch.setenv("GOMEMLIMIT", str(budget.go_memory_limit_bytes))


async def test_memory_streams_fit_in_the_memory_planned_for_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    # Subject, message id and the memory store's 16 bytes come on top of the payload.
    expected = MESSAGES * (len(PAYLOAD) + 72)
    limit = server_memory_needed(0, expected, MESSAGES_PER_SECOND)
    budget = ServerBudget(limit, disk_bytes=0)
    limited(monkeypatch, budget)

    seen = await measure(NatsServer(tmp_path / "nats"), StreamStorage.MEMORY, 1)

    ratio = (seen.peak - seen.base) / seen.streams
    record_property("memory", f"{seen}, limit {limit}, resident ratio {ratio:.2f}")
    assert seen.streams == pytest.approx(expected, rel=0.05)
    assert seen.base <= SERVER_BASE_BYTES * 1.25
    assert seen.peak <= limit
    # Not planned too generously either: what is live is well above the stream's own bytes.
    assert MEMORY_STREAM_RESIDENT * 0.6 < ratio < MEMORY_STREAM_RESIDENT * 1.5


async def test_file_streams_fit_in_the_memory_and_the_disk_planned_for_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    limit = server_memory_needed(4, 0, MESSAGES_PER_SECOND)
    limited(monkeypatch, ServerBudget(limit, disk_bytes=0))

    seen = await measure(NatsServer(tmp_path / "nats"), StreamStorage.FILE, 4)

    record_property("file", f"{seen}, limit {limit}")
    assert seen.peak <= limit
    assert seen.disk <= seen.streams * DISK_OVERHEAD
