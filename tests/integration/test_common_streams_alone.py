"""An owner of many tenants' streams: what one cannot have costs the others nothing."""

import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from fleet_common.broker import close, connect
from fleet_common.errors import ConfigurationError, TransientError
from fleet_common.fleet_spec import RouterFleet
from fleet_common.inventory import inventory_bucket, keys_under
from fleet_common.planning import StreamBudget
from fleet_common.settings import NatsSection
from fleet_common.streams.applier import PlanApplier
from fleet_common.streams.listing import list_streams
from fleet_common.streams.live import look_at_account
from fleet_common.streams.metrics import StreamMetrics
from fleet_common.streams.trims import TrimAnnouncer
from fleet_common.streams.watch import StreamWatch
from fleet_contracts.subjects import TenantId
from support.fleets import fleet
from support.nats import NatsServer
from support.waiting import eventually

MIB = 1024**2
NORTH, SOUTH, WEST = TenantId("north"), TenantId("south"), TenantId("west")


@pytest.fixture
def js(nats_client: Client) -> JetStreamContext:
    return nats_client.jetstream(timeout=10)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely


def alone(client: Client, budget: StreamBudget | None) -> PlanApplier:
    js = client.jetstream(timeout=10)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    return PlanApplier(client, js, budget, StreamMetrics("fleet_test"), each_alone=True)


def fleets(*tenants: TenantId) -> list[RouterFleet]:
    return [fleet(tenant, 3) for tenant in tenants]


async def existing(js: JetStreamContext, tenants: Sequence[TenantId]) -> list[TenantId]:
    found: list[TenantId] = []
    for tenant in tenants:
        try:
            await js.stream_info(f"FLEET_{tenant}")
        except NotFoundError:
            continue
        found.append(tenant)
    return found


async def test_a_stream_that_the_broker_refuses_is_told_and_the_others_stand(
    js: JetStreamContext, nats_client: Client
) -> None:
    # This broker is no cluster: three copies are not to be had.
    three = fleet(NORTH, 3, events={"replicas": 3})
    applier = alone(nats_client, StreamBudget(100 * MIB, None))
    applied = await applier.apply([three, fleet(SOUTH, 3)])
    assert list(applied.refused) == [NORTH]
    assert "replicas" in applied.refused[NORTH]
    assert await existing(js, [NORTH, SOUTH]) == [SOUTH]
    # Mended, it stands at the next application.
    assert (await applier.apply(fleets(NORTH, SOUTH))).refused == {}
    assert await existing(js, [NORTH, SOUTH]) == [NORTH, SOUTH]


async def test_subjects_that_are_taken_cost_only_their_tenant_its_stream(
    js: JetStreamContext, nats_client: Client
) -> None:
    theirs = StreamConfig(name="THEIRS", subjects=["fleet.north.*.status"], max_bytes=MIB)
    await js.add_stream(theirs)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    applied = await alone(nats_client, StreamBudget(100 * MIB, None)).apply(fleets(NORTH, SOUTH))
    assert "THEIRS listens to fleet.north.*.status" in applied.refused[NORTH]
    assert await existing(js, [NORTH, SOUTH]) == [SOUTH]
    # Its devices are known all the same.
    assert len(await keys_under(await inventory_bucket(js), "north")) == 3


async def test_a_strangers_stream_that_is_named_like_ours_is_left_as_it_is(
    js: JetStreamContext, nats_client: Client
) -> None:
    theirs = StreamConfig(name="FLEET_north", subjects=["vehicles.>"], max_bytes=8 * MIB)
    await js.add_stream(theirs)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    await js.publish("vehicles.1", b"theirs")
    before = (await js.stream_info("FLEET_north")).config
    applier = alone(nats_client, StreamBudget(100 * MIB, None))

    # No fleet of that name: it is no stream that a tenant left behind.
    assert (await applier.apply(fleets(SOUTH))).refused == {}
    # One of that name: it gets no stream, and takes none.
    applied = await applier.apply(fleets(NORTH, SOUTH))
    assert "FLEET_north is there already and listens to vehicles.>" in applied.refused[NORTH]
    assert await applier.remove(NORTH, delete_stream=True) is None

    assert (await js.stream_info("FLEET_north")).config == before
    strict = PlanApplier(nats_client, js, StreamBudget(100 * MIB, None), StreamMetrics("test"))
    with pytest.raises(ConfigurationError, match="FLEET_north is there already"):
        await strict.apply(fleets(NORTH))


async def test_subjects_that_someone_changes_are_put_right(
    js: JetStreamContext, nats_client: Client
) -> None:
    async def change(*subjects: str) -> None:
        config = (await js.stream_info("FLEET_north")).config
        config.subjects = list(subjects)
        await js.update_stream(config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely

    applier = alone(nats_client, StreamBudget(100 * MIB, None))
    await applier.apply(fleets(NORTH))
    await change("vehicles.>")
    assert (await applier.apply(fleets(NORTH))).refused == {}
    assert (await js.stream_info("FLEET_north")).config.subjects == ["fleet.north.>"]
    # By another owner too, who cannot know that it was declared.
    await change("fleet.north.>", "vehicles.>")
    again = alone(nats_client, StreamBudget(100 * MIB, None))
    assert (await again.apply(fleets(NORTH))).refused == {}
    assert (await js.stream_info("FLEET_north")).config.subjects == ["fleet.north.>"]


async def test_what_streams_hold_and_may_grow_to_is_told_beside_the_accounts_limit(
    tmp_path: Path,
) -> None:
    # A limit is an account's: without accounts of its own the server has none to tell.
    server = NatsServer(
        tmp_path,
        extra_config="accounts { A { jetstream { max_memory: 32MB, max_file: 64MB }, "
        'users: [{ user: "a", password: "a" }] } }\nno_auth_user: "a"\n',
    )
    server.start()
    try:
        settings = NatsSection(url=server.url)
        client = await connect(settings, "test")
        try:
            js = client.jetstream(timeout=10)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
            metrics = StreamMetrics("fleet_test")
            applier = PlanApplier(client, js, None, metrics, each_alone=True)
            await applier.apply(fleets(NORTH))
            # No bound of its own: it counts as what it holds.
            await js.add_stream(StreamConfig(name="THEIRS", subjects=["theirs"]))  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
            await js.publish("theirs", bytes(10_000))
            await applier.apply(fleets(NORTH))

            def told(what: str) -> float | None:
                name = f"fleet_test_account_{what}_bytes"
                return metrics.registry.get_sample_value(name, {"storage": "file"})

            streams = await list_streams(client)
            held = streams["THEIRS"].info.state.bytes
            bounds = sum(one.max_bytes or 0 for one in streams.values())
            assert held > 10_000
            assert told("limit") == 64 * MIB
            assert told("reserved") == bounds + held
            assert told("used") == sum(one.info.state.bytes for one in streams.values())
        finally:
            await close(client)
    finally:
        server.stop()


async def test_a_limit_that_was_lowered_below_what_is_reserved_is_told_with_the_way_out(
    tmp_path: Path,
) -> None:
    # The inventory's and the other buckets reserve 51 MiB of it.
    server = NatsServer(
        tmp_path,
        extra_config="accounts { A { jetstream { max_memory: 32MB, max_file: 91MB }, "
        'users: [{ user: "a", password: "a" }] } }\nno_auth_user: "a"\n',
    )
    server.start()
    try:
        client = await connect(NatsSection(url=server.url), "test")
        try:
            applier = alone(client, None)
            big = [fleet(tenant, 300) for tenant in (NORTH, SOUTH, WEST)]
            assert (await applier.apply(big)).refused == {}
            await limit_files(server, client, "91MB", "64MB")
            refused = (await applier.apply(big)).refused
            assert set(refused) == {NORTH, SOUTH, WEST}
            assert "limit of 64.0 MiB is below the" in refused[NORTH]
            # As it says: a higher limit, smaller streams, the lower limit.
            await limit_files(server, client, "64MB", "91MB")
            assert (await applier.apply(fleets(NORTH, SOUTH, WEST))).refused == {}
            await limit_files(server, client, "91MB", "64MB")
            assert (await applier.apply(big)).refused == {}
        finally:
            await close(client)
    finally:
        server.stop()


async def limit_files(server: NatsServer, client: Client, before: str, now: str) -> None:
    """The account's limit is another one, without a restart."""
    config = server.directory / "nats.conf"
    text = config.read_text(encoding="utf-8")
    assert f"max_file: {before}" in text
    config.write_text(text.replace(f"max_file: {before}", f"max_file: {now}"), encoding="utf-8")
    assert server.process is not None
    server.process.send_signal(signal.SIGHUP)
    wanted = int(now.removesuffix("MB")) * MIB

    async def limit() -> int | None:
        # While it reads its configuration anew, nobody answers for a moment.
        with contextlib.suppress(TransientError):
            return (await look_at_account(client)).limits.file_bytes
        return None

    await eventually(limit, lambda seen: seen == wanted, what="the new limit")


async def test_below_the_floors_the_last_that_has_no_stream_gives_way(
    js: JetStreamContext, nats_client: Client
) -> None:
    applier = alone(nats_client, StreamBudget(2 * MIB, None))
    await applier.apply(fleets(SOUTH))
    applied = await applier.apply(fleets(WEST, NORTH, SOUTH))
    assert list(applied.refused) == [NORTH]
    assert "the budget 2" in applied.refused[NORTH]
    assert await existing(js, [WEST, NORTH, SOUTH]) == [WEST, SOUTH]


async def test_a_budget_that_no_longer_holds_what_is_there_leaves_it_as_it_is(
    js: JetStreamContext, nats_client: Client
) -> None:
    await alone(nats_client, StreamBudget(2 * MIB, None)).apply(fleets(NORTH, SOUTH))
    applied = await alone(nats_client, StreamBudget(MIB, None)).apply(fleets(NORTH, SOUTH))
    assert set(applied.refused) == {NORTH, SOUTH}
    assert applied.plans == ()
    assert await existing(js, [NORTH, SOUTH]) == [NORTH, SOUTH]


async def test_without_a_budget_an_account_without_limits_is_refused_by_kind_of_storage(
    js: JetStreamContext, nats_client: Client
) -> None:
    memory = fleet(NORTH, 3, events={"storage": "memory"})
    applied = await alone(nats_client, StreamBudget(100 * MIB, None)).apply(
        [memory, fleet(SOUTH, 3)]
    )
    assert "no limit on memory storage" in applied.refused[NORTH]
    assert await existing(js, [NORTH, SOUTH]) == [SOUTH]
    applied = await alone(nats_client, None).apply([memory, fleet(SOUTH, 3)])
    assert set(applied.refused) == {NORTH, SOUTH}


async def test_one_error_is_everybodys_unless_each_stands_alone(nats_client: Client) -> None:
    js = nats_client.jetstream(timeout=10)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    strict = PlanApplier(nats_client, js, StreamBudget(MIB, MIB), StreamMetrics("fleet_test"))
    with pytest.raises(ConfigurationError, match="the budget 1"):
        await strict.apply(fleets(NORTH, SOUTH))
    assert await existing(js, [NORTH, SOUTH]) == []


@pytest.mark.parametrize("delete", [False, True])
async def test_a_tenant_that_leaves_keeps_its_stream_or_loses_it_as_it_was_told(
    js: JetStreamContext, nats_client: Client, *, delete: bool
) -> None:
    applier = alone(nats_client, StreamBudget(100 * MIB, None))
    await applier.apply(fleets(NORTH, SOUTH))
    await js.publish("fleet.north.d1.status", b"kept")  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    note = await applier.remove(NORTH, delete_stream=delete)
    assert note is not None
    assert ("deleted, with its 1 messages" in note) is delete
    assert await keys_under(await inventory_bucket(js), "north") == []
    assert await existing(js, [NORTH, SOUTH]) == ([SOUTH] if delete else [NORTH, SOUTH])
    # Again: nothing is left to do, and nobody brings it back.
    assert await applier.remove(NORTH, delete_stream=delete) is None
    assert (await applier.correct()).notes == ()
    assert await existing(js, [NORTH, SOUTH]) == ([SOUTH] if delete else [NORTH, SOUTH])


async def test_a_tenant_whose_fleet_cannot_be_read_just_now_keeps_its_stream_as_it_is(
    js: JetStreamContext, nats_client: Client
) -> None:
    applier = alone(nats_client, StreamBudget(100 * MIB, None))
    big = fleet(NORTH, 300)
    planned = (await applier.apply([big, fleet(SOUTH, 3)])).plans[0].max_bytes
    await applier.apply(fleets(SOUTH), untouched=[NORTH])
    assert (await js.stream_info("FLEET_north")).config.max_bytes == planned
    assert len(await keys_under(await inventory_bucket(js), "north")) == 300


async def test_a_look_tells_what_each_stream_holds(
    js: JetStreamContext, nats_client: Client
) -> None:
    metrics = StreamMetrics("fleet_test")
    applier = alone(nats_client, StreamBudget(100 * MIB, None))
    await applier.apply(fleets(NORTH, SOUTH))
    await js.publish("fleet.north.d1.status", b"one")  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    await js.publish("fleet.north.d1.status", b"two")  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    look = await StreamWatch(js, applier, TrimAnnouncer(js, metrics), metrics).look()
    assert look.notes == ()
    assert look.seen[NORTH].state.messages == 2
    reach = look.seen[NORTH].window_seconds
    assert reach is not None
    assert 0 < reach < 60
    assert look.seen[SOUTH].window_seconds is None
    assert metrics.registry.get_sample_value("fleet_test_stream_bytes", {"tenant": "south"}) == 0


async def test_a_broker_that_is_away_is_no_ones_refusal(
    nats_server: NatsServer, nats_client: Client
) -> None:
    applier = alone(nats_client, StreamBudget(100 * MIB, None))
    await applier.apply(fleets(NORTH))
    nats_server.pause()
    with pytest.raises(TransientError):
        await applier.correct()
    nats_server.resume()
