"""Whatever the folded states went through, the tables hold them as they are."""

import random
from collections.abc import AsyncIterator

import pytest

from fleet_contracts.codec import DecodedEvent
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    Event,
    FirmwareAdvice,
    InterfaceDescription,
    Inventory,
)
from fleet_contracts.subjects import DeviceId, EventSubject, Kind, tenant_id
from fleet_writer.batch import DeviceChange
from fleet_writer.database import Connection, Database
from fleet_writer.directory import Directory
from fleet_writer.errors import RefusedRowsError
from fleet_writer.fold import fold
from fleet_writer.migrations import migrate
from fleet_writer.read_model import store_devices
from fleet_writer.settings import DatabaseSection
from support.writer import interfaces, inventory, status_down, status_up

NORTH = tenant_id("north")
DEVICES = [DeviceId(f"gw-{number}") for number in range(8)]
# Not on whole seconds: every millisecond must arrive.
FIRST_SLOT_MS = 1_780_000_000_123
POLL_MS = 60_001


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[Connection]:
    database = Database(DatabaseSection.model_validate({"url": postgres_url}))
    async with database.connection("test") as connection:
        await migrate(connection)
        yield connection


@pytest.mark.parametrize("seed", range(6))
async def test_stored_states_are_read_back_as_they_were_folded(
    connection: Connection, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable, no secret
    directory = Directory()
    await directory.load(connection, NORTH)
    await directory.ensure_devices(connection, [(NORTH, device) for device in DEVICES])

    for batch in range(12):
        changes: list[DeviceChange] = []
        for device in chance.sample(DEVICES, 5):
            entry = directory.devices[NORTH, device]
            before = entry.state
            for poll in range(chance.randint(1, 3)):
                slot = FIRST_SLOT_MS + (batch * 3 + poll) * POLL_MS
                for kind, event in _poll(chance, slot).items():
                    decoded = DecodedEvent(EventSubject(NORTH, device, kind), event)
                    entry.state = fold(entry.state, decoded)
            changes.append(DeviceChange(entry.id, before, entry.state))
        async with connection.transaction():
            await store_devices(connection, changes)

        stored = Directory()
        await stored.load(connection, NORTH)
        assert {key: entry.state for key, entry in stored.devices.items()} == {
            key: entry.state for key, entry in directory.devices.items()
        }


@pytest.mark.parametrize(
    "event",
    [
        Event(firmware_advice=FirmwareAdvice(latest_released_unix_seconds=10**13)),
        Event(firmware_advice=FirmwareAdvice(channel_read_unix_seconds=2**63)),
        Event(
            inventory=Inventory(
                interfaces=[InterfaceDescription(id=1, last_up_router_unix_seconds=2**63)]
            )
        ),
        Event(
            inventory=Inventory(
                interfaces=[InterfaceDescription(id=1, last_down_router_unix_seconds=10**13)]
            )
        ),
    ],
    ids=["released", "channel-read", "link-up", "link-down"],
)
async def test_a_time_that_no_calendar_has_is_a_refused_row(
    connection: Connection, event: Event
) -> None:
    """It must not end the process, which would find the same event at its next start."""
    directory = Directory()
    await directory.load(connection, NORTH)
    await directory.ensure_devices(connection, [(NORTH, DEVICES[0])])
    entry = directory.devices[NORTH, DEVICES[0]]
    event.slot_unix_ms = FIRST_SLOT_MS
    kind = Kind.INVENTORY if event.HasField("inventory") else Kind.FIRMWARE_ADVICE
    after = fold(entry.state, DecodedEvent(EventSubject(NORTH, DEVICES[0], kind), event))

    with pytest.raises(RefusedRowsError):
        await store_devices(connection, [DeviceChange(entry.id, entry.state, after)])


def _poll(chance: random.Random, slot_ms: int) -> dict[Kind, Event]:
    """Mostly an answer as the one before; at times a failure, a reboot, a part alone."""
    fate = chance.random()
    if fate < 0.15:
        return {Kind.STATUS: status_down(slot_ms, chance.randint(1, 9))}
    up = status_up(slot_ms, chance.randint(0, 1 << 40), rebooted=fate > 0.95)
    up.observed_after_slot_ms = chance.randint(0, 29_999)
    events = {Kind.STATUS: up, Kind.INTERFACES: interfaces(slot_ms)}
    if chance.random() < 0.2:
        del events[chance.choice([Kind.STATUS, Kind.INTERFACES])]
    if chance.random() < 0.1:
        events[Kind.INVENTORY] = inventory(slot_ms, {1: "ether1", 2: f"v{slot_ms}"})
    return events
