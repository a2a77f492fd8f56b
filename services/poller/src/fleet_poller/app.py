"""The poller, put together: assignments → shard → publisher."""

import asyncio
import logging
import random
from typing import Final

from fleet_common.broker import close, connect, jetstream
from fleet_common.raw_client import RawClient
from fleet_common.runtime import Runtime, unless_stopped
from fleet_contracts.subjects import TenantId
from fleet_poller.assignments import Assignments
from fleet_poller.breaker import BreakerPolicy
from fleet_poller.clock import SystemClock
from fleet_poller.cpu_limit import usable_cores
from fleet_poller.credentials import SecretStore
from fleet_poller.device import PollContext, PollTimeouts
from fleet_poller.exposition.scrape import DeviceExposition, wanted_kinds
from fleet_poller.gate import LoginGates
from fleet_poller.heartbeat import Heartbeat
from fleet_poller.metrics import PollerMetrics
from fleet_poller.publisher import Publisher, PublisherBounds
from fleet_poller.settings import PollerSection, PollerSettings
from fleet_poller.shard import Shard
from fleet_poller.takeover import LastSlots, Takeover

_log = logging.getLogger(__name__)

# Together with a second each for polls cut off and for logging out, below the 10 s of grace.
_FINISH_POLLS_SECONDS: Final = 4.5
_FLUSH_SECONDS: Final = 2.0


async def run(runtime: Runtime, settings: PollerSettings, metrics: PollerMetrics) -> None:
    """Poll until told to stop; then finish polls, log out, flush, all within the grace."""
    section = settings.poller
    client = RawClient()
    connecting = connect(settings.nats, f"poller-{section.tenant}-{section.shard}", client)
    if await unless_stopped(runtime.stop, connecting) is None:
        return
    publisher = Publisher(client, _bounds(section), metrics)
    shard = Shard(_context(section, publisher, metrics, runtime))
    tenant, js = TenantId(section.tenant), jetstream(client, settings.nats)
    if section.device_groups:
        metrics.devices_stream = DeviceExposition(
            shard.devices, section.device_groups, section.device_metrics_max_series, metrics
        ).stream
    assignments = Assignments(client, js, tenant, section.shard, metrics)
    heartbeat = Heartbeat(
        client, js, tenant, section.shard, why_unwell=shard.why_unwell, figures=shard.figures
    )
    slots = LastSlots(client, tenant, section.failures_to_open, SystemClock())
    takeover = Takeover(slots, shard, heartbeat, metrics)
    runtime.health.register("polling", shard.why_unwell)
    runtime.health.register("broker", publisher.why_unwell)
    runtime.health.register("publishing", publisher.why_stalled, elsewhere=True)
    publishing = runtime.spawn(publisher.run(), "publisher")
    polling = runtime.spawn(shard.run(), "shard")
    assigning = runtime.spawn(
        assignments.run(takeover.take, lambda: runtime.health.set_ready(ready=True)), "assignments"
    )
    beating = runtime.spawn(heartbeat.run(), "heartbeat")
    await runtime.stop.wait()
    await takeover.leave(section.leave_seconds)
    assigning.cancel()
    await shard.stop(_FINISH_POLLS_SECONDS)
    polling.cancel()
    await publisher.drain(_FLUSH_SECONDS)
    publishing.cancel()
    beating.cancel()
    await asyncio.wait([assigning, polling, publishing, beating])
    left = publisher.abandon()
    if left:
        _log.warning("events left unpublished at the stop", extra={"events": left})
    # Everything that waited has been flushed, or its time was over.
    await close(client, flush_seconds=0.5)


def _bounds(section: PollerSection) -> PublisherBounds:
    return PublisherBounds(
        buffer_messages=section.buffer_messages,
        buffer_bytes=section.buffer_bytes,
        in_flight=section.publish_in_flight,
        ack_timeout_seconds=section.ack_timeout_seconds,
    )


def _context(
    section: PollerSection, publisher: Publisher, metrics: PollerMetrics, runtime: Runtime
) -> PollContext:
    return PollContext(
        secrets=SecretStore(section.secrets_directory),
        gates=LoginGates(section.concurrent_logins),
        timeouts=PollTimeouts(section.connect_timeout_seconds, section.poll_timeout_seconds),
        breaker=BreakerPolicy(
            failures_to_open=section.failures_to_open,
            longest_wait_ms=round(section.longest_backoff_seconds * 1000),
        ),
        sink=publisher,
        metrics=metrics,
        tracing=runtime.tracing,
        clock=SystemClock(),
        jitter=random.Random(),  # noqa: S311 - spreads retries, keeps no secret
        cores=usable_cores(),
        held_kinds=wanted_kinds(section.device_groups),
    )
