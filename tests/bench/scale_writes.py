"""The writer at each size: CPU for a stored event, memory of a device.

A writer for each size runs all the time, on a stream and a database of its own; every device
has its inventory with ten interfaces and was polled twice before anything counts. Then, in
turns, each gets the same number of events, the next polls of its fleet in their order:

* catching up: 20,000 events stand in the stream when the writer goes on (it is stopped while
  they are published), so that it stores them in its largest batches, 5,000 events. Of 100
  devices a batch holds twelve polls, of 10,000 devices an eighth of a poll of the fleet.
* live: events come at the rate of the largest fleet at its cadence (10,000 devices, 60 s, four
  kinds a poll: 667 a second), in batches of what 0.25 s bring. At its own rate a small fleet's
  batches would hold a few events each: 100 devices would be dearer.

Memory: one writer whose fleet grows through the sizes.
"""

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from nats.aio.client import Client

from bench.scale_process import SIZES, broker, cpu_seconds, resident_kb
from fleet_common.broker import declare_stream
from fleet_contracts.codec import encode
from fleet_contracts.streams import StreamStorage, tenant_stream
from fleet_contracts.subjects import (
    DeviceId,
    EventSubject,
    Kind,
    TenantId,
    device_id,
    message_id,
    tenant_id,
)
from support.nats import NatsServer
from support.postgres import PostgresServer
from support.processes import ServiceProcess
from support.writer import (
    MINUTE_MS,
    Outgoing,
    inventory,
    now_slot_ms,
    outgoing,
    poll_events,
    reading,
    writer_process,
)

_KINDS = (Kind.STATUS, Kind.HEALTH, Kind.INTERFACES, Kind.WIRELESS)
_INTERFACES = {number: f"ether{number}" for number in range(1, 11)}
_CAUGHT_UP_EVENTS = 20_000
_LIVE_EVENTS = 2_000
_LIVE_PER_SECOND = 667.0
_PENDING = 2_000
_READINGS = 50
_DAY_MS = 86_400_000
_DEADLINE_SECONDS = 120.0
_SETTINGS = {"FLEET_WRITER__DISCOVERY_SECONDS": "5", "FLEET_WRITER__LINGER_SECONDS": "0.25"}
"""As they are by default."""


@dataclass(frozen=True)
class WriteCost:
    """CPU microseconds for an event."""

    writer: float
    postgres: float


async def cpu_us_per_stored_event(
    runs: int, directory: Path, postgres: PostgresServer
) -> tuple[dict[int, list[WriteCost]], dict[int, list[WriteCost]]]:
    """Of each run at each size: catching up, and live."""
    caught_up = {size: list[WriteCost]() for size in SIZES}
    live = {size: list[WriteCost]() for size in SIZES}
    async with contextlib.AsyncExitStack() as stack:
        server, client = await stack.enter_async_context(broker(directory / "nats"))
        fleets = [
            await stack.enter_async_context(_fleet(server, client, directory, postgres, size))
            for size in SIZES
        ]
        for number, fleet in itertools.product(range(runs + 1), fleets):
            cost = await fleet.catch_up(client)
            if number:  # the first turn warms
                caught_up[fleet.size].append(cost)
        for _, fleet in itertools.product(range(runs), fleets):
            live[fleet.size].append(await fleet.live(client))
    return caught_up, live


async def kb_at_each_size(directory: Path, postgres: PostgresServer) -> dict[int, float]:
    """Resident KB of one writer as its fleet grows."""
    kb: dict[int, float] = {}
    async with (
        broker(directory / "nats") as (server, client),
        _fleet(server, client, directory, postgres, SIZES[0], "grows") as fleet,
    ):
        # Batches of the largest kind first: what grows later is the fleet.
        for _ in range(3):
            await fleet.catch_up(client)
        known = 0
        for size in SIZES:
            await fleet.learn(client, known, size)
            known, kb[size] = size, await resident_kb(fleet.pid)
    return kb


@dataclass
class _Fleet:
    """One size's stream, writer and database."""

    size: int
    tenant: TenantId
    writer: ServiceProcess
    postgres: PostgresServer
    connection: "asyncpg.Connection[asyncpg.Record]"
    events: Iterator[Outgoing]
    sent: int = 0

    @property
    def pid(self) -> int:
        """The writer's."""
        return self.writer.pid

    async def catch_up(self, client: Client) -> WriteCost:
        """Publish while the writer stands still, then let it go on."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            await self.send(client, itertools.islice(self.events, _CAUGHT_UP_EVENTS))
            before = self._spent()
        finally:
            os.kill(self.pid, signal.SIGCONT)
        await self.stored()
        return self._cost(before, _CAUGHT_UP_EVENTS)

    async def live(self, client: Client) -> WriteCost:
        """Publish at the live rate."""
        before = self._spent()
        await self.send(client, itertools.islice(self.events, _LIVE_EVENTS), _LIVE_PER_SECOND)
        await self.stored()
        return self._cost(before, _LIVE_EVENTS)

    async def learn(self, client: Client, known: int, size: int) -> None:
        """Inventories and two polls of the devices after `known`."""
        first = _midnight_ms() + MINUTE_MS
        numbers = range(known, size)
        await self.send(client, _inventories(self.tenant, numbers, first))
        for poll in range(2):
            await self.send(client, _poll(self.tenant, numbers, first, poll))
            await self.stored()

    async def send(
        self, client: Client, messages: Iterable[Outgoing], per_second: float | None = None
    ) -> None:
        """Publish, acknowledged."""
        js = client.jetstream(publish_async_max_pending=_PENDING)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        loop = asyncio.get_running_loop()
        start, sent = loop.time(), 0
        for one in messages:
            await js.publish_async(one.subject, one.payload, headers=one.headers)  # pyright: ignore[reportUnknownMemberType] - as above
            sent += 1
            if per_second is not None and (ahead := start + sent / per_second - loop.time()) > 0:
                await asyncio.sleep(ahead)
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await js.publish_async_completed()
        self.sent += sent

    async def stored(self) -> None:
        """Until the writer has stored all that was sent."""
        last = None
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                while last != self.sent:
                    await asyncio.sleep(0.02)
                    last = await self.connection.fetchval(
                        "SELECT last_sequence FROM stream_positions"
                    )
        except TimeoutError:
            raise RuntimeError(
                f"the writer is at {last}, not {self.sent}:\n{self.writer.tail()}"
            ) from None

    def _spent(self) -> WriteCost:
        return WriteCost(cpu_seconds(self.pid), self.postgres.cpu_seconds())

    def _cost(self, before: WriteCost, events: int) -> WriteCost:
        now = self._spent()
        return WriteCost(
            (now.writer - before.writer) / events * 1e6,
            (now.postgres - before.postgres) / events * 1e6,
        )


@contextlib.asynccontextmanager
async def _fleet(
    server: NatsServer,
    client: Client,
    directory: Path,
    postgres: PostgresServer,
    size: int,
    name: str = "of",
) -> AsyncGenerator[_Fleet]:
    tenant = tenant_id(f"{name}-{size}")
    js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    definition = tenant_stream(
        tenant, max_bytes=1 << 27, max_age_seconds=3600, storage=StreamStorage.MEMORY
    )
    await declare_stream(js, definition)
    database = postgres.create_database()
    url = postgres.url(database)
    settings = {**_SETTINGS, "FLEET_WRITER__TENANTS": tenant}
    writer = writer_process(server.url, url, directory / f"{tenant}.log", settings).start()
    try:
        async with reading(url) as connection:
            await _opened(connection, writer)
            fleet = _Fleet(size, tenant, writer, postgres, connection, _polls(tenant, size))
            if name == "of":
                await fleet.learn(client, 0, size)
            yield fleet
    finally:
        await writer.stop()
        postgres.drop_database(database)


async def _opened(connection: "asyncpg.Connection[asyncpg.Record]", writer: ServiceProcess) -> None:
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while True:
                with contextlib.suppress(asyncpg.UndefinedTableError):
                    if await connection.fetchval("SELECT count(*) FROM stream_positions"):
                        return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise RuntimeError(f"the writer opened no stream:\n{writer.tail()}") from None


def _midnight_ms() -> int:
    """Of today, UTC: slots of one day fill one partition of each table, whatever the hour."""
    return now_slot_ms() // _DAY_MS * _DAY_MS


def _inventories(tenant: TenantId, numbers: Iterable[int], slot_ms: int) -> Iterator[Outgoing]:
    for number in numbers:
        yield outgoing(tenant, _name(number), Kind.INVENTORY, inventory(slot_ms, _INTERFACES))


def _polls(tenant: TenantId, size: int) -> Iterator[Outgoing]:
    """Polls of the whole fleet, one after the other, after the two it has learnt."""
    first = _midnight_ms() + MINUTE_MS
    for poll in itertools.count(2):
        yield from _poll(tenant, range(size), first, poll)


def _poll(tenant: TenantId, numbers: Iterable[int], first_ms: int, poll: int) -> Iterator[Outgoing]:
    """One poll of each of the devices; every so many of them read the same."""
    slot_ms = first_ms + poll * MINUTE_MS
    made = [poll_events(slot_ms, number + poll) for number in range(_READINGS)]
    payloads = [{kind: encode(events[kind]) for kind in _KINDS} for events in made]
    for number in numbers:
        device = _name(number)
        for kind, payload in payloads[number % _READINGS].items():
            headers = {"Nats-Msg-Id": message_id(device, kind, slot_ms)}
            yield Outgoing(str(EventSubject(tenant, device, kind)), payload, headers)


def _name(number: int) -> DeviceId:
    return device_id(f"router-{number:05d}")
