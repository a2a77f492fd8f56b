"""The row sizes that the capacity model calculates with are those of the writer's tables."""

import asyncio
import itertools
from collections.abc import Callable

from fleet_common.measured_sizes import TABLES
from fleet_contracts.gen.fleet.v1.events_pb2 import Event, FirmwareAdvice, Verdict
from fleet_contracts.subjects import Kind, device_id
from fleet_writer.partitions import DAY_MS
from support.writer import MINUTE_MS, inventory, now_slot_ms, outgoing, poll_events
from support.writer_fleet import Fleet

DEVICES, POLLS = 50, 60


def events_of(slot_ms: int, number: int) -> dict[Kind, Event]:
    """All seven kinds."""
    advice = FirmwareAdvice(
        verdict=Verdict.VERDICT_UP_TO_DATE,
        installed_version="7.20.1",
        channel="stable",
        latest_version="7.20.1",
    )
    return poll_events(slot_ms, number) | {
        Kind.INVENTORY: inventory(slot_ms, {1: "ether1"}, revision=1_000_000 + number),
        Kind.FIRMWARE_ADVICE: Event(slot_unix_ms=slot_ms, firmware_advice=advice),
    }


async def test_rows_take_what_the_capacity_model_says(
    fleet: Fleet, record_property: Callable[[str, object], None]
) -> None:
    # Yesterday's noon: all in one day's partition, at any time of day.
    first = (now_slot_ms() // DAY_MS - 1) * DAY_MS + DAY_MS // 2
    messages = [
        outgoing(fleet.tenant, device_id(f"router-{number:03d}"), kind, event)
        for poll in range(POLLS)
        for number in range(DEVICES)
        for kind, event in events_of(first + poll * MINUTE_MS, number).items()
    ]
    for chunk in itertools.batched(messages, 400):
        await asyncio.gather(
            *(fleet.js.publish(one.subject, one.payload, timeout=20) for one in chunk)
        )
    fleet.writer()
    await fleet.stored(len(messages), deadline_seconds=60)

    seen = {table.table: await bytes_of_a_row(fleet, table.table) for table in TABLES}

    # A day's partition is a hundred times as long as this one: what each partition costs
    # whatever is in it weighs more here, so rows may look larger than the model has them.
    record_property("bytes_of_a_row", str(seen))
    wrong = {
        table.table: (seen[table.table], table.row_bytes)
        for table in TABLES
        if not table.row_bytes * 0.8 <= seen[table.table] <= table.row_bytes * 1.35
    }
    assert wrong == {}


async def bytes_of_a_row(fleet: Fleet, table: str) -> float:
    """Heap and indexes of all partitions with rows, over the rows."""
    sizes = await fleet.rows(
        "SELECT pg_total_relation_size(inhrelid)::bigint AS bytes, "
        "pg_relation_size(inhrelid)::bigint AS heap "
        "FROM pg_inherits WHERE inhparent = $1::text::regclass",
        table,
    )
    rows = await fleet.value(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own names
    return sum(one["bytes"] for one in sizes if one["heap"]) / rows
