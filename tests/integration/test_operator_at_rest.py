"""The operator's side of the broker while nothing happens: what it asks, and what it still sees."""

import asyncio
import time

from fleet_contracts.streams import ASSIGNMENTS_BUCKET, INVENTORY_BUCKET, SHARDS_BUCKET
from fleet_operator.broker_side import BrokerSide
from fleet_operator.broker_state import Asked
from fleet_operator.fleets import Fleets
from fleet_operator.identity import identical
from fleet_operator.kinds import ROUTER_FLEET
from fleet_operator.settings import OperatorSection
from fleet_operator.signs import read_bucket
from fleet_operator.store import Store
from support.nats import NatsServer
from support.operator_broker import asked, broker_side
from support.operator_fleets import fleet_document

FLEETS = 20
SECTION = OperatorSection(budget_bytes=512 * 1024**2, look_seconds=1.0)


def all_fleets() -> Asked:
    store = Store(lambda: None)
    for number in range(FLEETS):
        name = f"tenant{number:02}"
        store.put(ROUTER_FLEET, fleet_document(name, uid=name, devices=2, version=1, generation=1))
    return asked(Fleets(store).read())


async def due(broker: BrokerSide) -> None:
    await asyncio.sleep(max(0.0, broker.due_at - time.monotonic()))


async def test_a_look_at_fleets_at_rest_is_two_requests_and_finds_nothing_new(
    nats_server: NatsServer,
) -> None:
    everything = all_fleets()
    async with broker_side(nats_server.url, SECTION) as broker:
        await broker.reconcile(everything)
        assert len(broker.state.seen) == FLEETS
        for _ in range(2):
            await due(broker)
            await broker.reconcile(everything)
        findings, seen = broker.state.findings(), broker.state.seen
        for _ in range(3):
            before = broker.client.stats["out_msgs"]
            await due(broker)
            assert await broker.reconcile(everything) == []
            assert broker.client.stats["out_msgs"] - before == 2, "the streams, the inventory"
            assert broker.state.seen is seen
            assert identical(broker.state.findings(), findings)


async def test_buckets_that_someone_deletes_are_there_after_the_next_look(
    nats_server: NatsServer,
) -> None:
    everything = all_fleets()
    async with broker_side(nats_server.url, SECTION) as broker:
        for _ in range(2):
            await due(broker)
            await broker.reconcile(everything)
        for _ in range(2):
            for bucket in (INVENTORY_BUCKET, ASSIGNMENTS_BUCKET, SHARDS_BUCKET):
                await broker.js.delete_key_value(bucket)
            await due(broker)
            await broker.reconcile(everything)
            assert broker.state.trouble is None
            assert len(await read_bucket(broker.client, INVENTORY_BUCKET)) == FLEETS * 2
            assert await read_bucket(broker.client, ASSIGNMENTS_BUCKET) == {}
            assert await read_bucket(broker.client, SHARDS_BUCKET) == {}
