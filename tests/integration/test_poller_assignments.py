"""Assignment and inventory watched in real buckets."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from fleet_common.broker import declare_bucket
from fleet_common.fleet_spec import CadenceSpec, TlsSpec
from fleet_common.inventory import Assignment, DeviceRecord, put_if_changed
from fleet_contracts.streams import ASSIGNMENTS_BUCKET, INVENTORY_BUCKET
from fleet_contracts.subjects import DeviceId, TenantId
from fleet_poller.assignments import Assignments, Share
from fleet_poller.metrics import PollerMetrics
from support.nats import NatsServer
from support.waiting import eventually

MEBIBYTE = 1024 * 1024


def record(device: str, **changes: object) -> DeviceRecord:
    fields: dict[str, object] = {
        "tenant": "north",
        "device": device,
        "address": "192.0.2.1",
        "port": 8728,
        "credentials_secret": "s",
        "tls": TlsSpec(),
        "cadence": CadenceSpec(),
    }
    return DeviceRecord.model_validate({**fields, **changes})


@dataclass
class Follower:
    """What the shard was last told."""

    client: Client
    metrics: PollerMetrics
    devices: dict[DeviceId, DeviceRecord] | None = None
    ready: bool = False
    revision: int = field(default=0)

    async def take(self, share: Share) -> None:
        self.devices = dict(share.devices)

    def become_ready(self) -> None:
        self.ready = True

    @property
    def names(self) -> set[str] | None:
        return None if self.devices is None else set(self.devices)

    async def put(self, *records: DeviceRecord) -> None:
        bucket = await declare_bucket(self.client.jetstream(), INVENTORY_BUCKET, MEBIBYTE)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        for one in records:
            await put_if_changed(bucket, one.key(), one)

    async def give(self, *devices: str, shard: str = "shard-0") -> None:
        self.revision += 1
        bucket = await declare_bucket(self.client.jetstream(), ASSIGNMENTS_BUCKET, MEBIBYTE)  # pyright: ignore[reportUnknownMemberType] - as above
        one = Assignment(tenant="north", shard=shard, revision=self.revision, devices=devices)
        await put_if_changed(bucket, one.key(), one)

    async def become(self, *names: str) -> None:
        await eventually(lambda: self.names, lambda seen: seen == set(names), what=f"{names}")


@asynccontextmanager
async def following(client: Client) -> AsyncGenerator[Follower]:
    metrics = PollerMetrics()
    follower = Follower(client, metrics)
    js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - as above
    assignments = Assignments(client, js, TenantId("north"), "shard-0", metrics)
    task = asyncio.create_task(assignments.run(follower.take, follower.become_ready))
    try:
        yield follower
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_devices_are_those_assigned_that_have_a_record(nats_client: Client) -> None:
    async with following(nats_client) as shard:
        await shard.put(record("a"), record("b"))
        await shard.give("a", "ghost")
        await shard.give("b", shard="shard-1")
        await shard.become("a")
        assert shard.ready

        await shard.put(record("ghost"))
        await shard.become("a", "ghost")


async def test_nothing_is_assigned_before_both_buckets_are_known(nats_client: Client) -> None:
    async with following(nats_client) as shard:
        await shard.give("a")
        await eventually(lambda: shard.names, lambda names: names is None)
        await shard.put(record("a"))
        await shard.become("a")


async def test_a_suspended_device_is_not_polled(nats_client: Client) -> None:
    async with following(nats_client) as shard:
        await shard.put(record("a"), record("b"))
        await shard.give("a", "b")
        await shard.become("a", "b")
        await shard.put(record("b", suspend=True))
        await shard.become("a")


async def test_an_unreadable_record_leaves_the_last_good_one_in_force(
    nats_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async with following(nats_client) as shard:
        await shard.put(record("a"), record("b"))
        await shard.give("a", "b")
        await shard.become("a", "b")
        bucket = await declare_bucket(nats_client.jetstream(), INVENTORY_BUCKET, MEBIBYTE)  # pyright: ignore[reportUnknownMemberType] - as above
        await bucket.put("north.a", b'{"device": 7}')
        await shard.put(record("b", address="192.0.2.9"))
        await eventually(
            lambda: (shard.devices or {}).get(DeviceId("b")),
            lambda found: found is not None and found.address == "192.0.2.9",
        )

        assert shard.devices is not None
        assert shard.devices[DeviceId("a")] == record("a")
        bad = shard.metrics.registry.get_sample_value("fleet_poller_bad_records_total")
        assert bad == 1
    assert "record cannot be read" in caplog.text


async def test_a_broker_restart_changes_nothing_and_later_changes_arrive(
    nats_server: NatsServer, nats_client: Client
) -> None:
    async with following(nats_client) as shard:
        await shard.put(record("a"), record("b"))
        await shard.give("a")
        await shard.become("a")
        nats_server.restart()
        await eventually(lambda: answers(nats_client), bool, what="the broker is back")
        assert shard.names == {"a"}
        await shard.give("a", "b")
        await shard.become("a", "b")


async def answers(client: Client) -> bool:
    """Whether a round trip works; the client may not have noticed yet that it was cut."""
    try:
        await client.flush(timeout=1)
    except (NatsError, TimeoutError, OSError):
        return False
    return True
