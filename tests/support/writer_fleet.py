"""Fixture `fleet`: one tenant's stream, a database, and writers in the test's event loop.

Loaded by tests/conftest.py.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import asyncpg
import pytest
from nats.aio.client import Client
from pydantic import SecretStr

from fleet_common.broker import declare_stream
from fleet_common.health import Health
from fleet_common.runtime import Runtime
from fleet_common.settings import NatsSection
from fleet_common.tracing import start_tracing
from fleet_contracts.gen.fleet.v1.events_pb2 import Event
from fleet_contracts.streams import tenant_stream
from fleet_contracts.subjects import Kind, TenantId, device_id, stream_name, tenant_id
from fleet_writer.app import run
from fleet_writer.metrics import WriterMetrics
from fleet_writer.settings import (
    DatabaseSection,
    RetentionSection,
    WriterSection,
    WriterSettings,
)
from fleet_writer.tables import SAMPLE_TABLES
from support.nats import NatsServer
from support.waiting import eventually
from support.writer import outgoing, poll_events, reading


class RunningWriter:
    """The writer inside the test's own event loop: its metrics and health at hand."""

    def __init__(self, settings: WriterSettings) -> None:
        self.settings = settings
        self.metrics = WriterMetrics()
        self.health = Health()
        self.stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> "RunningWriter":
        self._task = asyncio.create_task(self._run(), name="writer under test")
        return self

    async def end(self) -> None:
        """A graceful stop; raises what ended the writer, if it ended before."""
        self.stop.set()
        if self._task is not None:
            async with asyncio.timeout(20):
                await self._task

    def value(self, name: str, **labels: str) -> float:
        """A metric's sample; 0 when it has none yet."""
        return self.told(name, **labels) or 0.0

    def told(self, name: str, **labels: str) -> float | None:
        """The same; None when it has none."""
        return self.metrics.registry.get_sample_value(name, labels)

    async def _run(self) -> None:
        tracing = start_tracing("writer", self.settings.tracing)
        async with asyncio.TaskGroup() as tasks:
            runtime = Runtime(tasks, self.stop, self.health, tracing)
            await run(runtime, self.settings, self.metrics)
            self.stop.set()


class Fleet:
    """One tenant's stream, a database, and writers between them."""

    def __init__(self, client: Client, nats_url: str, database_url: str, tenant: TenantId) -> None:
        self.tenant = tenant
        self.stream = stream_name(tenant)
        self.database_url = database_url
        self.retention = RetentionSection()
        self.retry_max_seconds = 0.5
        self.client = client
        self.js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        self.nats_url = nats_url
        self._writers: list[RunningWriter] = []

    async def declare(self, max_bytes: int = 64 * 1024 * 1024) -> None:
        definition = tenant_stream(self.tenant, max_bytes=max_bytes, max_age_seconds=86_400)
        await declare_stream(self.js, definition)

    async def publish(self, device: str, kind: Kind, event: Event) -> int:
        """Returns the sequence."""
        message = outgoing(self.tenant, device_id(device), kind, event)
        ack = await self.js.publish(message.subject, message.payload, timeout=10)
        return ack.seq

    async def publish_polls(self, slots: Iterable[int], devices: Iterable[str]) -> int:
        """All kinds of every device's poll at every slot; returns how many events."""
        names = list(devices)
        messages = [
            outgoing(self.tenant, device_id(name), kind, event)
            for slot in slots
            for number, name in enumerate(names)
            for kind, event in poll_events(slot, number).items()
        ]
        for chunk in itertools.batched(messages, 200):
            await asyncio.gather(
                *(self.js.publish(one.subject, one.payload, timeout=10) for one in chunk)
            )
        return len(messages)

    def writer(self, **writer: object) -> RunningWriter:
        """Start a writer with these FLEET_WRITER__ settings."""
        section = {
            "discovery_seconds": 0.1,
            "takeover_seconds": 0.1,
            "linger_seconds": 0.02,
            **writer,
        }
        settings = WriterSettings(
            nats=NatsSection(url=self.nats_url),
            database=DatabaseSection(
                url=SecretStr(self.database_url), retry_max_seconds=self.retry_max_seconds
            ),
            writer=WriterSection.model_validate(section),
            retention=self.retention,
        )
        running = RunningWriter(settings).start()
        self._writers.append(running)
        return running

    async def end(self) -> None:
        for writer in self._writers:
            await writer.end()

    async def accounts(self) -> dict[str, dict[str, Any]]:
        """The newest lineage's row of stream_accounts, by tenant."""
        try:
            rows = await self.rows("SELECT * FROM stream_accounts ORDER BY created, generation")
        except asyncpg.UndefinedTableError:
            return {}
        return {row["tenant"]: row for row in rows}

    async def account(self) -> dict[str, Any]:
        """This tenant's; empty while there is none."""
        return (await self.accounts()).get(self.tenant, {})

    async def stored(self, sequence: int, deadline_seconds: float = 20) -> dict[str, Any]:
        """Wait until everything up to the sequence is stored; returns the account."""
        return await eventually(
            self.account,
            lambda account: account.get("last_sequence", -1) >= sequence,
            deadline_seconds=deadline_seconds,
            what=f"sequence {sequence} is stored",
        )

    async def rows(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        async with reading(self.database_url) as connection:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]

    async def run(self, *statements: str) -> None:
        """Run statements one after another on one connection."""
        async with reading(self.database_url) as connection:
            for statement in statements:
                await connection.execute(statement)

    async def second_lineage(self, events_stored: int) -> list[dict[str, Any]]:
        """Wait until a second lineage of the stream has so many events; returns both accounts."""

        async def read() -> list[dict[str, Any]]:
            return await self.rows("SELECT * FROM stream_accounts ORDER BY created, generation")

        def holds(rows: list[dict[str, Any]]) -> bool:
            return len(rows) == 2 and rows[1]["events_stored"] == events_stored

        return await eventually(read, holds, what=f"a second lineage with {events_stored} events")

    async def value(self, sql: str, *arguments: object) -> Any:  # noqa: ANN401 - any SQL type
        rows = await self.rows(sql, *arguments)
        return next(iter(rows[0].values()))

    async def sample_rows(self) -> int:
        """Rows of all sample tables together."""
        counts = [f"(SELECT count(*) FROM {table.name})" for table in SAMPLE_TABLES]  # noqa: S608 - our own names
        return await self.value("SELECT " + " + ".join(counts))


@pytest.fixture
async def fleet(
    nats_server: NatsServer, nats_client: Client, postgres_url: str
) -> AsyncGenerator[Fleet]:
    """A declared stream without writers."""
    one = Fleet(nats_client, nats_server.url, postgres_url, tenant_id("acme"))
    await one.declare()
    yield one
    await one.end()
