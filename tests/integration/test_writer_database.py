"""The database away, full, read-only; its schema and its partitions."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from fleet_contracts.subjects import Kind
from fleet_writer.database import Connection, Database
from fleet_writer.errors import MigrationChangedError, SchemaTooNewError
from fleet_writer.migrations import ChunkMode, Migration, load_migrations, migrate
from fleet_writer.partitions import Partitions, partition_for, partitions_ahead, today
from fleet_writer.settings import DatabaseSection, RetentionSection
from fleet_writer.tables import INTERFACE, SAMPLE_TABLES
from support.postgres import PostgresServer
from support.waiting import eventually
from support.writer import MINUTE_MS, ROWS_OF_A_POLL, now_slot_ms, status_up
from support.writer_fleet import Fleet, RunningWriter

LAG = "fleet_writer_lag_messages"
STANDBY = "fleet_writer_standby_streams"
UNTIL_LOSS = "fleet_writer_until_loss_seconds"
FAILURES = "fleet_writer_session_failures_total"
CUT_OWNER = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_locks USING (pid) "
    "WHERE application_name = 'routerfleet-writer' AND datname = current_database() "
    "AND locktype = 'advisory' AND granted"
)


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Connection]:
    async with Database(DatabaseSection(url=SecretStr(url))).connection("test") as connection:
        yield connection


@contextlib.asynccontextmanager
async def own_role(fleet: Fleet) -> AsyncGenerator[tuple[RunningWriter, str]]:
    """A writer that logs in with a role of its own, and the role, which can be shut out."""
    owner = fleet.database_url
    role = f"{await fleet.value('SELECT current_database()')}_writer"
    await fleet.run(f"CREATE ROLE {role} LOGIN SUPERUSER")
    fleet.database_url = owner.replace("postgres:@", f"{role}:@")
    assert fleet.database_url != owner
    writer = fleet.writer()
    fleet.database_url = owner
    try:
        yield writer, role
    finally:
        await fleet.end()
        await fleet.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


async def test_while_the_database_is_away_nothing_is_lost(
    fleet: Fleet, postgres_server: PostgresServer
) -> None:
    writer = fleet.writer(stall_seconds=1)
    events = await fleet.publish_polls([now_slot_ms() - MINUTE_MS], ["gw-1", "gw-2"])
    await fleet.stored(events)
    await eventually(
        lambda: writer.health.report().well and writer.told(LAG, tenant=fleet.tenant),
        lambda lag: lag == 0,
        what="looked at",
    )

    await asyncio.to_thread(postgres_server.stop)
    try:
        await fleet.publish_polls([now_slot_ms()], ["gw-1", "gw-2"])
        await eventually(
            lambda: writer.value("fleet_writer_database_up"), lambda up: up == 0, what="noticed"
        )
        await _says_how_long_it_can_be_away(fleet, writer, events)
    finally:
        await asyncio.to_thread(postgres_server.start)

    account = await fleet.stored(2 * events)
    assert await fleet.sample_rows() == 4 * ROWS_OF_A_POLL
    assert (account["events_lost"], account["rows_duplicate"]) == (0, 0)
    await eventually(lambda: writer.told(LAG, tenant=fleet.tenant), lambda lag: lag == 0)
    assert writer.value("fleet_writer_database_up") == 1
    assert writer.health.report().well


async def _says_how_long_it_can_be_away(fleet: Fleet, writer: RunningWriter, waiting: int) -> None:
    lag = await eventually(lambda: writer.value(LAG, tenant=fleet.tenant), bool, what="lag rises")
    assert lag == waiting
    until = writer.value(UNTIL_LOSS, tenant=fleet.tenant)
    assert 0 < until < 86_400
    await eventually(
        lambda: writer.value(UNTIL_LOSS, tenant=fleet.tenant),
        lambda left: left < until,
        what="the time until loss falls",
    )
    failing = await eventually(
        lambda: writer.health.report().failing, lambda failing: "commits" in failing
    )
    assert failing["commits"].startswith("no progress for")
    assert writer.health.report_own().well  # a new process would find the same


async def test_a_writer_that_starts_without_its_database_says_how_much_waits(
    fleet: Fleet, postgres_server: PostgresServer
) -> None:
    events = await fleet.publish_polls([now_slot_ms() - MINUTE_MS], ["gw-1", "gw-2"])
    fleet.writer()
    await fleet.stored(events)
    await fleet.end()

    await asyncio.to_thread(postgres_server.stop)
    try:
        later = await fleet.publish_polls([now_slot_ms()], ["gw-1"])
        writer = fleet.writer(stall_seconds=1)
        await _says_how_long_it_can_be_away(fleet, writer, later)
    finally:
        await asyncio.to_thread(postgres_server.start)

    await fleet.stored(events + later)


async def test_a_stream_that_another_writer_took_over_is_told_of_by_that_one_alone(
    fleet: Fleet,
) -> None:
    async with own_role(fleet) as (first, role):
        await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms())))
        second = fleet.writer()
        await eventually(
            lambda: (second.value(STANDBY), first.told(LAG, tenant=fleet.tenant)),
            lambda seen: seen == (1, 0),
            what="the first writes and tells, the second waits",
        )

        await fleet.run(f"ALTER ROLE {role} NOLOGIN", CUT_OWNER)
        await eventually(lambda: second.value(STANDBY), lambda streams: streams == 0)
        await fleet.run(f"ALTER ROLE {role} LOGIN")

        await eventually(
            lambda: [one.told(LAG, tenant=fleet.tenant) for one in (first, second)],
            lambda told: told == [None, 0],
            what="only the second tells",
        )


async def test_pending_messages_and_no_commit_turn_health_red(
    fleet: Fleet, postgres_server: PostgresServer
) -> None:
    writer = fleet.writer(stall_seconds=1)
    await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms())))

    # The server hangs: connections stay open and nothing answers.
    postgres_server.pause()
    try:
        last = await fleet.publish("gw-2", Kind.STATUS, status_up(now_slot_ms()))
        failing = await eventually(
            lambda: writer.health.report().failing, bool, what="/healthz is red"
        )
        assert failing["commits"].startswith("no progress for")
    finally:
        postgres_server.resume()

    await fleet.stored(last)
    assert writer.health.report().well


async def test_a_full_disk_is_said_and_waited_for(fleet: Fleet) -> None:
    fleet.retry_max_seconds = 10
    writer = fleet.writer()
    await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms())))
    await fleet.run(
        "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'could not extend file: No space left on device' "
        "USING ERRCODE = 'disk_full'; END $$",
        "CREATE TRIGGER no_space BEFORE UPDATE ON stream_positions "
        "FOR EACH ROW EXECUTE FUNCTION no_space()",
    )

    last = await fleet.publish("gw-2", Kind.STATUS, status_up(now_slot_ms()))
    failing = await eventually(lambda: writer.health.report().failing, bool, what="/healthz is red")
    assert "disk is full" in failing["database"]
    assert "No space left on device" in failing["database"]
    await _stays_unwell(writer, seconds=3)

    await fleet.run("DROP TRIGGER no_space ON stream_positions")
    account = await fleet.stored(last)
    assert (account["events_stored"], account["rows_stored"]) == (2, 2)
    assert writer.health.report().well


async def _why_red(writer: RunningWriter) -> str:
    """What /healthz says of the database, once it is red for it."""
    failing = await eventually(
        lambda: writer.health.report().failing,
        lambda failing: "database" in failing,
        what="/healthz is red",
    )
    return failing["database"]


async def _stays_unwell(writer: RunningWriter, seconds: float) -> None:
    """Each attempt connects, and is no sign of health; the pauses between them double."""
    seen: list[tuple[bool, float]] = []
    failures = writer.value(FAILURES, reason="DatabaseFull")
    end = time.monotonic() + seconds

    def look() -> float:
        unwell = "database" in writer.health.report().failing
        seen.append((unwell, writer.value("fleet_writer_database_up")))
        return time.monotonic()

    await eventually(look, lambda now: now > end, what="the time is over")
    assert set(seen) == {(True, 0)}
    assert 1 <= writer.value(FAILURES, reason="DatabaseFull") - failures <= 5


async def test_a_database_that_refuses_the_writer_is_said_and_waited_for(fleet: Fleet) -> None:
    async with own_role(fleet) as (writer, role):
        await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms())))

        await fleet.run(f"ALTER ROLE {role} NOLOGIN", CUT_OWNER)
        last = await fleet.publish("gw-2", Kind.STATUS, status_up(now_slot_ms()))
        assert "is not permitted to log in" in await _why_red(writer)
        assert writer.value("fleet_writer_database_up") == 0

        await fleet.run(f"ALTER ROLE {role} LOGIN")
        await fleet.stored(last)
        assert writer.health.report().well
        assert writer.value("fleet_writer_database_up") == 1


async def test_a_partition_that_was_dropped_is_made_again(fleet: Fleet) -> None:
    writer = fleet.writer()
    await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms())))
    partition = await fleet.value("SELECT tableoid::regclass::text FROM device_status_samples")
    await fleet.run(f"DROP TABLE {partition}")

    account = await fleet.stored(await fleet.publish("gw-2", Kind.STATUS, status_up(now_slot_ms())))

    assert account["events_stored"] == 2
    devices = await fleet.rows(
        "SELECT name FROM device_status_samples JOIN devices ON devices.id = device_id"
    )
    assert devices == [{"name": "gw-2"}]
    assert writer.health.report().well


async def test_a_database_that_was_made_anew_is_filled_from_the_stream(fleet: Fleet) -> None:
    writer = fleet.writer()
    await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms())))

    await fleet.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", CUT_OWNER)

    account = await fleet.stored(1)
    assert (account["events_stored"], account["events_lost"]) == (1, 0)
    assert writer.health.report().well


async def test_a_read_only_database_is_said_and_waited_for(fleet: Fleet) -> None:
    writer = fleet.writer()
    await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms())))
    name = await fleet.value("SELECT current_database()")
    await fleet.run(
        f"ALTER DATABASE {name} SET default_transaction_read_only = on",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'routerfleet-writer' AND datname = current_database()",
    )

    last = await fleet.publish("gw-2", Kind.STATUS, status_up(now_slot_ms()))
    assert "takes no writes" in await _why_red(writer)

    await fleet.run(
        "SET default_transaction_read_only = off",
        f"ALTER DATABASE {name} RESET default_transaction_read_only",
    )
    account = await fleet.stored(last)
    assert account["events_stored"] == 2
    assert writer.health.report().well


async def test_many_processes_migrate_at_once(postgres_url: str) -> None:
    async def start() -> ChunkMode:
        async with opened(postgres_url) as connection:
            return await migrate(connection)

    modes = await asyncio.gather(*(start() for _ in range(6)))

    assert set(modes) == {ChunkMode.NATIVE}
    async with opened(postgres_url) as connection:
        rows = await connection.fetch("SELECT version FROM schema_migrations ORDER BY version")
    assert [row["version"] for row in rows] == [one.version for one in load_migrations()]


async def test_a_database_of_a_newer_release_is_refused(postgres_url: str) -> None:
    code = load_migrations()
    async with opened(postgres_url) as connection:
        await migrate(connection, [*code, Migration(len(code) + 1, "later", "SELECT 1")])

        with pytest.raises(SchemaTooNewError, match=f"version {len(code) + 1}, .* {len(code)}"):
            await migrate(connection, code)


async def test_an_edited_migration_is_refused(postgres_url: str) -> None:
    code = load_migrations()
    edited = [Migration(1, code[0].name, code[0].sql + "-- edited"), *code[1:]]
    async with opened(postgres_url) as connection:
        await migrate(connection, code)

        with pytest.raises(MigrationChangedError, match="migration 1 was applied"):
            await migrate(connection, edited)


async def test_a_migration_that_fails_leaves_nothing_behind(postgres_url: str) -> None:
    code: Sequence[Migration] = [*load_migrations(), Migration(6, "bad", "CREATE TABLE; oops")]
    async with opened(postgres_url) as connection:
        with pytest.raises(Exception, match="syntax error"):
            await migrate(connection, code)
    async with opened(postgres_url) as connection:
        tables = await connection.fetch_value(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        )
    assert tables == 0


async def test_the_tables_have_the_columns_that_are_copied(postgres_url: str) -> None:
    async with opened(postgres_url) as connection:
        await migrate(connection)
        for table in SAMPLE_TABLES:
            rows = await connection.fetch(
                "SELECT column_name FROM information_schema.columns WHERE table_name = $1",
                table.name,
            )
            assert {row["column_name"] for row in rows} == set(table.columns), table.name


async def test_partitions_are_made_ahead_by_several_writers_at_once(postgres_url: str) -> None:
    async with opened(postgres_url) as connection:
        mode = await migrate(connection)

    async def make() -> int:
        async with opened(postgres_url) as connection, connection.lock:
            return await Partitions(mode).make(connection, partitions_ahead(today(), 2))

    made = await asyncio.gather(*(make() for _ in range(4)))

    assert sum(made) == len(partitions_ahead(today(), 2))


async def test_partitions_beyond_retention_are_dropped_and_no_other(postgres_url: str) -> None:
    day = today()
    wanted = [partition_for(INTERFACE, number) for number in range(day - 12, day + 1)]
    retention = {table.name: 10 for table in SAMPLE_TABLES}
    async with opened(postgres_url) as connection:
        partitions = Partitions(await migrate(connection))
        async with connection.lock:
            await partitions.make(connection, wanted)
            await connection.execute("CREATE TABLE interface_samples_pfoo (id integer)")

        dropped = await partitions.drop_expired(connection, retention, day)

        assert [one.first_day for one in dropped] == [day - 12, day - 11]
        assert partitions.missing(wanted) == wanted[:2]
        left = await connection.fetch_value(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'interface_samples'::regclass"
        )
        assert left == 11


async def test_a_partition_in_use_is_not_waited_for(postgres_url: str) -> None:
    day = today()
    old = partition_for(INTERFACE, day - 30)
    retention = {table.name: 10 for table in SAMPLE_TABLES}
    async with opened(postgres_url) as connection, opened(postgres_url) as reader:
        partitions = Partitions(await migrate(connection))
        async with connection.lock:
            await partitions.make(connection, [old])
        async with reader.transaction():
            await reader.fetch("SELECT * FROM interface_samples")
            assert await partitions.drop_expired(connection, retention, day) == []
        assert await partitions.drop_expired(connection, retention, day) == [old]


async def test_the_writer_drops_old_partitions_and_makes_late_ones(fleet: Fleet) -> None:
    fleet.retention = RetentionSection(device_status_samples_days=20)
    writer = fleet.writer(maintenance_seconds=0.2)
    late = now_slot_ms() - 15 * 86_400_000
    await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(late)))
    partition = f"device_status_samples_p{datetime.now(UTC) - timedelta(days=15):%Y%m%d}"
    assert await fleet.value("SELECT tableoid::regclass::text FROM device_status_samples") == (
        partition
    )
    await fleet.end()

    fleet.retention = RetentionSection(device_status_samples_days=10)
    writer = fleet.writer(maintenance_seconds=0.2)
    await eventually(
        lambda: writer.value(
            "fleet_writer_partitions_dropped_total", table="device_status_samples"
        ),
        lambda dropped: dropped == 1,
        what="the late partition is dropped",
    )
    assert await fleet.value("SELECT count(*) FROM device_status_samples") == 0
