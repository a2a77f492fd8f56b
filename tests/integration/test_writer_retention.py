"""How long each tenant's rows are kept, on a real PostgreSQL with a real broker's bucket."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from pydantic import SecretStr

from fleet_common.fleet_spec.model import RetentionSpec
from fleet_common.planning import single_budget
from fleet_common.streams.applier import PlanApplier
from fleet_common.streams.metrics import StreamMetrics
from fleet_common.tenants import TenantRecord, read_tenants
from fleet_contracts.streams import TENANTS_BUCKET
from fleet_contracts.subjects import Kind, TenantId
from fleet_writer.database import Connection, Database
from fleet_writer.metrics import WriterMetrics
from fleet_writer.migrations import migrate
from fleet_writer.partitions import Partitions, partition_for, today
from fleet_writer.purge import Purge
from fleet_writer.retention import WORDS, Retention
from fleet_writer.settings import DatabaseSection, RetentionSection
from fleet_writer.tables import HEALTH, SAMPLE_TABLES, STATUS, SampleTable
from support.fleets import fleet as fleet_of
from support.nats import NatsServer
from support.waiting import eventually
from support.writer import now_slot_ms, status_up
from support.writer_fleet import Fleet

DAY_MS = 86_400_000
NORTH, SOUTH, WEST = TenantId("north"), TenantId("south"), TenantId("west")
OLDEST = 40


class Tables:
    """A database with rows of several tenants, one a day and device, OLDEST days back."""

    def __init__(self, connection: Connection, partitions: Partitions) -> None:
        self.connection = connection
        self.partitions = partitions
        self.retention = Retention(RetentionSection(device_status_samples_days=30))
        self.metrics = WriterMetrics()
        self.purge = Purge(self.metrics, batch_rows=10, round_batches=1_000)
        self.stop = asyncio.Event()

    async def add(self, tenant: TenantId, devices: int, table: SampleTable = STATUS) -> None:
        days = range(today() - OLDEST, today() + 1)
        async with self.connection.lock:
            await self.partitions.make(self.connection, [partition_for(table, day) for day in days])
            await self.connection.execute(
                "INSERT INTO tenants (name) VALUES ($1) ON CONFLICT DO NOTHING", tenant
            )
            await self.connection.execute(
                "INSERT INTO devices (tenant_id, name) SELECT id, 'gw-' || number "
                "FROM tenants, generate_series(1, $2) AS number WHERE tenants.name = $1",
                tenant,
                devices,
            )
            columns, values = "device_id, slot", ""
            if table is STATUS:
                columns += (
                    ", reachable, rebooted, consecutive_failures, observed_after_slot_ms, "
                    "poll_duration_us"
                )
                values = ", true, false, 0, 100, 100"
            await self.connection.execute(
                f"INSERT INTO {table.name} ({columns}) "  # noqa: S608 - our own names
                f"SELECT devices.id, day{values} "
                "FROM devices JOIN tenants ON tenants.id = tenant_id, "
                "generate_series(date_trunc('day', now()) - make_interval(days => $2), now(), "
                "interval '1 day') AS day WHERE tenants.name = $1",
                tenant,
                OLDEST,
            )

    async def keep(self, **days: Mapping[str, int]) -> None:
        records = {
            TenantId(name): TenantRecord(tenant=name, retention_days=dict(asked))
            for name, asked in days.items()
        }
        async with self.connection.lock:
            await self.retention.store(self.connection, records)
            await self.retention.load(self.connection)

    async def round(self) -> bool:
        """What a round of housekeeping does with old rows; whether it did all of it."""
        longest = self.retention.longest()
        await self.partitions.drop_expired(self.connection, longest, today())
        return await self.purge.round(
            self.connection, self.partitions, self.retention, today(), self.stop
        )

    async def days(self, tenant: TenantId, table: SampleTable = STATUS) -> int:
        """For how many days back (today excluded) there are rows of the tenant."""
        async with self.connection.lock:
            return await self.connection.fetch_value(
                f"SELECT count(DISTINCT slot) - 1 FROM {table.name} "  # noqa: S608 - our own name
                "JOIN devices ON devices.id = device_id JOIN tenants ON tenants.id = tenant_id "
                "WHERE tenants.name = $1",
                tenant,
            )

    async def oldest_partition(self) -> int:
        """How many days back the oldest partition begins."""
        async with self.connection.lock:
            found = await self.partitions.existing(
                self.connection, self.retention.longest(), today()
            )
        return today() - min(one.first_day for one in found if one.table is STATUS)

    def deleted(self) -> float:
        name, labels = "fleet_writer_rows_deleted_total", {"table": STATUS.name}
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def tables(postgres_url: str) -> AsyncGenerator[Tables]:
    database = Database(DatabaseSection(url=SecretStr(postgres_url)))
    async with database.connection("test") as connection:
        yield Tables(connection, Partitions(await migrate(connection)))


async def test_each_tenant_keeps_its_rows_as_long_as_it_asked(tables: Tables) -> None:
    for tenant in (NORTH, SOUTH, WEST):
        await tables.add(tenant, 3)
    await tables.keep(north={"device_status": 5}, south={"device_status": 35}, west={})
    assert await tables.round()
    # A day that is not wholly before is kept, as with partitions.
    assert [await tables.days(one) for one in (NORTH, SOUTH, WEST)] == [5, 35, 30]
    assert await tables.oldest_partition() == 35
    # North: 30 days that others still keep, 3 devices; West: the 5 beyond the writer's own.
    assert tables.deleted() == 3 * (30 + 5)


async def test_partitions_go_when_all_tenants_keep_less_than_the_setting(tables: Tables) -> None:
    await tables.add(NORTH, 1)
    await tables.add(SOUTH, 1)
    await tables.keep(north={"device_status": 7}, south={"device_status": 10})
    assert await tables.round()
    assert await tables.oldest_partition() == 10
    assert [await tables.days(one) for one in (NORTH, SOUTH)] == [7, 10]


async def test_a_kind_that_was_not_named_is_kept_as_the_writer_is_set(tables: Tables) -> None:
    await tables.add(NORTH, 1, HEALTH)
    await tables.add(SOUTH, 1, STATUS)
    await tables.keep(north={"device_status": 5}, south={})
    assert await tables.round()
    assert await tables.days(NORTH, HEALTH) == RetentionSection().health_samples_days


async def test_without_tenants_and_wishes_partitions_go_by_the_setting(tables: Tables) -> None:
    await tables.add(NORTH, 1)
    assert await tables.round()
    assert await tables.oldest_partition() == 30
    assert tables.deleted() == 0


async def test_a_round_has_a_bound_and_the_next_goes_on(tables: Tables) -> None:
    await tables.add(NORTH, 7)
    await tables.add(SOUTH, 1)
    await tables.keep(north={"device_status": 5}, south={})
    tables.purge = Purge(tables.metrics, batch_rows=5, round_batches=4)
    rounds = 0
    while not await tables.round():
        rounds += 1
        assert tables.deleted() <= 4 * 5 * rounds
        assert rounds < 100, await tables.days(NORTH)
    assert await tables.days(NORTH) == 5
    assert await tables.days(SOUTH) == 30
    # Nothing new: nothing is looked for.
    before = tables.deleted()
    assert await tables.round()
    assert tables.deleted() == before


async def test_a_stop_ends_a_round_between_two_statements(tables: Tables) -> None:
    await tables.add(NORTH, 1)
    await tables.add(SOUTH, 1)
    await tables.keep(north={"device_status": 5}, south={})
    tables.stop.set()
    assert not await tables.round()
    assert tables.deleted() == 0


async def test_a_shorter_wish_is_followed_also_where_rows_were_looked_at_before(
    tables: Tables,
) -> None:
    await tables.add(NORTH, 1)
    await tables.add(SOUTH, 1)
    for days in (20, 25, 10):
        await tables.keep(north={"device_status": days}, south={})
        assert await tables.round()
    assert await tables.days(NORTH) == 10


async def test_who_is_missing_from_the_bucket_keeps_what_it_asked_for(tables: Tables) -> None:
    await tables.add(NORTH, 1)
    await tables.keep(north={"device_status": 38})
    # The broker was emptied: nobody says anything any more, and another process takes over.
    await tables.keep()
    tables.retention = Retention(RetentionSection(device_status_samples_days=30))
    async with tables.connection.lock:
        await tables.retention.load(tables.connection)
    assert await tables.round()
    assert await tables.days(NORTH) == 38


async def test_words_of_a_newer_release_are_no_error(tables: Tables) -> None:
    await tables.add(NORTH, 1)
    await tables.keep(north={"device_status": 12, "tunnels": 3})
    assert tables.retention.of(NORTH)[STATUS.name] == 12


def test_every_kind_that_a_fleet_can_name_has_its_table() -> None:
    assert WORDS.keys() == RetentionSpec.model_fields.keys()
    assert set(WORDS.values()) == set(SAMPLE_TABLES)


# --- from the fleet file to the rows ---------------------------------------------------


@pytest.fixture
def js(nats_client: Client) -> JetStreamContext:
    return nats_client.jetstream(timeout=10)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely


async def test_a_fleets_wish_reaches_the_bucket_once_and_stays_when_it_leaves(
    js: JetStreamContext, nats_client: Client
) -> None:
    applier = PlanApplier(nats_client, js, single_budget(64_000_000), StreamMetrics("fleet_test"))
    north = fleet_of(NORTH, 1, database={"retentionDays": {"health": 400, "wirelessClients": 7}})
    for _ in range(3):
        await applier.apply([north, fleet_of(SOUTH, 1)])
    records = await read_tenants(nats_client)
    assert records[NORTH].retention_days == {"health": 400, "wireless_clients": 7}
    assert records[SOUTH].retention_days == {}
    stream = f"KV_{TENANTS_BUCKET}"
    assert (await js.stream_info(stream)).state.last_seq == 2
    await applier.apply([fleet_of(SOUTH, 1, database={"retentionDays": {"health": 3}})])
    records = await read_tenants(nats_client)
    assert records[NORTH].retention_days == {"health": 400, "wireless_clients": 7}
    assert records[SOUTH].retention_days == {"health": 3}
    # What someone else deletes comes back.
    await (await js.key_value(TENANTS_BUCKET)).delete("south")
    assert SOUTH not in await read_tenants(nats_client)
    await applier.apply([fleet_of(SOUTH, 1, database={"retentionDays": {"health": 3}})])
    assert (await read_tenants(nats_client))[SOUTH].retention_days == {"health": 3}


async def test_a_record_that_cannot_be_read_is_said_and_the_others_are_read(
    js: JetStreamContext, nats_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    applier = PlanApplier(nats_client, js, single_budget(64_000_000), StreamMetrics("fleet_test"))
    await applier.apply([fleet_of(NORTH, 1), fleet_of(SOUTH, 1)])
    bucket = await js.key_value(TENANTS_BUCKET)
    await bucket.put("south", b'{"tenant": "south", "retention_days": {"health": -1}}')
    with caplog.at_level(logging.WARNING):
        assert list(await read_tenants(nats_client)) == [NORTH]
    assert "south" in {getattr(record, "tenant", "") for record in caplog.records}


async def test_the_writer_follows_a_fleets_wish_while_it_runs(fleet: Fleet) -> None:
    writer = fleet.writer(maintenance_seconds=0.2)
    applier = PlanApplier(fleet.client, fleet.js, single_budget(64_000_000), StreamMetrics("f"))
    await applier.apply([fleet_of(fleet.tenant, 1)])
    late = now_slot_ms() - 20 * DAY_MS
    await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(late)))
    assert await fleet.value("SELECT count(*) FROM device_status_samples") == 1

    ten = fleet_of(fleet.tenant, 1, database={"retentionDays": {"deviceStatus": 10}})
    await applier.apply([ten])
    await eventually(
        lambda: writer.value(
            "fleet_writer_partitions_dropped_total", table="device_status_samples"
        ),
        lambda dropped: dropped == 1,
        what="the partition that nobody keeps is dropped",
    )
    # Older than the tenant keeps: counted, not stored.
    await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(late - 60_000)))
    assert writer.value("fleet_writer_expired_rows_total", tenant=fleet.tenant) == 1
    partition = f"device_status_samples_p{datetime.now(UTC) - timedelta(days=20):%Y%m%d}"
    assert await fleet.value("SELECT to_regclass($1)::text", partition) is None

    # Longer than the writer's own 90 days: stored, and kept by the rounds that follow.
    async def wish(days: int) -> None:
        asked = {"retentionDays": {"deviceStatus": days}}
        await applier.apply([fleet_of(fleet.tenant, 1, database=asked)])
        await eventually(
            lambda: fleet.value("SELECT retention_days->>'device_status' FROM tenants"),
            lambda stored: stored == str(days),
            what=f"a round has read {days} days",
        )

    await wish(200)
    old = now_slot_ms() - 150 * DAY_MS
    await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(old)))
    await wish(190)
    await wish(180)
    assert await fleet.value("SELECT count(*) FROM device_status_samples") == 1


async def test_a_broker_that_is_away_makes_no_rows_old(
    fleet: Fleet, nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.writer(maintenance_seconds=0.2)
    await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms())))
    applier = PlanApplier(fleet.client, fleet.js, single_budget(64_000_000), StreamMetrics("f"))
    wish = {"retentionDays": {"deviceStatus": 200}}
    await applier.apply([fleet_of(fleet.tenant, 1, database=wish)])
    await eventually(
        lambda: fleet.value("SELECT count(*) FROM tenants WHERE retention_days <> '{}'"),
        lambda count: count == 1,
        what="the wish is stored",
    )
    old = now_slot_ms() - 150 * DAY_MS
    await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(old)))
    with caplog.at_level(logging.WARNING), contextlib.ExitStack() as stack:
        nats_server.pause()
        stack.callback(nats_server.resume)
        await eventually(
            lambda: [one for one in caplog.records if "own retention not read" in one.message],
            bool,
            deadline_seconds=30,
            what="a round without the broker",
        )
    assert await fleet.value("SELECT count(*) FROM device_status_samples") == 2
