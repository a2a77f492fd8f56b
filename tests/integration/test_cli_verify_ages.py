"""What `routerfleet verify` says of a stream that reaches further back than rows are kept."""

from datetime import UTC, datetime, timedelta

import asyncpg

from fleet_cli.audit import Problem, Rows
from fleet_cli.audit_reader import Audits, read_audits
from fleet_cli.database import SAMPLE_TABLE, read_model
from fleet_cli.retention import WORDS
from fleet_contracts.subjects import Kind
from fleet_writer.retention import WORDS as WRITERS_WORDS
from fleet_writer.settings import RetentionSection
from support.writer import now_slot_ms, poll_events
from support.writer_fleet import Fleet

DAY_MS = 86_400_000
DAY = timedelta(days=1)
DEVICES = ("core-1", "core-2")


async def audits(fleet: Fleet, later: timedelta) -> Audits:
    """As the command would find it so much later, with nothing published meanwhile."""
    async with read_model(fleet.database_url) as model:
        return await read_audits(
            fleet.client, fleet.js, model, None, lambda: datetime.now(UTC) + later
        )


async def publish_all(fleet: Fleet) -> int:
    """Each device's poll three days ago and now; how many messages, which are the sequences."""
    now = now_slot_ms()
    return await fleet.publish_polls([now - 3 * DAY_MS, now], DEVICES)


def oldest_deleted(table: str) -> str:
    """Takes one device's row of three days ago away; the other's stays."""
    return (
        f"DELETE FROM {table} WHERE slot = (SELECT min(slot) FROM {table}) "  # noqa: S608 - our own names
        f"AND device_id = (SELECT min(device_id) FROM {table})"
    )


async def test_events_older_than_their_table_s_rows_are_aged_out_and_no_loss(fleet: Fleet) -> None:
    fleet.retention = RetentionSection(health_samples_days=1)
    count = await publish_all(fleet)
    fleet.writer()
    account = await fleet.stored(count)
    assert account["rows_expired"] == len(DEVICES)
    found = (await audits(fleet, DAY * 1.1)).streams[fleet.stream]
    kinds = list(poll_events(0))
    health = [1 + number * len(kinds) + kinds.index(Kind.HEALTH) for number in range(len(DEVICES))]
    assert list(found.aged_out) == [(sequence, sequence) for sequence in health]
    assert (found.stored, found.findings) == (count, [])


async def test_a_row_that_is_gone_is_missed_on_an_old_stream_too(fleet: Fleet) -> None:
    count = await publish_all(fleet)
    fleet.writer()
    await fleet.stored(count)
    await fleet.run(oldest_deleted("health_samples"))
    found = (await audits(fleet, DAY * 1.1)).streams[fleet.stream]
    assert [(one.problem, one.count) for one in found.findings] == [(Problem.WITHOUT_ROW, 1)]
    assert found.aged_out == []


async def test_a_retention_that_the_fleet_asks_for_tells_too(fleet: Fleet) -> None:
    count = await publish_all(fleet)
    fleet.writer()
    await fleet.stored(count)
    await fleet.run(
        oldest_deleted("device_status_samples"),
        """UPDATE tenants SET retention_days = '{"device_status": 2}'""",
    )
    found = (await audits(fleet, DAY * 1.1)).streams[fleet.stream]
    assert (found.findings, found.aged_out) == ([], [(1, 1)])


async def test_rows_are_counted_only_where_their_number_decides(fleet: Fleet) -> None:
    count = await publish_all(fleet)
    fleet.writer()
    account = await fleet.stored(count)
    rows = account["rows_stored"]
    young, old = await audits(fleet, timedelta()), await audits(fleet, DAY * 1.1)
    assert young.streams[fleet.stream].rows == Rows(rows, rows)
    assert young.notes == []
    assert old.streams[fleet.stream].rows == Rows(rows, None)
    assert "rows not counted" in "".join(old.notes)


async def test_rows_too_many_to_count_are_a_note_and_the_rest_is_compared(fleet: Fleet) -> None:
    count = await publish_all(fleet)
    fleet.writer()
    await fleet.stored(count)
    await fleet.end()
    holder = await asyncpg.connect(fleet.database_url, timeout=10, command_timeout=20)
    try:
        async with (
            holder.transaction(),
            read_model(fleet.database_url, query_seconds=2) as model,
        ):
            # A table that nothing else of the command reads: counting waits until it gives up.
            await holder.execute("LOCK TABLE sensor_samples IN ACCESS EXCLUSIVE MODE")
            found = await read_audits(fleet.client, fleet.js, model, None)
    finally:
        await holder.close()
    assert found.streams[fleet.stream].rows.found is None
    assert (found.unaccounted, found.notes) == (0, [f"{fleet.stream}: rows not counted: too many"])


def test_kinds_of_row_are_called_as_the_writer_calls_them() -> None:
    assert WORDS.keys() == SAMPLE_TABLE.keys()
    for kind, word in WORDS.items():
        assert WRITERS_WORDS[word].name == SAMPLE_TABLE[kind]
