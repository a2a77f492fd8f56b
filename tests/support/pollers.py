"""A poller-shard inside the test's event loop: real sessions, events kept in a list.

    async with running_shard(tmp_path, record(sim.endpoint("core-1"))) as poller:
        await eventually(lambda: poller.kinds("core-1"), lambda kinds: Kind.HEALTH in kinds)

For the whole process with a real broker see tests/integration/test_poller_service.py.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleet_common.fleet_spec import CadenceSpec, TlsMode, TlsSpec
from fleet_common.inventory import DeviceRecord
from fleet_common.settings import TracingSection
from fleet_common.tracing import Tracing, start_tracing
from fleet_contracts.codec import DecodedEvent, decode
from fleet_contracts.gen.fleet.v1.events_pb2 import Event
from fleet_contracts.subjects import DeviceId, Kind
from fleet_poller.breaker import BreakerPolicy
from fleet_poller.clock import SystemClock
from fleet_poller.credentials import SecretStore
from fleet_poller.device import PollContext, PollTimeouts
from fleet_poller.gate import LoginGates
from fleet_poller.metrics import PollerMetrics
from fleet_poller.shard import Shard
from fleet_simulator.server import Endpoint

INTERVAL_SECONDS = 0.2
SECRET = "routers"


@dataclass
class RecordedEvents:
    """An EventSink that decodes and keeps what it gets; an invalid event fails the test."""

    events: list[DecodedEvent] = field(default_factory=list[DecodedEvent])
    ids: list[str] = field(default_factory=list[str])
    headers: list[dict[str, str] | None] = field(default_factory=list[dict[str, str] | None])

    def publish(
        self,
        kind: Kind,
        subject: str,
        payload: bytes,
        message_id: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        decoded = decode(subject, payload)
        assert decoded.subject.kind is kind
        self.events.append(decoded)
        self.ids.append(message_id)
        self.headers.append(headers)

    def of(self, device: str, kind: Kind) -> list[Event]:
        """All events of a device and kind, oldest first."""
        return [
            one.event
            for one in self.events
            if one.subject.device == device and one.subject.kind is kind
        ]

    def kinds(self, device: str) -> set[Kind]:
        """The kinds seen of a device."""
        return {one.subject.kind for one in self.events if one.subject.device == device}


def write_secret(directory: Path, endpoint: Endpoint, name: str = SECRET) -> None:
    """The mounted Secret for these credentials."""
    folder = directory / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "username").write_text(endpoint.username, encoding="utf-8")
    (folder / "password").write_text(endpoint.password + "\n", encoding="utf-8")


def device_record(endpoint: Endpoint, **changes: object) -> DeviceRecord:
    """The record of a simulated device: a fast cadence, everything else plain."""
    fields: dict[str, object] = {
        "tenant": endpoint.tenant,
        "device": endpoint.device,
        "address": endpoint.address,
        "port": endpoint.port,
        "credentials_secret": SECRET,
        "tls": TlsSpec(mode=TlsMode.PLAIN),
        "cadence": CadenceSpec(interval=INTERVAL_SECONDS),
    }
    return DeviceRecord.model_validate({**fields, **changes})


@dataclass
class RunningShard(RecordedEvents):
    """A shard under test, its metrics, and what it published."""

    shard: Shard = field(kw_only=True)
    metrics: PollerMetrics = field(kw_only=True)

    def assign(self, *records: DeviceRecord) -> None:
        """Make the devices be these."""
        self.shard.assign({DeviceId(one.device): one for one in records})

    def metric(self, name: str, **labels: str) -> float:
        """The value of a sample, 0 when it has none yet."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def running_shard(
    secrets: Path,
    *records: DeviceRecord,
    timeouts: PollTimeouts | None = None,
    breaker: BreakerPolicy | None = None,
    logins: int = 32,
    tracing: Tracing | None = None,
) -> AsyncGenerator[RunningShard]:
    """Poll these devices until the block ends; a bug in a poll fails the test."""
    metrics = PollerMetrics()
    events = RecordedEvents()
    context = PollContext(
        secrets=SecretStore(secrets),
        gates=LoginGates(logins),
        timeouts=timeouts or PollTimeouts(2.0, 2.0),
        breaker=breaker or BreakerPolicy(failures_to_open=1000),
        sink=events,
        metrics=metrics,
        tracing=tracing or start_tracing("poller", TracingSection()),
        clock=SystemClock(),
        jitter=random.Random(1),  # noqa: S311 - repeatable, no secret
    )
    shard = Shard(context)
    running = RunningShard(events.events, events.ids, events.headers, shard=shard, metrics=metrics)
    running.assign(*records)
    task = asyncio.create_task(shard.run())
    try:
        yield running
    finally:
        await shard.stop(1.0)
        async with asyncio.timeout(5):
            await task


def last_of(events: Sequence[Event]) -> Event:
    """The newest."""
    assert events, "no event of this kind"
    return events[-1]
