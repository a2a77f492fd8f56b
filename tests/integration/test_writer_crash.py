"""Writers die, stand by and take over; nothing is lost and nothing stored twice."""

import asyncio
import random
from contextlib import AbstractContextManager
from pathlib import Path

from fleet_contracts.subjects import Kind
from support.nats import NatsServer
from support.processes import ServiceProcess, running
from support.waiting import eventually
from support.writer import (
    MINUTE_MS,
    ROWS_OF_A_POLL,
    now_slot_ms,
    poll_events,
    status_up,
    writer_process,
)
from support.writer_fleet import Fleet

DEVICES = [f"gw-{number}" for number in range(20)]
EVENTS_OF_A_POLL = len(poll_events(0))


def running_writer(
    fleet: Fleet, tmp_path: Path, name: str = "writer", **settings: str
) -> AbstractContextManager[ServiceProcess]:
    log = tmp_path / f"{name}.log"
    return running(writer_process(fleet.nats_url, fleet.database_url, log, settings))


async def _published_slots(fleet: Fleet) -> list[tuple[str, int, int]]:
    """Every stored status: device, slot, how often."""
    rows = await fleet.rows(
        "SELECT name, (extract(epoch FROM slot) * 1000)::bigint AS slot, count(*) AS times "
        "FROM device_status_samples JOIN devices ON devices.id = device_id GROUP BY 1, 2"
    )
    return sorted((row["name"], row["slot"], row["times"]) for row in rows)


async def test_killed_at_any_moment_it_loses_nothing_and_doubles_nothing(
    fleet: Fleet, tmp_path: Path
) -> None:
    chance = random.Random(20261124)  # noqa: S311 - repeatable on purpose
    first = now_slot_ms() - 60 * MINUTE_MS
    slots = [first + number * MINUTE_MS for number in range(60)]

    async def keep_publishing() -> None:
        for slot in slots:
            await fleet.publish_polls([slot], DEVICES)

    with running_writer(
        fleet, tmp_path, FLEET_WRITER__BATCH_MESSAGES="37", FLEET_WRITER__LINGER_SECONDS="0"
    ) as writer:
        publishing = asyncio.create_task(keep_publishing())
        kills = 0
        stored = 0
        while kills < 8:
            # Killed once it has stored something new, and then at a moment of chance.
            account = await fleet.stored(stored + 1)
            stored = account["last_sequence"]
            await fleet.rows("SELECT pg_sleep($1)", chance.random() * 0.1)
            await asyncio.to_thread(writer.kill)
            kills += 1
            writer.start()
            if stored == len(slots) * len(DEVICES) * EVENTS_OF_A_POLL:
                break
        await publishing
        account = await fleet.stored(len(slots) * len(DEVICES) * EVENTS_OF_A_POLL)
        assert await writer.stop() == 0

    assert kills >= 3
    expected = sorted((device, slot, 1) for device in DEVICES for slot in slots)
    assert await _published_slots(fleet) == expected
    assert await fleet.sample_rows() == len(expected) * ROWS_OF_A_POLL
    assert account["rows_stored"] == len(expected) * ROWS_OF_A_POLL
    # Exactly once by the position alone: no key had to absorb anything.
    assert account["rows_duplicate"] == 0
    assert (account["events_lost"], account["events_unaccounted"]) == (0, 0)


async def test_a_standby_takes_over_within_seconds_of_a_kill(fleet: Fleet, tmp_path: Path) -> None:
    with (
        running_writer(fleet, tmp_path, "first") as first,
        running_writer(fleet, tmp_path, "second") as second,
    ):
        await eventually(
            lambda: first.tail() + second.tail(),
            lambda log: "writing a stream" in log and "standby: another writer holds" in log,
            what="one writes, the other stands by",
        )
        holder, other = (first, second) if "writing a stream" in first.tail() else (second, first)
        last = await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms()))
        await fleet.stored(last)
        assert "writing a stream" not in other.tail()

        await asyncio.to_thread(holder.kill)
        last = await fleet.publish("gw-2", Kind.STATUS, status_up(now_slot_ms()))
        account = await fleet.stored(last, deadline_seconds=5)

        assert account["events_stored"] == 2
        assert "writing a stream" in other.tail()


async def test_sigterm_commits_what_is_in_flight_and_frees_the_stream(
    fleet: Fleet, tmp_path: Path
) -> None:
    events = await fleet.publish_polls([now_slot_ms()], DEVICES)
    with running_writer(fleet, tmp_path) as writer:
        await fleet.stored(events)
        await fleet.publish_polls([now_slot_ms() + MINUTE_MS], DEVICES)

        assert await writer.stop() == 0

        locks = await fleet.value(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        assert locks == 0
        account = await fleet.account()
        rows = await fleet.sample_rows()
        assert account["rows_stored"] == rows

    fleet.writer()
    account = await fleet.stored(2 * events)
    assert await fleet.sample_rows() == 2 * len(DEVICES) * ROWS_OF_A_POLL
    assert account["rows_duplicate"] == 0


async def test_a_broker_restart_loses_nothing(fleet: Fleet, nats_server: NatsServer) -> None:
    fleet.writer()
    events = await fleet.publish_polls([now_slot_ms() - MINUTE_MS], DEVICES)
    await fleet.stored(events)

    await asyncio.to_thread(nats_server.restart)
    await eventually(lambda: fleet.client.is_connected, bool, what="the test is connected again")
    more = await fleet.publish_polls([now_slot_ms()], DEVICES)

    account = await fleet.stored(events + more, deadline_seconds=30)
    assert await fleet.sample_rows() == 2 * len(DEVICES) * ROWS_OF_A_POLL
    assert (account["events_lost"], account["rows_duplicate"]) == (0, 0)
