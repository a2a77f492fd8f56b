"""The pollers of the soak: the poller's own reading, mapping and publishing at virtual slots."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from fleet_cli.soak.padding import Padder, five_events
from fleet_common.fleet_spec import CadenceSpec
from fleet_common.raw_client import RawClient
from fleet_contracts.subjects import DeviceId, EventSubject, Kind, TenantId, message_id
from fleet_poller.events import Occasion, OutgoingEvent, failure_event, poll_events
from fleet_poller.memory import DeviceMemory
from fleet_poller.metrics import PollerMetrics
from fleet_poller.publisher import Publisher, PublisherBounds
from fleet_poller.reader import read_device
from fleet_poller.readings import PollReadings
from fleet_poller.routeros.errors import DisconnectedError, RouterError
from fleet_poller.routeros.session import RouterSession
from fleet_poller.settings import PollerSection

_POLL_SECONDS: Final = 20.0

type Opener = Callable[[], Awaitable[RouterSession]]


@dataclass(slots=True)
class SoakDevice:
    """One device: how its session is opened now, and what the poller remembers of it."""

    tenant: TenantId
    device: DeviceId
    cadence: CadenceSpec
    opener: Opener
    memory: DeviceMemory = field(default_factory=DeviceMemory)
    session: RouterSession | None = None
    failures: int = 0

    async def poll(self, slot_ms: int) -> list[OutgoingEvent]:
        """The events of this slot; a failed poll gives the one that says so."""
        begin = time.perf_counter_ns()
        try:
            readings = await self._read(slot_ms)
        except RouterError as error:
            self.failures += 1
            occasion = Occasion(slot_ms, 0, 0)
            return [failure_event(occasion, error.error_class, str(error), self.failures)]
        self.failures = 0
        duration_us = (time.perf_counter_ns() - begin) // 1000
        return poll_events(Occasion(slot_ms, duration_us // 1000, duration_us), readings)

    async def _read(self, slot_ms: int) -> PollReadings:
        reused = self.session is not None and not self.session.closed
        if self.session is None or self.session.closed:
            self.session = await self.opener()
        deadline = asyncio.get_running_loop().time() + _POLL_SECONDS
        try:
            return await read_device(self.session, self.memory, self.cadence, slot_ms, deadline)
        except DisconnectedError:
            if not reused:
                raise
        # A router that restarted hung up: as in the poller, that is no failed poll.
        self.session = await self.opener()
        return await read_device(self.session, self.memory, self.cadence, slot_ms, deadline)

    async def use(self, opener: Opener) -> None:
        """End the session; the next poll opens another in this way."""
        session, self.session = self.session, None
        self.opener = opener
        if session is not None:
            await session.log_out(asyncio.get_running_loop().time() + 1.0)


class TenantPoller:
    """One tenant's publisher, with the bounds of a poller-shard, and what went through it."""

    def __init__(self, tenant: TenantId, client: RawClient, padder: Padder | None) -> None:
        section = PollerSection(tenant=tenant)
        self.tenant = tenant
        self._padder = padder
        self._metrics = PollerMetrics()
        bounds = PublisherBounds(
            section.buffer_messages,
            section.buffer_bytes,
            section.publish_in_flight,
            section.ack_timeout_seconds,
        )
        self.publisher = Publisher(client, bounds, self._metrics)
        self.made: Counter[Kind] = Counter()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self.publisher.run(), name=f"publisher {self.tenant}")

    async def stop(self) -> None:
        """Send no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def publish(self, device: DeviceId, slot_ms: int, events: list[OutgoingEvent]) -> None:
        """Hand a poll's events to the publisher."""
        if self._padder is not None:
            events = five_events(events, slot_ms)
        for kind, payload in events:
            subject = str(EventSubject(self.tenant, device, kind))
            identifier = message_id(device, kind, slot_ms)
            body = payload
            if self._padder is not None:
                body = self._padder.pad(subject, payload, identifier)
            self.made[kind] += 1
            self.publisher.publish(kind, subject, body, identifier)

    def check(self) -> None:
        """Raise what ended the publisher, if anything did."""
        if self._task is not None and self._task.done():
            self._task.result()

    # --- figures ---------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Events made that are neither in the stream nor given up."""
        return self.made.total() - self.acknowledged - self.dropped

    @property
    def acknowledged(self) -> int:
        """Events that the broker took."""
        return self._sum("fleet_poller_events_acknowledged_total")

    @property
    def duplicates(self) -> int:
        """Events that the broker already had when they came again."""
        return self._sum("fleet_poller_events_duplicate_total")

    @property
    def dropped(self) -> int:
        """Events given up: the buffer was full."""
        return self._sum("fleet_poller_events_dropped_total")

    @property
    def refusals(self) -> int:
        """Answers of the broker that it takes nothing now."""
        name = "fleet_poller_publish_retries_total"
        return round(self._metrics.registry.get_sample_value(name, {"reason": "refused"}) or 0)

    def _sum(self, name: str) -> int:
        return round(
            sum(
                sample.value
                for family in self._metrics.registry.collect()
                for sample in family.samples
                if sample.name == name
            )
        )
