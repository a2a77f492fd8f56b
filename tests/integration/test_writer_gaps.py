"""What left the stream before it was stored is counted and recorded, never passed over."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos.proxy import Link
from fleet_contracts.subjects import Kind, tenant_id
from support.nats import NatsServer, connected
from support.ports import free_port
from support.writer import MINUTE_MS, now_slot_ms, status_up
from support.writer_fleet import Fleet


async def _publish(fleet: Fleet, count: int) -> int:
    first = now_slot_ms() - count * MINUTE_MS
    for number in range(count - 1):
        await fleet.publish("gw-1", Kind.STATUS, status_up(first + number * MINUTE_MS))
    return await fleet.publish("gw-1", Kind.STATUS, status_up(first + count * MINUTE_MS))


async def test_messages_discarded_while_the_writer_was_away_are_a_lost_range(
    fleet: Fleet,
) -> None:
    await _publish(fleet, 5)
    fleet.writer()
    await fleet.stored(5)
    await fleet.end()
    await _publish(fleet, 10)
    await fleet.js.purge_stream(fleet.stream, seq=9)  # keeps 9 and newer

    writer = fleet.writer()
    account = await fleet.stored(15)

    assert (account["events_stored"], account["events_lost"]) == (12, 3)
    assert account["events_unaccounted"] == 0
    (lost,) = await fleet.rows("SELECT * FROM lost_ranges")
    assert (lost["from_sequence"], lost["to_sequence"], lost["messages"]) == (6, 8, 3)
    assert lost["reason"] == "discarded"
    assert lost["after"] is not None
    assert writer.value("fleet_writer_lost_messages_total", tenant="acme", reason="discarded") == 3


async def test_everything_discarded_and_nothing_left_is_noticed_at_once(fleet: Fleet) -> None:
    await _publish(fleet, 5)
    await fleet.js.purge_stream(fleet.stream)
    fleet.writer()

    account = await fleet.stored(5)

    assert (account["events_stored"], account["events_lost"]) == (0, 5)


async def test_a_message_deleted_by_hand_is_a_lost_range_with_time_bounds(fleet: Fleet) -> None:
    await _publish(fleet, 5)
    await fleet.js.delete_msg(fleet.stream, 3)
    fleet.writer()

    account = await fleet.stored(5)

    assert (account["events_stored"], account["events_lost"]) == (4, 1)
    (lost,) = await fleet.rows("SELECT * FROM lost_ranges")
    assert (lost["from_sequence"], lost["to_sequence"], lost["reason"]) == (3, 3, "deleted")
    assert lost["after"] < lost["before"]


async def test_messages_that_a_consumer_skips_are_read_again_and_not_lost(fleet: Fleet) -> None:
    await _publish(fleet, 5)
    await fleet.js.delete_msg(fleet.stream, 2)
    link = Link("nats", free_port(), int(fleet.nats_url.rpartition(":")[2]))
    async with link.serve():
        fleet.nats_url = f"nats://127.0.0.1:{link.port}"
        link.swap(b'"opt_start_seq": 1', b'"opt_start_seq": 4')
        fleet.writer()
        account = await fleet.stored(5)
        await fleet.end()

    assert link.swapped == 1
    assert (account["events_stored"], account["events_lost"]) == (4, 1)
    ranges = await fleet.rows("SELECT from_sequence, to_sequence, reason FROM lost_ranges")
    assert [tuple(row.values()) for row in ranges] == [(2, 2, "deleted")]


async def test_a_stream_made_anew_starts_a_new_position(fleet: Fleet) -> None:
    await _publish(fleet, 5)
    fleet.writer()
    await fleet.stored(5)

    await fleet.js.delete_stream(fleet.stream)
    await fleet.declare()
    await fleet.publish("gw-2", Kind.STATUS, status_up(now_slot_ms()))

    accounts = await fleet.second_lineage(events_stored=1)
    assert [row["last_sequence"] for row in accounts] == [5, 1]
    assert await fleet.value("SELECT count(*) FROM device_status_samples") == 6


async def test_a_stream_made_anew_while_the_writer_was_away_is_read_from_its_start(
    fleet: Fleet,
) -> None:
    await _publish(fleet, 5)
    fleet.writer()
    await fleet.stored(5)
    await fleet.end()
    await fleet.js.delete_stream(fleet.stream)
    await fleet.declare()
    for number in range(7):
        slot = now_slot_ms() - number * MINUTE_MS
        await fleet.publish("gw-2", Kind.STATUS, status_up(slot))

    fleet.writer()

    accounts = await fleet.second_lineage(events_stored=7)
    assert accounts[1]["events_lost"] == 0


async def test_a_broker_that_lost_its_newest_messages_starts_a_new_generation(
    fleet: Fleet,
) -> None:
    """The stored position is beyond the stream's end: its numbers will come again."""
    await _publish(fleet, 5)
    fleet.writer()
    await fleet.stored(5)
    await fleet.end()
    await fleet.rows("UPDATE stream_positions SET last_sequence = 9 RETURNING id")

    await fleet.publish("gw-2", Kind.STATUS, status_up(now_slot_ms()))
    fleet.writer()

    accounts = await fleet.second_lineage(events_stored=6)
    assert (accounts[1]["generation"], accounts[1]["rows_duplicate"]) == (1, 5)
    assert await fleet.value("SELECT count(*) FROM device_status_samples") == 6


async def test_a_stream_that_the_broker_says_nothing_of_holds_up_no_other(fleet: Fleet) -> None:
    """Without a leader, say: here the question about it is answered by nobody."""
    other = Fleet(fleet.client, fleet.nats_url, fleet.database_url, tenant_id("zeta"))
    await other.declare()
    for one in (fleet, other):
        await one.publish("gw-1", Kind.STATUS, status_up(now_slot_ms()))
    fleet.writer(tenants="acme,zeta")
    await asyncio.gather(fleet.stored(1), other.stored(1))
    await fleet.end()
    for one in (fleet, other):
        await one.publish("gw-2", Kind.STATUS, status_up(now_slot_ms()))

    link = Link("nats", free_port(), int(fleet.nats_url.rpartition(":")[2]))
    async with link.serve():
        fleet.nats_url = f"nats://127.0.0.1:{link.port}"
        link.swap(b"$JS.API.STREAM.MSG.GET.FLEET_acme", b"$JS.NOT.STREAM.MSG.GET.FLEET_acme")
        fleet.writer(tenants="acme,zeta", discovery_seconds=300)
        await other.stored(2)
        await fleet.end()

    assert link.swapped == 1


def _keep_disk(broker: NatsServer) -> Path:
    """What the broker has on its disk now."""
    kept = broker.directory / "kept"
    broker.stop()
    shutil.copytree(broker.directory / "js", kept)
    broker.start()
    return kept


def _lose_since(broker: NatsServer, kept: Path) -> None:
    """The broker comes back with what was on its disk then."""
    broker.stop()
    shutil.rmtree(broker.directory / "js")
    kept.rename(broker.directory / "js")
    broker.start()


async def _publish_anew(fleet: Fleet, devices: Sequence[str]) -> None:
    """Over a connection of its own: the others wait before they try again."""
    async with connected(fleet.nats_url) as client:
        now = Fleet(client, fleet.nats_url, fleet.database_url, fleet.tenant)
        for device in devices:
            await now.publish(device, Kind.STATUS, status_up(now_slot_ms()))


@pytest.mark.parametrize("writer_is_there", [False, True], ids=["while-away", "while-reading"])
async def test_numbers_that_the_broker_gives_again_are_not_taken_for_stored(
    fleet: Fleet, nats_server: NatsServer, *, writer_is_there: bool
) -> None:
    """It lost its newest messages, and has more than were stored before the writer looks."""
    await _publish(fleet, 3)
    kept = _keep_disk(nats_server)
    await _publish_anew(fleet, ["lost-1", "lost-2"])
    fleet.writer()
    await fleet.stored(5)
    if not writer_is_there:
        await fleet.end()

    _lose_since(nats_server, kept)
    await _publish_anew(fleet, ["new-1", "new-2", "new-3"])
    if not writer_is_there:
        fleet.writer()

    accounts = await fleet.second_lineage(events_stored=6)
    assert (accounts[1]["generation"], accounts[1]["rows_duplicate"]) == (1, 3)
    assert (accounts[1]["events_lost"], accounts[1]["events_unaccounted"]) == (0, 0)
    assert await fleet.value("SELECT count(*) FROM device_status_samples") == 8
