"""Streams follow the plan live: drift undone, trims announced, losses foretold; a real broker."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig, SubjectTransform

from fleet_cli.advice import ADVICE
from fleet_cli.folder import load_kept
from fleet_cli.metrics import RunnerMetrics
from fleet_cli.scrape import parse_metrics
from fleet_common.broker import stream_config
from fleet_common.errors import ConfigurationError
from fleet_common.fleet_spec import RouterFleet, parse_fleet
from fleet_common.planning import single_budget
from fleet_common.streams.applier import PlanApplier
from fleet_common.streams.declaring import differences
from fleet_common.streams.trims import TrimAnnouncer
from fleet_common.streams.watch import StreamWatch
from fleet_contracts.codec import decode
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    TRIM_CAUSE_DISCARDED_UNSTORED,
    TRIM_CAUSE_SHRUNK,
    Trim,
)
from fleet_contracts.streams import WRITER_CONSUMER
from support.demo import demo
from support.nats import connected
from support.waiting import eventually

MIB = 1024**2
PAYLOAD = b"x" * 1000
STREAM = "FLEET_north"


class Runner:
    """The part of the local runner that keeps the streams."""

    def __init__(self, client: Client, budget_bytes: int) -> None:
        self.js = js = client.jetstream(timeout=10)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        self.metrics = RunnerMetrics()
        announcer = TrimAnnouncer(js, self.metrics)
        budget = single_budget(budget_bytes)
        self.applier = PlanApplier(
            client, js, budget, self.metrics, announcer=announcer, advice=ADVICE
        )
        self.watch = StreamWatch(js, self.applier, announcer, self.metrics)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    async def fill(self, count: int) -> None:
        for chunk in itertools.batched(range(count), 500):
            await asyncio.gather(
                *(self.js.publish("fleet.north.a.status", PAYLOAD, timeout=20) for _ in chunk)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
            )

    async def writer(self) -> JetStreamContext.PullSubscription:
        config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_ack_pending=100_000)
        return await self.js.pull_subscribe(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
            "fleet.north.>", durable=WRITER_CONSUMER, stream=STREAM, config=config
        )

    async def trims(self) -> list[Trim]:
        state = (
            await self.js.stream_info(STREAM, subjects_filter="fleet.north.routerfleet.trim")
        ).state
        found: list[Trim] = []
        at = 1
        for _ in range((state.subjects or {}).get("fleet.north.routerfleet.trim", 0)):
            message = await self.js.get_msg(
                STREAM, seq=at, next=True, subject="fleet.north.routerfleet.trim"
            )
            assert message.seq is not None
            at = message.seq + 1
            found.append(decode(message.subject or "", message.data or b"").event.trim)
        return found


@pytest.fixture
def js(nats_client: Client) -> JetStreamContext:
    return nats_client.jetstream(timeout=10)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely


def fleet(tenant: str = "north", devices: int = 200, interval: str = "1s") -> RouterFleet:
    document = {
        "apiVersion": "routerfleet.io/v1alpha1",
        "kind": "RouterFleet",
        "metadata": {"name": tenant},
        "spec": {
            "credentials": {"secretRef": {"name": "routers"}},
            "cadence": {"interval": interval},
            "devices": [{"name": f"d{n}", "address": "192.0.2.1"} for n in range(devices)],
        },
    }
    return parse_fleet(document, "test")


async def drain(subscription: JetStreamContext.PullSubscription, count: int) -> None:
    """Take and acknowledge so many."""
    while count:
        messages = await subscription.fetch(min(count, 1000), timeout=10)
        await asyncio.gather(*(message.ack_sync(timeout=10) for message in messages))
        count -= len(messages)


async def test_what_someone_changes_or_deletes_is_put_right_at_the_next_look(
    js: JetStreamContext,
    nats_client: Client,
) -> None:
    runner = Runner(nats_client, 8 * MIB)
    planned = (await runner.applier.apply([fleet()])).plans[0].definition
    config = (await js.stream_info(STREAM)).config
    config.max_bytes, config.max_age = 3 * MIB, 400.0
    await js.update_stream(config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    (note,) = (await runner.watch.look()).notes
    assert "changed by someone else" in note
    assert differences((await js.stream_info(STREAM)).config, stream_config(planned)) == {}

    await js.delete_stream(STREAM)
    (note,) = (await runner.watch.look()).notes
    assert "deleted by someone else" in note
    assert differences((await js.stream_info(STREAM)).config, stream_config(planned)) == {}
    assert runner.value("fleet_runner_drift_corrections_total", tenant="north") == 2
    assert (await runner.watch.look()).notes == ()
    assert await runner.trims() == []


@pytest.mark.parametrize(
    "change",
    [
        # Each keeps less than planned, or keeps services from their work.
        {"max_msgs": 7},
        {"max_msgs_per_subject": 1},
        {"max_consumers": 1},
        {"no_ack": True},
        {"subject_transform": SubjectTransform(src="fleet.north.>", dest="other.>")},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_limits_that_nobody_planned_are_taken_away_again(
    js: JetStreamContext, nats_client: Client, change: dict[str, Any]
) -> None:
    runner = Runner(nats_client, 8 * MIB)
    await runner.applier.apply([fleet()])
    config = (await js.stream_info(STREAM)).config
    await js.update_stream(config.evolve(**change))  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    (note,) = (await runner.watch.look()).notes
    assert "changed by someone else" in note
    (name,) = change
    assert getattr((await js.stream_info(STREAM)).config, name) == getattr(config, name)
    assert (await runner.watch.look()).notes == ()


async def test_a_smaller_plan_says_exactly_what_it_dropped(
    js: JetStreamContext, nats_client: Client
) -> None:
    runner = Runner(nats_client, 8 * MIB)
    await runner.applier.apply([fleet()])
    await runner.fill(4000)
    await drain(await runner.writer(), 4000)
    before = (await js.stream_info(STREAM)).state

    smaller = Runner(nats_client, 2 * MIB)
    notes = (await smaller.applier.apply([fleet()])).notes

    assert any("dropped" in note and "all of them stored" in note for note in notes), notes
    (trim,) = await smaller.trims()
    after = (await js.stream_info(STREAM)).state
    assert (trim.cause, trim.from_sequence, trim.unstored_messages) == (TRIM_CAUSE_SHRUNK, 1, 0)
    # The announcement itself takes the place of the oldest message or two.
    assert trim.to_sequence <= after.first_seq - 1 <= trim.to_sequence + 2
    assert trim.dropped_messages == trim.to_sequence
    assert trim.dropped_bytes == before.bytes * trim.dropped_messages // before.messages
    assert (trim.max_bytes_before, trim.max_bytes) == (8 * MIB, 2 * MIB)
    assert 0 < trim.from_unix_ms <= trim.to_unix_ms
    labels = {"tenant": "north", "cause": "shrunk"}
    assert smaller.value("fleet_runner_trimmed_messages_total", **labels) == trim.dropped_messages
    assert smaller.value("fleet_runner_trimmed_unstored_messages_total", tenant="north") == 0


async def test_a_stream_keeps_its_size_for_a_consumer_unless_the_budget_leaves_no_more(
    nats_client: Client,
) -> None:
    big = fleet()
    await Runner(nats_client, 8 * MIB).applier.apply([big])
    runner = Runner(nats_client, 8 * MIB)
    await runner.fill(4000)
    await drain(await runner.writer(), 500)
    # Fewer devices need less, but 3,500 messages are not stored yet.
    (plan,) = (await runner.applier.apply([fleet(devices=1, interval="1h")])).plans
    assert plan.max_bytes == 8 * MIB
    assert "has yet to store" in plan.sentence
    # A budget of 2 MiB cannot hold them: that is said before they go, and when they have gone.
    forced = Runner(nats_client, 2 * MIB)
    notes = (await forced.applier.apply([big])).notes
    foretold = next(n for n, note in enumerate(notes) if "has not stored" in note)
    dropped = next(n for n, note in enumerate(notes) if "dropped" in note)
    assert foretold < dropped
    (trim,) = await forced.trims()
    assert trim.unstored_messages == trim.to_sequence - 500


async def test_what_a_smaller_plan_dropped_is_not_told_again_as_discarded(
    nats_client: Client,
) -> None:
    runner = Runner(nats_client, 8 * MIB)
    await runner.applier.apply([fleet()])
    await runner.fill(4000)
    await drain(await runner.writer(), 500)
    await runner.watch.look()
    # Six more tenants, whose floors the budget has to hold.
    more = [fleet(f"t{number}", 1) for number in range(6)]
    await runner.applier.apply([fleet(), *more])
    (shrunk,) = await runner.trims()
    assert shrunk.unstored_messages > 1000
    lines = (await runner.watch.look()).notes
    # The announcement itself took the place of a message or two, which nobody has told of.
    untold = [trim for trim in (await runner.trims())[1:] if trim.dropped_messages > 2]
    assert untold == [], lines
    counted = runner.value("fleet_runner_trimmed_unstored_messages_total", tenant="north")
    assert counted is not None
    assert counted <= shrunk.unstored_messages + 2


async def test_a_stopped_writer_is_warned_of_and_what_it_misses_is_announced(
    js: JetStreamContext,
    nats_client: Client,
) -> None:
    runner = Runner(nats_client, 2 * MIB)
    await runner.applier.apply([fleet()])
    await drain_none(await runner.writer())
    await runner.fill(500)
    assert (await runner.watch.look()).notes == ()
    healthy = runner.value("fleet_runner_until_loss_seconds", tenant="north")
    await runner.fill(800)
    (warning,) = (await runner.watch.look()).notes
    assert f"{WRITER_CONSUMER} has not stored 1300 messages" in warning
    nearer = runner.value("fleet_runner_until_loss_seconds", tenant="north")
    assert healthy is not None
    assert nearer is not None
    assert 0 < nearer < healthy
    await runner.fill(2000)
    lines = (await runner.watch.look()).notes
    (trim,) = await runner.trims()
    first = (await js.stream_info(STREAM)).state.first_seq
    assert (trim.cause, trim.from_sequence) == (TRIM_CAUSE_DISCARDED_UNSTORED, 1)
    assert trim.to_sequence <= first - 1 <= trim.to_sequence + 2
    assert trim.unstored_messages == trim.dropped_messages == trim.to_sequence
    assert any("dropped" in line for line in lines)
    assert runner.value("fleet_runner_until_loss_seconds", tenant="north") == 0


async def drain_none(subscription: JetStreamContext.PullSubscription) -> None:
    """The consumer exists; it has taken nothing."""
    assert (await subscription.consumer_info()).ack_floor is not None


async def test_a_stream_of_someone_else_on_our_subjects_is_named(
    js: JetStreamContext, nats_client: Client
) -> None:
    theirs = StreamConfig(name="THEIRS", subjects=["fleet.north.*.status"], max_bytes=MIB)
    await js.add_stream(theirs)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    with pytest.raises(ConfigurationError, match=r"THEIRS listens to fleet\.north\.\*\.status"):
        await Runner(nats_client, 8 * MIB).applier.apply([fleet()])


@asynccontextmanager
async def streams_of(url: str, token: str) -> AsyncGenerator[JetStreamContext]:
    async with connected(url, token=token) as client:
        yield client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely


@pytest.mark.timeout(180)
async def test_a_running_demo_puts_a_stream_right_and_shows_it_as_metrics(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    options = ("--devices", "4", "--tenants", "1", "--interval", "1s", "--json")
    async with demo(folder, *options) as run:
        running = await run.running()
        port = load_kept(run.folder).ports["runner"]
        async with streams_of(running.nats_url, running.nats_token) as js:
            config = (await js.stream_info("FLEET_tenant-1")).config
            planned, config.max_bytes = config.max_bytes, -1
            await js.update_stream(config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely

            async def live() -> int | None:
                return (await js.stream_info("FLEET_tenant-1")).config.max_bytes

            await eventually(live, lambda size: size == planned, deadline_seconds=10)

        async def series() -> dict[Any, float]:
            async with httpx.AsyncClient() as client:
                answer = await client.get(f"http://127.0.0.1:{port}/metrics", timeout=5)
            return parse_metrics(answer.text)

        tenant = (("tenant", "tenant-1"),)
        shown = await eventually(
            series, lambda found: ("fleet_runner_stream_bytes", tenant) in found
        )
        code, _ = await run.interrupt()
    assert code == 0, run.progress()
    assert "changed by someone else" in run.progress()
    assert shown["fleet_runner_drift_corrections_total", tenant] == 1
    assert shown["fleet_runner_stream_limit_bytes", tenant] == planned
