"""The inventory bucket of a real nats-server: what it takes, what is left out, what is purged."""

from collections.abc import AsyncGenerator

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from fleet_common.broker import declare_bucket, jetstream
from fleet_common.settings import NatsSection
from fleet_contracts.streams import INVENTORY_BUCKET
from fleet_contracts.subjects import TenantId
from fleet_operator.broker_side import BrokerSide
from fleet_operator.fleets import Fleets, Known
from fleet_operator.inventory_room import record_bytes
from fleet_operator.inventory_sync import InventorySync
from fleet_operator.kinds import ROUTER_FLEET, Document
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.settings import OperatorSection
from fleet_operator.signs import kv_stream, read_bucket
from fleet_operator.store import Store
from support.nats import NatsServer
from support.operator_broker import asked, broker_side
from support.operator_fleets import fleet_document

STREAM = kv_stream(INVENTORY_BUCKET)
TINY = 8 * 1024


@pytest.fixture
def js(nats_server: NatsServer, nats_client: Client) -> JetStreamContext:
    return jetstream(nats_client, NatsSection(url=nats_server.url))


@pytest.fixture
async def broker(nats_server: NatsServer, js: JetStreamContext) -> AsyncGenerator[BrokerSide]:
    """With a bucket that takes some twenty records."""
    await declare_bucket(js, INVENTORY_BUCKET, TINY)
    section = OperatorSection(budget_bytes=64 * 1024 * 1024)
    async with broker_side(nats_server.url, section) as made:
        yield made


def fleets(*documents: Document) -> list[Known]:
    store = Store(lambda: None)
    for one in documents:
        store.put(ROUTER_FLEET, one)
    return list(Fleets(store).read())


def fleet(name: str, created: str, devices: int) -> Document:
    return fleet_document(name, uid=name, created=created, devices=devices)


async def keys(client: Client) -> list[str]:
    return sorted(await read_bucket(client, INVENTORY_BUCKET))


async def test_a_full_bucket_leaves_devices_out_and_is_no_trouble_of_the_broker(
    broker: BrokerSide, nats_client: Client, js: JetStreamContext
) -> None:
    older, younger = fleets(
        fleet("b", "2030-01-01T00:00:00Z", 10), fleet("a", "2031-01-01T00:00:00Z", 60)
    )
    wanted = asked([older, younger])
    await broker.reconcile(wanted)
    assert broker.state.trouble is None
    assert broker.state.settled is wanted
    (left_out,) = broker.state.left_out.items()
    assert left_out[0] == "a"
    there = await keys(nats_client)
    assert len(there) == 70 - left_out[1].count
    assert sum(key.startswith("b.") for key in there) == 10
    assert not left_out[1].new & {key.partition(".")[2] for key in there if key.startswith("a.")}
    # The server counts as we do.
    held = (await js.stream_info(STREAM)).state.bytes
    assert held == sum(record_bytes(key, wanted.records[key]) for key in there) <= TINY
    # Whoever goes makes room for who waits.
    alone = asked([younger])
    for _ in range(2):
        await broker.reconcile(alone)
    assert broker.state.trouble is None
    more = await keys(nats_client)
    assert all(key.startswith("a.") for key in more)
    assert len(more) > len(there) - 10


async def test_a_bucket_that_is_made_larger_takes_the_rest(
    nats_client: Client, js: JetStreamContext
) -> None:
    await declare_bucket(js, INVENTORY_BUCKET, TINY)
    (known,) = fleets(fleet("a", "2030-01-01T00:00:00Z", 60))
    inventory = InventorySync(nats_client, js, OperatorMetrics())
    await inventory.sync(known.records)
    before = inventory.left_out
    assert before[TenantId("a")].count > 0
    assert await inventory.sync(known.records) == 0
    assert inventory.left_out is before
    config = (await js.stream_info(STREAM)).config
    await js.update_stream(config.evolve(max_bytes=10 * TINY))  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    await inventory.sync(known.records)
    assert not inventory.left_out
    assert await keys(nats_client) == sorted(known.records)


async def test_markers_of_deleted_records_do_not_stay(
    nats_client: Client, js: JetStreamContext
) -> None:
    await declare_bucket(js, INVENTORY_BUCKET, 1024 * 1024)
    inventory = InventorySync(nats_client, js, OperatorMetrics(), marker_seconds=0)
    wanted = {"a.r0": b"1", "a.r1": b"1", "b.r0": b"1", "b.r1": b"1"}
    await inventory.sync(wanted)
    less = {"a.r0": b"1"}
    assert await inventory.sync(less) == 3
    assert (await js.stream_info(STREAM)).state.messages == 4
    assert await inventory.sync(less) == 0
    assert (await js.stream_info(STREAM)).state.messages == 1
    assert await keys(nats_client) == ["a.r0"]
    # What an earlier run left is purged too, and a record made anew is not.
    await inventory.sync(wanted)
    await inventory.sync(less)
    again = InventorySync(nats_client, js, OperatorMetrics(), marker_seconds=0)
    both = {**less, "b.r0": b"2"}
    for _ in range(2):
        await again.sync(both)
    assert (await js.stream_info(STREAM)).state.messages == 2
    assert await keys(nats_client) == ["a.r0", "b.r0"]


async def test_markers_go_at_once_when_there_is_no_room(
    nats_client: Client, js: JetStreamContext
) -> None:
    await declare_bucket(js, INVENTORY_BUCKET, TINY)
    inventory = InventorySync(nats_client, js, OperatorMetrics())
    (first,) = fleets(fleet("a", "2030-01-01T00:00:00Z", 15))
    (second,) = fleets(fleet("b", "2030-01-01T00:00:00Z", 18))
    await inventory.sync(first.records)
    await inventory.sync({})
    await inventory.sync(second.records)
    assert not inventory.left_out
    assert (await js.stream_info(STREAM)).state.messages == 18


async def test_records_of_tenants_that_nobody_may_know_of_stay(
    broker: BrokerSide, nats_client: Client
) -> None:
    one, other = fleets(
        fleet("a", "2030-01-01T00:00:00Z", 2), fleet("b", "2030-01-01T00:00:00Z", 2)
    )
    await broker.reconcile(asked([one, other]))
    await broker.reconcile(asked([one], all_known=False))
    assert await keys(nats_client) == ["a.r0", "a.r1", "b.r0", "b.r1"]
    await broker.reconcile(asked([one]))
    assert await keys(nats_client) == ["a.r0", "a.r1"]
