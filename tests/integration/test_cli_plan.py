"""Streams, inventory and assignments follow the fleets, on a real broker."""

import asyncio
from datetime import UTC, datetime

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from fleet_cli.advice import ADVICE
from fleet_cli.metrics import RunnerMetrics
from fleet_cli.stream_reader import read_range
from fleet_common.broker import stream_config
from fleet_common.errors import ConfigurationError
from fleet_common.fleet_spec import RouterFleet, parse_fleet
from fleet_common.inventory import assignments_bucket, inventory_bucket, keys_under
from fleet_common.planning import single_budget
from fleet_common.streams.applier import PlanApplier
from fleet_common.streams.declaring import differences
from fleet_common.streams.measure import measure_kinds
from fleet_contracts.codec import encode
from fleet_contracts.gen.fleet.v1.events_pb2 import Event, Status
from fleet_contracts.subjects import Kind, TenantId

MIB = 1024**2
BUDGET = 128_000_000


def fleet(tenant: str, *devices: str, interval: str = "10s") -> RouterFleet:
    document = {
        "apiVersion": "routerfleet.io/v1alpha1",
        "kind": "RouterFleet",
        "metadata": {"name": tenant},
        "spec": {
            "credentials": {"secretRef": {"name": "routers"}},
            "cadence": {"interval": interval},
            "devices": [{"name": name, "address": "192.0.2.1"} for name in devices],
        },
    }
    return parse_fleet(document, "test")


@pytest.fixture
def js(nats_client: Client) -> JetStreamContext:
    return nats_client.jetstream(timeout=5)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely


def applier_of(client: Client, budget_bytes: int = BUDGET) -> PlanApplier:
    js = client.jetstream(timeout=5)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    return PlanApplier(client, js, single_budget(budget_bytes), RunnerMetrics(), advice=ADVICE)


async def max_bytes(js: JetStreamContext, tenant: str) -> int:
    return (await js.stream_info(f"FLEET_{tenant}")).config.max_bytes or 0


async def test_streams_and_records_stand_after_the_first_application(
    js: JetStreamContext, nats_client: Client
) -> None:
    applied = await applier_of(nats_client).apply([fleet("north", "a", "b"), fleet("south", "c")])
    for plan in applied.plans:
        info = await js.stream_info(plan.definition.name)
        assert differences(info.config, stream_config(plan.definition)) == {}
        assert info.config.max_bytes == plan.max_bytes
    assert await keys_under(await inventory_bucket(js), "north") == ["north.a", "north.b"]
    assert await keys_under(await inventory_bucket(js), "south") == ["south.c"]
    assert len(applied.notes) == 2


async def test_applying_the_same_again_changes_nothing(
    js: JetStreamContext, nats_client: Client
) -> None:
    applier = applier_of(nats_client)
    await applier.apply([fleet("north", "a", "b")])
    before = (await js.stream_info("KV_fleet-inventory")).state.last_seq
    assert (await applier.apply([fleet("north", "a", "b")])).notes == ()
    assert (await js.stream_info("KV_fleet-inventory")).state.last_seq == before


async def test_other_devices_are_other_records(js: JetStreamContext, nats_client: Client) -> None:
    applier = applier_of(nats_client)
    await applier.apply([fleet("north", "a", "b")])
    await applier.apply([fleet("north", "b", "c")])
    assert await keys_under(await inventory_bucket(js), "north") == ["north.b", "north.c"]


async def test_a_limit_changed_by_hand_is_put_right_and_said(
    js: JetStreamContext, nats_client: Client
) -> None:
    applier = applier_of(nats_client)
    planned = (await applier.apply([fleet("north", "a")])).plans[0].max_bytes
    config = (await js.stream_info("FLEET_north")).config
    config.max_bytes = -1
    await js.update_stream(config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    (note,) = (await applier.apply([fleet("north", "a")])).notes
    assert "changed by someone else" in note
    assert await max_bytes(js, "north") == planned


async def test_measured_sizes_that_move_a_little_change_nothing(
    js: JetStreamContext, nats_client: Client
) -> None:
    applier = applier_of(nats_client)
    small = [fleet("north", *(f"d{n}" for n in range(100)), interval="1s")]
    tenant = small[0].tenant
    before = (await applier.apply(small, {tenant: {Kind.HEALTH: 200.0}})).plans[0].max_bytes
    for size in (199.0, 202.0, 195.0):
        assert (await applier.apply(small, {tenant: {Kind.HEALTH: size}})).notes == ()
        assert await max_bytes(js, "north") == before
    again = applier_of(nats_client)
    assert (await again.apply(small, {tenant: {Kind.HEALTH: 199.0}})).notes == ()
    assert await max_bytes(js, "north") == before


async def test_a_tenant_that_left_keeps_its_messages_and_gives_back_its_room(
    js: JetStreamContext,
    nats_client: Client,
) -> None:
    applier = applier_of(nats_client)
    crowd = [f"d{n}" for n in range(300)]
    await applier.apply([fleet("north", *crowd, interval="1s")])
    await js.publish("fleet.north.d1.status", b"kept")  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    applied = await applier.apply([fleet("south", *crowd, interval="1s")])
    assert any("belongs to no fleet" in note for note in applied.notes)
    info = await js.stream_info("FLEET_north")
    assert (info.state.messages, info.config.max_bytes) == (1, MIB)
    assert BUDGET - 2 * MIB < applied.plans[0].max_bytes <= BUDGET - MIB
    assert await keys_under(await assignments_bucket(js), "north") == []
    # And it comes back with what it had.
    await applier.apply([fleet("north", *crowd, interval="1s")])
    assert (await js.stream_info("FLEET_north")).state.messages == 1


async def test_a_budget_below_the_floors_is_refused_with_what_to_do(nats_client: Client) -> None:
    with pytest.raises(ConfigurationError, match="--budget"):
        await applier_of(nats_client, MIB).apply([fleet("north", "a"), fleet("south", "b")])


async def test_measured_sizes_are_what_the_broker_counts(
    js: JetStreamContext, nats_client: Client
) -> None:
    await applier_of(nats_client).apply([fleet("north", "a", "b", "c")])
    slot = round(datetime.now(UTC).timestamp() * 1000)
    for name in ("a", "b", "c"):
        status = Status(reachability="REACHABILITY_UP", uptime_seconds=1000)
        payload = encode(Event(slot_unix_ms=slot, status=status))
        headers = {"Nats-Msg-Id": f"s{slot}-{name}"}
        await js.publish(f"fleet.north.{name}.status", payload, headers=headers)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    sizes = await measure_kinds(nats_client, [TenantId("north")])
    state = (await js.stream_info("FLEET_north")).state
    assert sizes == {"north": {Kind.STATUS: pytest.approx(state.bytes / 3)}}


async def test_a_range_of_a_stream_ends_where_it_should(
    js: JetStreamContext, nats_client: Client
) -> None:
    await applier_of(nats_client).apply([fleet("north", "a")])
    for number in range(10):
        await js.publish("fleet.north.a.status", b"%d" % number)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely

    async def sequences(first: int, last: int) -> list[int]:
        async with asyncio.timeout(10):
            messages = read_range(js, "FLEET_north", "fleet.north.>", first, last)
            return [message.sequence async for message in messages]

    assert await sequences(4, 7) == [4, 5, 6, 7]
    assert await sequences(1, 10) == list(range(1, 11))
    assert await sequences(11, 10) == []
    await js.delete_msg("FLEET_north", 10)
    assert await sequences(8, 10) == [8, 9]
