"""What one device's trouble must not do: to others, to its own slots, to what is said of it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from fleet_common.fleet_spec import CadenceSpec
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    REACHABILITY_DOWN,
    REACHABILITY_UP,
    ErrorClass,
    Event,
)
from fleet_contracts.subjects import Kind
from fleet_poller import reader
from fleet_poller.parse.system import parse_health
from fleet_poller.readings import SensorReading
from fleet_poller.routeros.wire import Attributes
from fleet_simulator.faults import Fault, FaultRule
from fleet_simulator.server import Simulator
from fleet_simulator.world.fleet import build_router
from support.pollers import RunningShard, device_record, last_of, running_shard, write_secret
from support.routers import FixedRouter
from support.simulator import simulate
from support.waiting import eventually

TIMED_OUT = "action timed out - try again, if error continues contact MikroTik support"
UNFORESEEN = "fleet_poller_unforeseen_failures_total"
MISSED = "fleet_poller_slots_missed_total"


@pytest.fixture
def secrets(tmp_path: Path, simulator: Simulator) -> Path:
    write_secret(tmp_path, simulator.endpoint("router-1"))
    return tmp_path


async def more(poller: RunningShard, device: str, kind: Kind, count: int = 1) -> list[Event]:
    """Wait for so many more events."""
    before = len(poller.of(device, kind))
    events = await eventually(
        lambda: poller.of(device, kind),
        lambda events: len(events) >= before + count,
        what=f"{count} more {kind.value} of {device}",
    )
    return events[before:]


def assert_each_slot_has_its_event_or_is_counted(
    poller: RunningShard, events: Sequence[Event], interval_ms: int
) -> None:
    slots = [event.slot_unix_ms for event in events]
    passed = (slots[-1] - slots[0]) // interval_ms + 1
    counted = sum(poller.metric(MISSED, reason=reason) for reason in ("late", "busy"))
    assert passed - len(slots) <= counted


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"address": "router..lan"}, "label empty"),
        ({"address": f"{'x' * 64}.lan"}, "label too long"),
        ({"address": "router\0lan"}, "null"),
        ({"port": 70_000}, "0-65535"),
    ],
)
async def test_an_address_that_no_host_can_have_costs_only_its_own_device(
    simulator: Simulator, secrets: Path, changes: dict[str, object], said: str
) -> None:
    good = device_record(simulator.endpoint("router-1"))
    bad = device_record(simulator.endpoint("router-2"), **changes)
    async with running_shard(secrets, good, bad) as poller:
        await more(poller, "router-2", Kind.STATUS, 3)
        events = await more(poller, "router-1", Kind.STATUS, 5)
        down = last_of(poller.of("router-2", Kind.STATUS)).status

        assert_each_slot_has_its_event_or_is_counted(poller, events, 200)
        assert poller.metric(UNFORESEEN) == 0
    assert {event.status.reachability for event in events} == {REACHABILITY_UP}
    assert down.error_class == ErrorClass.ERROR_CLASS_UNREACHABLE
    assert said in down.error_message


async def test_an_answer_that_sets_off_a_bug_costs_only_its_own_device(
    simulator: Simulator,
    secrets: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def parse(rows: Sequence[Attributes]) -> tuple[SensorReading, ...]:
        if any(row.get(b"name") == b"cursed" for row in rows):
            raise ZeroDivisionError("nobody thought of this")
        return parse_health(rows)

    monkeypatch.setattr(reader, "parse_health", parse)
    router = simulator.device("router-2").router
    assert isinstance(router, FixedRouter)
    sensors = router.menus["/system/health"].table
    records = [device_record(simulator.endpoint(f"router-{n}")) for n in (1, 2)]
    async with running_shard(secrets, *records) as poller:
        await more(poller, "router-2", Kind.STATUS, 2)
        inventories = len(poller.of("router-2", Kind.INVENTORY))
        sensors.append({b".id": b"*F", b"name": b"cursed", b"value": b"1", b"type": b"C"})
        downs = await eventually(
            lambda: [
                one
                for one in poller.of("router-2", Kind.STATUS)
                if one.status.reachability == REACHABILITY_DOWN
            ],
            lambda downs: len(downs) >= 3,
            what="router-2 is down",
        )
        events = await more(poller, "router-1", Kind.STATUS, 5)
        del sensors[-1]
        again = await eventually(
            lambda: poller.of("router-2", Kind.INVENTORY)[inventories:],
            bool,
            what="router-2 is read anew",
        )
        counted = poller.metric(UNFORESEEN)

        assert_each_slot_has_its_event_or_is_counted(poller, events, 200)
    assert {event.status.reachability for event in events} == {REACHABILITY_UP}
    assert downs[0].status.error_class == ErrorClass.ERROR_CLASS_PROTOCOL
    assert "ZeroDivisionError: nobody thought of this" in downs[0].status.error_message
    told = [one for one in caplog.records if "was not foreseen" in one.message]
    assert counted == len(told) >= 3
    assert all(one.exc_info and one.__dict__["device"] == "router-2" for one in told)
    assert again[0].inventory.identity == "router-2"


async def test_a_slot_whose_poll_a_changed_record_cuts_off_is_polled_at_the_new_address(
    simulator: Simulator, secrets: Path
) -> None:
    simulator.faults.add(FaultRule(Fault.STALL_BEFORE, devices=("router-1",)))
    old = device_record(simulator.endpoint("router-1"), cadence=CadenceSpec(interval=1))
    port = simulator.endpoint("router-2").port
    async with running_shard(secrets, old) as poller:
        asked = simulator.device("router-1").ledger.commands
        await eventually(lambda: asked["/interface/print"], bool, what="a poll is in flight")
        (device,) = poller.shard.devices()
        cut_off = device.polling_ms
        poller.assign(old.model_copy(update={"port": port}))
        events = await more(poller, "router-1", Kind.STATUS, 3)

        assert poller.metric(MISSED, reason="replaced") == 0
        assert_each_slot_has_its_event_or_is_counted(poller, events, 1000)
    assert events[0].slot_unix_ms == cut_off
    assert events[0].status.reachability == REACHABILITY_UP
    assert poller.of("router-1", Kind.INVENTORY)[0].inventory.identity == "router-2"


async def test_a_slot_that_cannot_be_polled_at_the_new_address_is_counted(
    simulator: Simulator, secrets: Path
) -> None:
    """The changed record has another interval, and with it other slots."""
    simulator.faults.add(FaultRule(Fault.STALL_BEFORE, devices=("router-1",)))
    old = device_record(simulator.endpoint("router-1"), cadence=CadenceSpec(interval=1))
    changes = {
        "port": simulator.endpoint("router-2").port,
        "cadence": CadenceSpec(interval=0.3),
    }
    async with running_shard(secrets, old) as poller:
        asked = simulator.device("router-1").ledger.commands
        await eventually(lambda: asked["/interface/print"], bool, what="a poll is in flight")
        poller.assign(old.model_copy(update=changes))
        await more(poller, "router-1", Kind.STATUS, 2)

        assert poller.metric(MISSED, reason="replaced") == 1


async def test_what_a_router_refuses_once_is_never_an_empty_reading(tmp_path: Path) -> None:
    """Its commands time out as RouterOS says it, at the first poll and at an inventory later."""
    refused = FaultRule(
        Fault.TRAP,
        commands=("/system/identity/print", "/system/health/print", "/interface/wifi/print"),
        message=TIMED_OUT,
    )
    async with simulate(build_router(3, "ap-1", personality="ap-wifi")) as simulator:
        write_secret(tmp_path, simulator.endpoint("ap-1"))
        cadence = CadenceSpec(interval=0.2, inventory=0.6)
        record = device_record(simulator.endpoint("ap-1"), cadence=cadence)
        simulator.faults.add(refused)
        async with running_shard(tmp_path, record) as poller:
            await more(poller, "ap-1", Kind.STATUS, 3)
            assert poller.kinds("ap-1") == {Kind.STATUS, Kind.FIRMWARE}
            simulator.faults.replace([])
            await more(poller, "ap-1", Kind.WIRELESS)
            await more(poller, "ap-1", Kind.INVENTORY, 2)
            simulator.faults.add(refused)
            asked = simulator.device("ap-1").ledger.commands
            before = asked["/system/identity/print"]
            await eventually(
                lambda: asked["/system/identity/print"] - before,
                lambda times: times >= 3,
                what="the inventory is asked for while the router refuses it",
            )
            simulator.faults.replace([])
            (wireless, *_) = await more(poller, "ap-1", Kind.WIRELESS, 2)
            await more(poller, "ap-1", Kind.INVENTORY)

    assert wireless.wireless.radios
    inventories = [event.inventory for event in poller.of("ap-1", Kind.INVENTORY)]
    assert len({one.revision for one in inventories}) == 1
    assert all(one.identity for one in inventories)
    assert all(event.health.sensors for event in poller.of("ap-1", Kind.HEALTH))
    assert all(event.wireless.radios for event in poller.of("ap-1", Kind.WIRELESS))
    reached = {event.status.reachability for event in poller.of("ap-1", Kind.STATUS)}
    assert reached == {REACHABILITY_UP}
