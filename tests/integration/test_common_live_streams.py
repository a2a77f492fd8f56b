"""The planner's inputs from a real broker, and its estimates against what the broker does."""

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, StreamConfig

from fleet_common.broker import declare_bucket, declare_stream
from fleet_common.errors import TransientError
from fleet_common.jetstream_api import StreamPage
from fleet_common.planning import (
    AccountLimits,
    ExistingStream,
    PlanRequest,
    Reason,
    SubjectsTakenError,
    check_server_version,
    check_subjects,
    estimate_trim,
    plan_streams,
    single_budget,
)
from fleet_common.streams.listing import list_streams
from fleet_common.streams.live import (
    LiveStream,
    StoredPositions,
    durables_of,
    look_at,
    look_at_account,
    server_version,
)
from fleet_common.streams.measure import measure_kinds
from fleet_contracts.streams import StreamStorage, tenant_stream
from fleet_contracts.subjects import Kind, TenantId
from support.fleets import fleet
from support.nats import NatsServer, add_stream_on, connected, kill_one, nats_cluster

MIB = 1024**2
NORTH = TenantId("north")


@pytest.fixture
def js(nats_client: Client) -> JetStreamContext:
    return nats_client.jetstream(timeout=10)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely


async def fill(js: JetStreamContext, count: int, size: int = 1000) -> None:
    for start in range(0, count, 500):
        await asyncio.gather(
            *(
                js.publish("fleet.north.a.status", b"x" * size, timeout=10)
                for _ in range(min(500, count - start))
            )
        )


async def north(client: Client) -> LiveStream:
    found = (await list_streams(client))["FLEET_north"]
    alone = await look_at(client, "FLEET_north")
    assert alone is not None
    assert (alone.state(None), alone.existing) == (found.state(None), found.existing)
    return found


async def test_a_stream_is_seen_with_its_limits_and_times(
    js: JetStreamContext, nats_client: Client
) -> None:
    began = time.time()
    await declare_stream(js, tenant_stream(NORTH, max_bytes=8 * MIB, max_age_seconds=3600))
    empty = await north(nats_client)
    assert (empty.first_time, empty.info.state.messages, empty.max_bytes) == (None, 0, 8 * MIB)
    await fill(js, 10)

    one = await north(nats_client)

    state = one.state(None)
    assert (state.messages, state.first_sequence, state.last_sequence) == (10, 1, 10)
    assert (one.existing.subjects, one.storage) == (("fleet.north.>",), StreamStorage.FILE)
    assert state.max_age_seconds == 3600
    assert (state.first_time, state.last_time) == (one.first_time, one.last_time)
    assert one.first_time is not None
    assert one.last_time is not None
    assert began - 1 <= one.first_time <= one.last_time <= time.time() + 1
    assert one.reservation.size_bytes == 8 * MIB


async def test_a_stream_without_limits_is_seen_so_and_a_bucket_reserves(
    js: JetStreamContext, nats_client: Client
) -> None:
    await js.add_stream(StreamConfig(name="NAIVE", subjects=["naive.>"]))  # pyright: ignore[reportUnknownMemberType] - as above
    await declare_bucket(js, "things", 3 * MIB)
    found = await list_streams(nats_client)
    assert (found["NAIVE"].max_bytes, found["NAIVE"].state(None).max_age_seconds) == (None, None)
    assert found["NAIVE"].reservation.size_bytes == 0
    assert found["KV_things"].reservation.size_bytes == 3 * MIB


async def test_the_trim_is_what_was_estimated(js: JetStreamContext, nats_client: Client) -> None:
    await declare_stream(js, tenant_stream(NORTH, max_bytes=16 * MIB, max_age_seconds=3600))
    await fill(js, 3000)
    before = await north(nats_client)
    estimate = estimate_trim(before.state(None), MIB)

    await declare_stream(js, tenant_stream(NORTH, max_bytes=MIB, max_age_seconds=3600))

    after = await north(nats_client)
    was, now = before.info.state, after.info.state
    assert was.messages - now.messages == estimate.messages
    assert now.first_seq == (estimate.to_sequence or 0) + 1
    assert was.bytes - now.bytes == pytest.approx(estimate.bytes, abs=1100)
    assert after.first_time is not None
    assert estimate.to_time == pytest.approx(after.first_time, abs=1.0)


async def test_a_consumer_that_stores_nothing_holds_its_stream_until_it_does(
    js: JetStreamContext, nats_client: Client
) -> None:
    await declare_stream(js, tenant_stream(NORTH, max_bytes=16 * MIB, max_age_seconds=3600))
    await fill(js, 3000)
    reader = await js.pull_subscribe(  # pyright: ignore[reportUnknownMemberType] - as above
        "fleet.north.>", "metrics-writer", stream="FLEET_north", config=ConsumerConfig()
    )

    async def stored() -> int | None:
        live = await north(nats_client)
        return StoredPositions().judge(live, await durables_of(js, live)).writer

    async def planned() -> Reason:
        streams = {NORTH: (await north(nats_client)).state(await stored())}
        request = PlanRequest([fleet("north", 1)], single_budget(64 * MIB), streams=streams)
        (one,) = plan_streams(request)
        return one.reason

    assert await planned() is Reason.HELD_FOR_CONSUMER
    got = 0
    while got < 3000:
        messages = await reader.fetch(500, timeout=5)
        for message in messages:
            await message.ack_sync(timeout=5)
        got += len(messages)
    assert await stored() == 3000
    assert await planned() is Reason.FLOOR


async def test_consumers_of_others_hide_none_of_ours(
    js: JetStreamContext, nats_client: Client
) -> None:
    await declare_stream(js, tenant_stream(NORTH, max_bytes=16 * MIB, max_age_seconds=3600))
    await fill(js, 10)
    # The broker lists by name, 256 to a page: these come first.
    names = [f"A{number}" for number in range(260)] + ["metrics-writer"]
    await asyncio.gather(
        *(js.add_consumer("FLEET_north", ConsumerConfig(durable_name=name)) for name in names)  # pyright: ignore[reportUnknownMemberType] - as above
    )
    live = await north(nats_client)
    state = live.state(StoredPositions().judge(live, await durables_of(js, live)).slowest)
    assert (state.stored_sequence, state.unstored_messages) == (0, 10)


async def test_of_a_consumer_that_is_not_there_nothing_is_known(
    js: JetStreamContext, nats_client: Client
) -> None:
    await declare_stream(js, tenant_stream(NORTH, max_bytes=MIB, max_age_seconds=3600))
    live = await north(nats_client)
    assert StoredPositions().judge(live, await durables_of(js, live)).slowest is None
    assert await look_at(nats_client, "FLEET_south") is None


async def test_messages_are_measured_over_all_devices_not_the_first_by_name(
    js: JetStreamContext, nats_client: Client
) -> None:
    await declare_stream(js, tenant_stream(NORTH, max_bytes=16 * MIB, max_age_seconds=3600))
    # As many access points with little to say as switches with many interfaces.
    devices = [("ap", 100)] * 150 + [("switch", 1100)] * 150
    await asyncio.gather(
        *(
            js.publish(f"fleet.north.{name}-{number}.interfaces", bytes(size))
            for number, (name, size) in enumerate(devices)
        )
    )
    measured = await measure_kinds(nats_client, [NORTH])
    stored = (await north(nats_client)).info.state
    assert measured[NORTH].keys() == {Kind.INTERFACES}
    mean = measured[NORTH][Kind.INTERFACES]
    assert mean == pytest.approx(stored.bytes / stored.messages, rel=0.02)
    assert (await measure_kinds(nats_client, [NORTH]))[NORTH][Kind.INTERFACES] == mean


async def test_an_account_without_limits_of_its_own_is_seen_so(nats_client: Client) -> None:
    assert (await look_at_account(nats_client)).limits == AccountLimits(None, None)


async def test_an_accounts_limits_are_read(tmp_path: Path) -> None:
    # nats-server reads MB as MiB.
    server = NatsServer(
        tmp_path / "nats",
        extra_config="accounts { A { jetstream { max_memory: 32MB, max_file: 64MB }, "
        "users: [{ user: a, password: a }] } }",
    )
    server.start()
    client = Client()
    try:
        await client.connect(server.url, user="a", password="a")  # pyright: ignore[reportUnknownMemberType] - as above
        account = await look_at_account(client)
        assert account.limits == AccountLimits(64 * MIB, 32 * MIB)
        assert (account.file_bytes, account.memory_bytes) == (0, 0)
        js = client.jetstream(timeout=10)  # pyright: ignore[reportUnknownMemberType] - as above
        await declare_stream(js, tenant_stream(NORTH, max_bytes=MIB, max_age_seconds=3600))
        await js.publish("fleet.north.r1.status", b"x" * 10_000)
        assert 10_000 < (await look_at_account(client)).file_bytes < 11_000
    finally:
        await client.close()
        server.stop()


async def test_the_broker_refuses_what_the_overlap_check_refuses(
    js: JetStreamContext, nats_client: Client
) -> None:
    await js.add_stream(StreamConfig(name="ALL", subjects=["fleet.>"]))  # pyright: ignore[reportUnknownMemberType] - as above
    existing: list[ExistingStream] = [
        one.existing for one in (await list_streams(nats_client)).values()
    ]
    mine = tenant_stream(NORTH, max_bytes=MIB, max_age_seconds=3600)
    with pytest.raises(SubjectsTakenError):
        check_subjects([mine], existing)
    with pytest.raises(Exception, match="overlap"):
        await declare_stream(js, mine)


async def test_the_broker_that_comes_with_the_tests_is_new_enough(nats_client: Client) -> None:
    check_server_version(server_version(nats_client))


async def test_a_broker_that_does_not_answer_is_a_passing_trouble(
    nats_server: NatsServer, nats_client: Client
) -> None:
    nats_server.pause()
    with pytest.raises(TransientError, match=r"STREAM\.LIST"):
        await list_streams(nats_client, timeout_seconds=0.3)


async def test_a_stream_without_a_leader_is_not_planned_as_if_it_were_not_there(
    tmp_path: Path,
) -> None:
    with nats_cluster(tmp_path) as servers:
        async with connected(servers[0].url) as client:
            await add_stream_on(client, "0", StreamConfig(name="FLEET_south", subjects=["south"]))
            await add_stream_on(client, "2", StreamConfig(name="ORDERS", subjects=["orders"]))
            await kill_one(servers[2], client)
            # A stranger's keeps nobody from planning.
            assert (await list_streams(client, timeout_seconds=10)).keys() == {"FLEET_south"}
            servers[2].start()
            await add_stream_on(client, "2", StreamConfig(name="FLEET_north", subjects=["north"]))
            await kill_one(servers[2], client)
            with pytest.raises(TransientError, match="no server leads FLEET_north;"):
                await list_streams(client, timeout_seconds=10)


async def test_a_stream_whose_leader_was_elected_while_it_was_listed_is_there(
    js: JetStreamContext, nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster gathers the list for seconds, and does not ask again who was silent at first."""
    await declare_stream(js, tenant_stream(NORTH, max_bytes=MIB, max_age_seconds=3600))

    async def listed(*_: object) -> AsyncGenerator[StreamPage]:
        yield StreamPage([], ["FLEET_north", "FLEET_deleted"])

    monkeypatch.setattr("fleet_common.streams.listing.list_pages", listed)
    found = await list_streams(nats_client)
    assert found.keys() == {"FLEET_north"}
    assert found["FLEET_north"].max_bytes == MIB
