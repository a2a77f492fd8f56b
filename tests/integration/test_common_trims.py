"""What a stream dropped is said on it; a stream that takes nothing holds up no other's."""

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from fleet_common.planning import StreamBudget, StreamState
from fleet_common.streams.applier import PlanApplier
from fleet_common.streams.metrics import StreamMetrics
from fleet_common.streams.trims import Trim, TrimAnnouncer, trim_by_discarding
from fleet_contracts.gen.fleet.v1.events_pb2 import TRIM_CAUSE_SHRUNK
from fleet_contracts.subjects import TenantId
from support.fleets import fleet

MIB = 1024**2
NORTH, SOUTH = TenantId("north"), TenantId("south")


@pytest.fixture
def js(nats_client: Client) -> JetStreamContext:
    return nats_client.jetstream(timeout=5)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely


def trim(tenant: TenantId) -> Trim:
    return Trim(tenant, TRIM_CAUSE_SHRUNK, 1, 9, 9, 900, 0, 1.0, 2.0, 2000, 1000, 60.0)


async def declare(js: JetStreamContext, tenant: TenantId) -> None:
    await js.add_stream(StreamConfig(name=f"FLEET_{tenant}", subjects=[f"fleet.{tenant}.>"]))  # pyright: ignore[reportUnknownMemberType] - as above


async def stored(js: JetStreamContext, tenant: TenantId) -> int:
    return (await js.stream_info(f"FLEET_{tenant}")).state.messages


@pytest.mark.parametrize(
    ("told", "ranges", "messages"),
    [
        ([], (51, 199), 149),
        ([(11, 199)], None, 0),
        ([(11, 120)], (121, 199), 79),
        ([(151, 199)], (51, 150), 100),
        ([(101, 120), (131, 140)], (51, 199), 119),
        ([(11, 250)], None, 0),
    ],
)
def test_what_is_told_already_is_no_part_of_what_was_discarded(
    told: list[tuple[int, int]], ranges: tuple[int, int] | None, messages: int
) -> None:
    before = StreamState(11, 300, 290, 29_000, 1.0, 2.0, 30_000, 3600.0, 20)
    now = StreamState(200, 400, 201, 20_100, 1.5, 3.0, 30_000, 3600.0, 50)
    lost = trim_by_discarding(NORTH, before, now, 60.0, told)
    found = None if lost is None else (lost.from_sequence, lost.to_sequence)
    assert found == ranges
    assert (0 if lost is None else lost.messages) == messages


async def test_a_tenant_without_a_stream_holds_up_nobody_elses_trims(js: JetStreamContext) -> None:
    announcer = TrimAnnouncer(js, StreamMetrics("fleet_test"))
    await declare(js, SOUTH)
    await announcer.announce(trim(NORTH))
    await announcer.announce(trim(SOUTH))
    await announcer.flush()
    assert await stored(js, SOUTH) == 1

    await declare(js, NORTH)
    await announcer.flush()
    assert await stored(js, NORTH) == 1
    assert await stored(js, SOUTH) == 1


async def test_what_waits_for_the_stream_of_a_tenant_that_left_is_dropped(
    js: JetStreamContext, nats_client: Client
) -> None:
    metrics = StreamMetrics("fleet_test")
    announcer = TrimAnnouncer(js, metrics)
    budget = StreamBudget(100 * MIB, None)
    applier = PlanApplier(nats_client, js, budget, metrics, announcer=announcer, each_alone=True)
    await applier.apply([fleet(NORTH, 3), fleet(SOUTH, 3)])
    for tenant in (NORTH, SOUTH):
        await js.delete_stream(f"FLEET_{tenant}")
        await announcer.announce(trim(tenant))
    await applier.remove(NORTH, delete_stream=True)
    for tenant in (NORTH, SOUTH):
        await declare(js, tenant)
    await announcer.flush()

    assert await stored(js, NORTH) == 0
    assert await stored(js, SOUTH) == 1
