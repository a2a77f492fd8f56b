"""Streams that are as they were cost a look nothing, and whatever happens to one is seen."""

from collections.abc import Awaitable, Callable

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from fleet_common.planning import StreamBudget
from fleet_common.streams.applier import PlanApplier
from fleet_common.streams.listing import StreamListing
from fleet_common.streams.metrics import StreamMetrics
from fleet_common.streams.trims import TrimAnnouncer
from fleet_common.streams.watch import Look, StreamWatch
from fleet_contracts.streams import FIRMWARE_CONSUMER, WRITER_CONSUMER
from fleet_contracts.subjects import TenantId
from support.fleets import fleet

MIB = 1024**2
NORTH, SOUTH = TenantId("north"), TenantId("south")
FLEETS = [fleet(NORTH, 3), fleet(SOUTH, 3)]


class Owner:
    """Two tenants' streams, with a writer's consumer each."""

    def __init__(self, client: Client) -> None:
        self.js = client.jetstream(timeout=10)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        self._client = client
        self._metrics = StreamMetrics("fleet_test")
        announcer = TrimAnnouncer(self.js, self._metrics)
        budget = StreamBudget(100 * MIB, None)
        self.applier = PlanApplier(
            client, self.js, budget, self._metrics, announcer=announcer, each_alone=True
        )
        self._watch = StreamWatch(self.js, self.applier, announcer, self._metrics)

    async def begin(self) -> None:
        await self.applier.apply(FLEETS)
        for tenant in (NORTH, SOUTH):
            await self.consume(tenant, WRITER_CONSUMER)

    async def consume(self, tenant: TenantId, durable: str) -> None:
        config = ConsumerConfig(durable_name=durable)
        await self.js.add_consumer(f"FLEET_{tenant}", config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely

    async def look(self) -> tuple[Look, int]:
        """What it saw, and how many requests that took."""
        before = self._client.stats["out_msgs"]
        look = await self._watch.look()
        return look, self._client.stats["out_msgs"] - before

    async def rest(self) -> Look:
        """Look until a look costs no more than the listing."""
        for _ in range(4):
            look, requests = await self.look()
            if requests == 1:
                return look
        raise AssertionError("looks at streams that rest never cost one request only")

    async def publish(self, tenant: TenantId) -> None:
        await self.js.publish(f"fleet.{tenant}.d1.status", b"one")  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely

    async def read(self, tenant: TenantId) -> None:
        """The writer stores what there is."""
        reader = await self.js.pull_subscribe_bind(WRITER_CONSUMER, f"FLEET_{tenant}")
        for message in await reader.fetch(10, timeout=5):
            await message.ack_sync(timeout=5)
        await reader.unsubscribe()

    def until_loss(self, tenant: TenantId) -> float | None:
        labels = {"tenant": str(tenant)}
        return self._metrics.registry.get_sample_value("fleet_test_until_loss_seconds", labels)


@pytest.fixture
async def owner(nats_client: Client) -> Owner:
    owner = Owner(nats_client)
    await owner.begin()
    return owner


async def test_what_did_not_change_is_the_same_object_at_the_next_listing(
    owner: Owner, nats_client: Client
) -> None:
    listing = StreamListing(nats_client)
    before = await listing.all()
    assert {"FLEET_north", "FLEET_south"} <= before.keys()
    again = await listing.all()
    assert all(again[name] is live for name, live in before.items())
    await owner.publish(NORTH)
    after = await listing.all()
    assert after["FLEET_south"] is before["FLEET_south"]
    assert after["FLEET_north"].info.state.messages == 1
    await owner.js.delete_stream("FLEET_south")
    assert "FLEET_south" not in await listing.all()


async def test_only_streams_in_which_something_happens_are_asked_about(owner: Owner) -> None:
    resting = await owner.rest()
    assert resting.seen.keys() == {NORTH, SOUTH}
    until = owner.until_loss(SOUTH)
    await owner.publish(NORTH)
    look, requests = await owner.look()
    assert requests == 2, "the listing, and the consumers of one"
    assert look.seen[NORTH].state.messages == 1
    assert look.seen[SOUTH] is resting.seen[SOUTH]
    assert owner.until_loss(SOUTH) == until is not None


async def test_a_stream_with_something_left_to_store_does_not_rest(owner: Owner) -> None:
    await owner.rest()
    await owner.publish(NORTH)
    for _ in range(4):
        look, requests = await owner.look()
        assert requests == 2
        assert look.seen[NORTH].state.unstored_messages == 1
    await owner.read(NORTH)
    assert (await owner.rest()).seen[NORTH].state.unstored_messages == 0


async def test_a_consumer_that_comes_to_a_resting_stream_is_found_behind(owner: Owner) -> None:
    await owner.publish(NORTH)
    await owner.read(NORTH)
    await owner.rest()
    await owner.consume(NORTH, FIRMWARE_CONSUMER)
    await owner.look()
    look, _ = await owner.look()
    assert (look.seen[NORTH].consumer, look.seen[NORTH].state.unstored_messages) == (
        FIRMWARE_CONSUMER,
        1,
    )


async def _shrunk(js: JetStreamContext) -> None:
    config = (await js.stream_info("FLEET_north")).config
    config.max_bytes = MIB
    await js.update_stream(config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely


async def _deleted(js: JetStreamContext) -> None:
    await js.delete_stream("FLEET_north")


@pytest.mark.parametrize("change", [_shrunk, _deleted])
async def test_what_someone_does_to_a_resting_stream_is_put_right(
    owner: Owner, change: Callable[[JetStreamContext], Awaitable[None]]
) -> None:
    await owner.rest()
    planned = (await owner.js.stream_info("FLEET_north")).config.max_bytes
    for _ in range(2):
        await change(owner.js)
        look, _ = await owner.look()
        (note,) = look.notes
        assert "by someone else" in note
        assert (await owner.js.stream_info("FLEET_north")).config.max_bytes == planned


async def test_a_stream_that_nobody_plans_shrinks_again_after_it_was_enlarged(
    owner: Owner,
) -> None:
    """What the plan made of a listed stream must not be taken for what the broker has."""
    (south,) = FLEETS[1:]
    await owner.rest()
    grown = (await owner.js.stream_info("FLEET_north")).config
    for _ in range(2):
        assert any(
            "belongs to no fleet" in one for one in (await owner.applier.apply([south])).notes
        )
        assert (await owner.js.stream_info("FLEET_north")).config.max_bytes != grown.max_bytes
        await owner.js.update_stream(grown)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
