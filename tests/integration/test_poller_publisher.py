"""The publisher against a real JetStream that is slow, full, hanging or away."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StreamConfig

from fleet_common.broker import HUNG_SECONDS, connect
from fleet_common.raw_client import RawClient
from fleet_common.settings import NatsSection
from fleet_contracts.subjects import Kind
from fleet_poller.broker_watch import ASK_SECONDS, STALLED_SECONDS, BrokerWatch
from fleet_poller.metrics import PollerMetrics
from fleet_poller.publisher import Publisher, PublisherBounds
from support.nats import NatsServer
from support.waiting import eventually

SUBJECT = "fleet.alpha.core-1.status"


@dataclass
class Clock:
    """Real time, and what a test adds to it."""

    ahead_seconds: float = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_seconds


@dataclass
class Bench:
    """A publisher, its metrics, and a second connection that looks at the stream."""

    publisher: Publisher
    metrics: PollerMetrics
    js: JetStreamContext
    clock: Clock = field(default_factory=Clock)

    def publish(self, number: int, size: int = 20) -> None:
        self.publisher.publish(Kind.STATUS, SUBJECT, b"%0*d" % (size, number), f"s{number}-core-1")

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    async def stored(self) -> list[int]:
        """The numbers in the stream, in its order."""
        info = await self.js.stream_info("FLEET_alpha")
        found: list[int] = []
        for sequence in range(info.state.first_seq, info.state.last_seq + 1):
            message = await self.js.get_msg("FLEET_alpha", sequence)
            found.append(int(message.data or b"-1"))
        return found


async def declare(js: JetStreamContext, **changes: object) -> None:
    config = StreamConfig(name="FLEET_alpha", subjects=["fleet.alpha.>"], duplicate_window=60)
    await js.add_stream(config.evolve(**changes))  # pyright: ignore[reportUnknownMemberType, reportArgumentType] - nats-py types its options loosely


@asynccontextmanager
async def bench(
    server: NatsServer, client: Client, ack_timeout_seconds: float = 5.0, buffer: int = 10_000
) -> AsyncGenerator[Bench]:
    own = RawClient()
    await connect(NatsSection(url=server.url), "poller", own)
    metrics = PollerMetrics()
    bounds = PublisherBounds(buffer, 1 << 24, 200, ack_timeout_seconds)
    clock = Clock()
    publisher = Publisher(own, bounds, metrics, clock)
    task = asyncio.create_task(publisher.run())
    try:
        yield Bench(publisher, metrics, client.jetstream(), clock)  # pyright: ignore[reportUnknownMemberType] - as above
    finally:
        task.cancel()
        await asyncio.wait([task])
        await own.close()
        if not task.cancelled():
            task.result()


async def hang(server: NatsServer) -> None:
    """Stop the broker and wait until all its threads have stopped: the signal alone is early."""
    server.pause()
    assert server.process is not None
    threads = Path(f"/proc/{server.process.pid}/task")

    def states() -> set[str]:
        lines = [(thread / "stat").read_text() for thread in threads.iterdir()]
        return {line.rpartition(")")[2].split()[0] for line in lines}

    await eventually(states, lambda seen: seen == {"T"}, what="every thread is stopped")


async def test_events_are_stored_in_order_and_drained(
    nats_server: NatsServer, nats_client: Client
) -> None:
    async with bench(nats_server, nats_client) as one:
        await declare(one.js)
        for number in range(1, 1001):
            one.publish(number)

        assert await one.publisher.drain(10) == 0
        assert await one.stored() == list(range(1, 1001))
        assert one.metric("fleet_poller_events_acknowledged_total", kind="status") == 1000
        assert one.metric("fleet_poller_in_flight_messages") == 0


async def test_a_hanging_broker_is_retried_and_stores_nothing_twice(
    nats_server: NatsServer, nats_client: Client
) -> None:
    async with bench(nats_server, nats_client, ack_timeout_seconds=0.3) as one:
        await declare(one.js)
        one.publish(1)
        assert await one.publisher.drain(10) == 0
        await hang(nats_server)
        for number in range(2, 50):
            one.publish(number)
        await eventually(
            lambda: one.metric("fleet_poller_publish_retries_total", reason="timeout"),
            lambda retries: retries >= 48,
            what="unacknowledged events are sent again",
        )
        nats_server.resume()

        assert await one.publisher.drain(20) == 0
        assert sorted(await one.stored()) == list(range(1, 50))


async def test_events_wait_for_a_broker_that_is_away_and_keep_their_order(
    nats_server: NatsServer, nats_client: Client
) -> None:
    async with bench(nats_server, nats_client) as one:
        await declare(one.js)
        nats_server.kill()
        await eventually(lambda: one.metric("fleet_poller_broker_up"), lambda state: state == 0)
        for number in range(1, 301):
            one.publish(number)
        assert one.publisher.why_unwell() is None
        nats_server.start()

        assert await one.publisher.drain(20) == 0
        await eventually(lambda: nats_client.is_connected, bool)
        assert await one.stored() == list(range(1, 301))


async def test_a_stream_that_is_full_is_retried_until_it_takes_the_event(
    nats_server: NatsServer, nats_client: Client
) -> None:
    async with bench(nats_server, nats_client) as one:
        await declare(one.js, max_msgs=5, discard=DiscardPolicy.NEW)
        for number in range(1, 11):
            one.publish(number)
        await eventually(
            lambda: one.metric("fleet_poller_publish_retries_total", reason="refused"),
            lambda retries: retries >= 5,
            what="refused events are retried",
        )
        assert await one.publisher.drain(0.1) == 5
        await one.js.purge_stream("FLEET_alpha")

        assert await one.publisher.drain(20) == 0
        assert await one.stored() == [6, 7, 8, 9, 10]


async def test_an_event_the_broker_will_never_take_is_dropped_and_counted(
    nats_server: NatsServer, nats_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async with bench(nats_server, nats_client) as one:
        await declare(one.js, max_msg_size=500)
        one.publish(1)
        one.publish(2, size=5_000)
        one.publish(3, size=2_000_000)
        one.publish(4)

        assert await one.publisher.drain(10) == 0
        assert await one.stored() == [1, 4]
        assert one.metric("fleet_poller_events_dropped_total", kind="status", reason="refused") == 1
        assert (
            one.metric("fleet_poller_events_dropped_total", kind="status", reason="too_large") == 1
        )
    assert "will not take this event" in caplog.text


async def test_a_drain_ends_at_its_deadline_and_says_what_is_left(
    nats_server: NatsServer, nats_client: Client
) -> None:
    async with bench(nats_server, nats_client) as one:
        for number in range(3):
            one.publish(number)

        assert await one.publisher.drain(0.3) == 3


_LONG_SECONDS = STALLED_SECONDS + ASK_SECONDS


async def wait_in_steps(one: Bench, reason: str) -> None:
    """Let a long time pass, as the broker answers (or does not) to what is tried meanwhile."""
    while one.clock.ahead_seconds < _LONG_SECONDS:
        before = one.metric("fleet_poller_publish_retries_total", reason=reason)
        one.clock.ahead_seconds += ASK_SECONDS + 1
        await eventually(
            lambda: one.metric("fleet_poller_publish_retries_total", reason=reason),
            lambda retries, before=before: retries > before,
            what="events are tried again",
        )
        await eventually(one.publisher.why_unwell, lambda why: why is None, what="it is well")


async def test_a_broker_without_a_stream_is_waited_for_however_long(
    nats_server: NatsServer, nats_client: Client
) -> None:
    async with bench(nats_server, nats_client) as one:
        for number in range(1, 101):
            one.publish(number)
        await wait_in_steps(one, "no_stream")
        assert one.metric("fleet_poller_publishing_stalled_seconds") > _LONG_SECONDS
        assert "no event stored for" in (one.publisher.why_stalled() or "")
        await declare(one.js)

        assert await one.publisher.drain(20) == 0
        assert await one.stored() == list(range(1, 101))
        assert one.metric("fleet_poller_publishing_stalled_seconds") == 0
        assert one.publisher.why_stalled() is None


async def test_a_broker_that_answers_but_acknowledges_nothing_is_waited_for_however_long(
    nats_server: NatsServer, nats_client: Client
) -> None:
    """As JetStream without a leader: somebody takes the events, and nobody says so."""
    async with bench(nats_server, nats_client, ack_timeout_seconds=0.4) as one:
        swallowing = await nats_client.subscribe("fleet.alpha.>")  # pyright: ignore[reportUnknownMemberType] - as above
        await nats_client.flush()
        for number in range(1, 11):
            one.publish(number)
        await wait_in_steps(one, "timeout")
        await swallowing.unsubscribe()
        await declare(one.js)

        assert await one.publisher.drain(20) == 0
        assert await one.stored() == list(range(1, 11))


async def test_a_connection_that_counts_as_up_and_answers_nothing_is_unwell(
    nats_server: NatsServer, nats_client: Client
) -> None:
    async with bench(nats_server, nats_client) as one:
        await declare(one.js)
        one.publish(1)
        assert await one.publisher.drain(10) == 0
        await hang(nats_server)
        one.publish(2)
        assert one.publisher.why_unwell() is None
        # The client itself takes half a minute of real time to give the connection up.
        one.clock.ahead_seconds = HUNG_SECONDS + 1
        reason = one.publisher.why_unwell()
        nats_server.resume()

        assert reason is not None
        assert "no answer from it for 121 s" in reason
        assert await one.publisher.drain(20) == 0
        assert one.publisher.why_unwell() is None


async def test_only_an_answer_to_a_ping_is_a_sign_of_life(nats_server: NatsServer) -> None:
    own, clock = RawClient(), Clock()
    await connect(NatsSection(url=nats_server.url), "poller", own)
    try:
        watch = BrokerWatch(own, clock)
        watch.busy()
        await hang(nats_server)
        clock.ahead_seconds += HUNG_SECONDS + 1
        await watch.ask()
        assert watch.why_unwell() is not None
        nats_server.resume()
        clock.ahead_seconds += ASK_SECONDS + 1
        await watch.ask()
        assert own.is_connected
        assert watch.why_unwell() is None
    finally:
        await own.close()


async def test_what_is_left_at_the_stop_is_counted(
    nats_server: NatsServer, nats_client: Client
) -> None:
    async with bench(nats_server, nats_client) as one:
        for number in range(3):
            one.publish(number)
        assert await one.publisher.drain(0.1) == 3
    assert one.publisher.abandon() == 3

    assert one.metric("fleet_poller_events_dropped_total", kind="status", reason="stopped") == 3
    assert one.metric("fleet_poller_buffer_messages") == 0
    assert one.metric("fleet_poller_in_flight_messages") == 0
    assert one.publisher.abandon() == 0


async def test_the_headers_of_a_sampled_poll_travel_with_the_event(
    nats_server: NatsServer, nats_client: Client
) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with bench(nats_server, nats_client) as one:
        await declare(one.js)
        one.publisher.publish(Kind.STATUS, SUBJECT, b"1", "s1-core-1", {"traceparent": parent})
        one.publish(2)
        assert await one.publisher.drain(10) == 0
        first, second = [
            cast("dict[str, str]", (await one.js.get_msg("FLEET_alpha", sequence)).headers)  # pyright: ignore[reportUnknownMemberType] - as above
            for sequence in (1, 2)
        ]

    assert first["traceparent"] == parent
    assert second == {"Nats-Msg-Id": "s2-core-1"}
