"""A shard against simulated routers: what happens to the events when routers misbehave."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from fleet_common.fleet_spec import CadenceSpec
from fleet_contracts.columns import unpack_totals
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    REACHABILITY_DOWN,
    REACHABILITY_UP,
    ErrorClass,
    Event,
    WirelessPackage,
)
from fleet_contracts.subjects import Kind
from fleet_poller.breaker import BreakerPolicy
from fleet_poller.device import PollTimeouts
from fleet_poller.schedule import latest_slot, phase_ms
from fleet_simulator.faults import Fault, FaultRule
from fleet_simulator.server import Simulator
from fleet_simulator.world.fleet import build_router
from support.pollers import (
    INTERVAL_SECONDS,
    SECRET,
    RunningShard,
    device_record,
    last_of,
    running_shard,
    write_secret,
)
from support.ports import free_port
from support.routers import FixedMenu, FixedRouter, fixed_router
from support.simulator import simulate
from support.waiting import eventually

SHORT = PollTimeouts(connect=0.5, poll=0.5)
LONG = PollTimeouts(connect=10.0, poll=10.0)
HEALTH = "/system/health/print"


@pytest.fixture
def secrets(tmp_path: Path, simulator: Simulator) -> Path:
    write_secret(tmp_path, simulator.endpoint("router-1"))
    return tmp_path


async def statuses(poller: RunningShard, device: str, count: int) -> list[Event]:
    """Wait for `count` more status events of the device."""
    before = len(poller.of(device, Kind.STATUS))
    events = await eventually(
        lambda: poller.of(device, Kind.STATUS),
        lambda events: len(events) >= before + count,
        what=f"{count} more polls of {device}",
    )
    return events[before:]


async def next_status(poller: RunningShard, device: str, reachability: int) -> Event:
    """Wait for a newer status of this reachability."""
    before = len(poller.of(device, Kind.STATUS))
    events = await eventually(
        lambda: poller.of(device, Kind.STATUS)[before:],
        lambda events: any(one.status.reachability == reachability for one in events),
        what=f"{device} becomes {reachability}",
    )
    return next(one for one in events if one.status.reachability == reachability)


def router_menus(simulator: Simulator, name: str = "router-1") -> dict[str, FixedMenu]:
    router = simulator.device(name).router
    assert isinstance(router, FixedRouter)
    return router.menus


async def test_a_slot_is_polled_once_and_lies_on_the_devices_phase(
    simulator: Simulator, secrets: Path
) -> None:
    record = device_record(simulator.endpoint("router-1"))
    async with running_shard(secrets, record) as poller:
        await statuses(poller, "router-1", 6)

    slots = [event.slot_unix_ms for event in poller.of("router-1", Kind.STATUS)]
    assert len(set(slots)) == len(slots)
    assert len({slot % round(INTERVAL_SECONDS * 1000) for slot in slots}) == 1
    assert len(set(poller.ids)) == len(poller.ids)
    assert simulator.device("router-1").ledger.logins == 1, "one login per connection"


@pytest.mark.parametrize(
    ("rule", "error_class"),
    [
        (FaultRule(Fault.STALL_BEFORE), ErrorClass.ERROR_CLASS_TIMEOUT),
        (FaultRule(Fault.STALL_INSIDE), ErrorClass.ERROR_CLASS_TIMEOUT),
        (FaultRule(Fault.TRICKLE, rate=100), ErrorClass.ERROR_CLASS_TIMEOUT),
        (FaultRule(Fault.CUT), ErrorClass.ERROR_CLASS_DISCONNECTED),
        (FaultRule(Fault.FATAL, message="shutting down"), ErrorClass.ERROR_CLASS_FATAL),
        (
            FaultRule(Fault.TRAP, commands=("/interface/print",)),
            ErrorClass.ERROR_CLASS_TRAP,
        ),
        (FaultRule(Fault.OFFLINE), ErrorClass.ERROR_CLASS_REFUSED),
    ],
    ids=lambda value: value.kind.value if isinstance(value, FaultRule) else "",
)
async def test_a_failed_poll_is_one_status_with_its_reason_and_the_device_recovers(
    simulator: Simulator, secrets: Path, rule: FaultRule, error_class: int
) -> None:
    record = device_record(simulator.endpoint("router-1"))
    timeouts = SHORT if error_class == ErrorClass.ERROR_CLASS_TIMEOUT else LONG
    async with running_shard(secrets, record, timeouts=timeouts) as poller:
        await next_status(poller, "router-1", REACHABILITY_UP)
        simulator.faults.add(rule)
        down = await next_status(poller, "router-1", REACHABILITY_DOWN)
        simulator.faults.replace([])
        up = await next_status(poller, "router-1", REACHABILITY_UP)
        at_slot = [one for one in poller.events if one.event.slot_unix_ms == down.slot_unix_ms]

    assert down.status.error_class == error_class, down.status.error_message
    assert down.status.error_message
    assert [one.subject.kind for one in at_slot] == [Kind.STATUS]
    assert up.status.consecutive_failures == 0


async def test_garbage_breaks_the_protocol_or_stalls_but_gives_no_reading(
    simulator: Simulator, secrets: Path
) -> None:
    record = device_record(simulator.endpoint("router-1"))
    async with running_shard(secrets, record, timeouts=SHORT) as poller:
        await next_status(poller, "router-1", REACHABILITY_UP)
        simulator.faults.add(FaultRule(Fault.GARBAGE))
        down = await next_status(poller, "router-1", REACHABILITY_DOWN)
        simulator.faults.replace([])
        await next_status(poller, "router-1", REACHABILITY_UP)

    assert down.status.error_class in {
        ErrorClass.ERROR_CLASS_PROTOCOL,
        ErrorClass.ERROR_CLASS_TIMEOUT,
        ErrorClass.ERROR_CLASS_DISCONNECTED,
    }


async def test_a_connection_that_ended_while_idle_is_no_failed_poll(
    simulator: Simulator, secrets: Path
) -> None:
    record = device_record(simulator.endpoint("router-1"))
    async with running_shard(secrets, record) as poller:
        for _ in range(3):
            await statuses(poller, "router-1", 2)
            simulator.device("router-1").cut()
        await statuses(poller, "router-1", 2)

    reached = {event.status.reachability for event in poller.of("router-1", Kind.STATUS)}
    assert reached == {REACHABILITY_UP}
    assert simulator.device("router-1").ledger.logins >= 3


async def test_a_wrong_password_is_a_rejected_login(simulator: Simulator, secrets: Path) -> None:
    """It is not tried again (an account could be locked), until the Secret is another one."""
    (secrets / "routers" / "password").write_text("wrong")
    ledger = simulator.device("router-1").ledger
    record = device_record(simulator.endpoint("router-1"))
    async with running_shard(secrets, record, breaker=BreakerPolicy()) as poller:
        down = await next_status(poller, "router-1", REACHABILITY_DOWN)
        await eventually(
            lambda: poller.metric("fleet_poller_slots_held_back_total"),
            lambda held: held >= 5,
            what="slots that are held back",
        )
        assert (ledger.logins, ledger.logins_refused) == (0, 1)
        _, counts, (told,) = poller.shard.figures()
        assert (counts.down, told.secret, told.devices, told.first) == (1, SECRET, 1, "router-1")
        write_secret(secrets, simulator.endpoint("router-1"))
        await next_status(poller, "router-1", REACHABILITY_UP)
        assert poller.shard.figures()[2] == ()

    assert down.status.error_class == ErrorClass.ERROR_CLASS_LOGIN_REJECTED
    assert (ledger.logins, ledger.logins_refused) == (1, 1)


async def test_catching_up_with_a_slot_does_not_cost_the_next(
    simulator: Simulator, secrets: Path
) -> None:
    """A device is taken over late in its interval, and its first poll lasts into the next."""
    simulator.faults.add(FaultRule(Fault.LATENCY, seconds=0.2))
    record = device_record(simulator.endpoint("router-1"), cadence=CadenceSpec(interval=1))
    async with running_shard(secrets) as poller:
        phase = phase_ms(record.device_id, 1000)
        await eventually(
            lambda: (time.time() * 1000 - phase) % 1000,
            lambda after_ms: 750 < after_ms < 850,
            every_seconds=0.01,
            what="late in the interval",
        )
        latest = latest_slot(round(time.time() * 1000), 1000, phase)
        poller.shard.assign({record.device_id: record}, {record.device_id: latest - 1000})
        events = await statuses(poller, "router-1", 4)

    assert [one.slot_unix_ms for one in events[:4]] == [latest + 1000 * n for n in range(4)]
    assert events[0].observed_after_slot_ms > 1000, "the next slot came meanwhile"


async def test_a_missing_secret_is_said_and_stops_nobody_else(
    simulator: Simulator, secrets: Path
) -> None:
    without = device_record(simulator.endpoint("router-2"), credentials_secret="absent")
    async with running_shard(
        secrets,
        device_record(simulator.endpoint("router-1")),
        without,
        breaker=BreakerPolicy(failures_to_open=2, first_wait_ms=600_000),
    ) as poller:
        await statuses(poller, "router-2", 4)
        down = last_of(poller.of("router-2", Kind.STATUS))
        await next_status(poller, "router-1", REACHABILITY_UP)
        write_secret(secrets, simulator.endpoint("router-2"), "absent")
        await next_status(poller, "router-2", REACHABILITY_UP)

    assert down.status.error_class == ErrorClass.ERROR_CLASS_CREDENTIALS_MISSING
    assert "absent/username" in down.status.error_message


async def test_an_absent_menu_is_asked_once_and_again_after_a_reboot(
    simulator: Simulator, secrets: Path
) -> None:
    menus = router_menus(simulator)
    del menus["/system/health"]
    ledger = simulator.device("router-1").ledger
    async with running_shard(secrets, device_record(simulator.endpoint("router-1"))) as poller:
        await statuses(poller, "router-1", 5)
        asked_before = ledger.commands[HEALTH]
        menus["/system/health"] = FixedMenu(
            [{b"name": b"temperature", b"value": b"42", b"type": b"C"}]
        )
        set_uptime(menus, b"5s")
        health = await eventually(
            lambda: poller.of("router-1", Kind.HEALTH),
            lambda events: bool(events and events[-1].health.sensors),
            what="sensors after the reboot",
        )

    assert asked_before == 1
    assert health[0].health.HasField("cpu_load_percent"), "the rest of the health was read"


def set_uptime(menus: dict[str, FixedMenu], printed: bytes) -> None:
    menus["/system/resource"].table[0][b"uptime"] = printed


async def test_a_forbidden_menu_is_named_once_and_the_rest_is_read(
    simulator: Simulator, secrets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    simulator.faults.add(
        FaultRule(Fault.TRAP, commands=(HEALTH,), message="not enough permissions (9)")
    )
    async with running_shard(secrets, device_record(simulator.endpoint("router-1"))) as poller:
        events = await statuses(poller, "router-1", 4)

    assert all(one.status.reachability == REACHABILITY_UP for one in events)
    named = [record for record in caplog.records if "may not read" in record.message]
    assert len(named) == 1
    assert named[0].__dict__["commands"] == (HEALTH,)


async def test_a_reboot_is_said_once_and_reads_inventory_and_firmware_anew(
    simulator: Simulator, secrets: Path
) -> None:
    menus = router_menus(simulator)
    async with running_shard(secrets, device_record(simulator.endpoint("router-1"))) as poller:
        await statuses(poller, "router-1", 2)
        inventories = len(poller.of("router-1", Kind.INVENTORY))
        menus["/system/resource"].table[0][b"version"] = b"7.21 (stable)"
        set_uptime(menus, b"12s")
        await statuses(poller, "router-1", 4)

    rebooted = [one for one in poller.of("router-1", Kind.STATUS) if one.status.rebooted]
    assert len(rebooted) == 1
    assert rebooted[0].status.uptime_seconds == 12
    assert len(poller.of("router-1", Kind.INVENTORY)) == inventories + 1
    firmware = last_of(poller.of("router-1", Kind.FIRMWARE))
    assert firmware.firmware.installed_version == "7.21"
    assert firmware.slot_unix_ms == rebooted[0].slot_unix_ms


async def test_another_set_of_interfaces_brings_its_inventory_in_the_same_poll(
    simulator: Simulator, secrets: Path
) -> None:
    table = router_menus(simulator)["/interface"].table
    async with running_shard(secrets, device_record(simulator.endpoint("router-1"))) as poller:
        await statuses(poller, "router-1", 2)
        table.append({b".id": b"*1F", b"name": b"wg1", b"type": b"wg", b"rx-byte": b"7"})
        added = await eventually(
            lambda: poller.of("router-1", Kind.INVENTORY), lambda events: len(events) == 2
        )
        table[0][b"name"] = b"uplink"
        await eventually(
            lambda: poller.of("router-1", Kind.INVENTORY), lambda events: len(events) == 3
        )
        await statuses(poller, "router-1", 2)

    described = added[1].inventory
    reading = next(
        one
        for one in poller.of("router-1", Kind.INTERFACES)
        if one.slot_unix_ms == added[1].slot_unix_ms
    )
    assert reading.interfaces.inventory_revision == described.revision
    assert list(reading.interfaces.ids) == [one.id for one in described.interfaces]
    assert unpack_totals(reading.interfaces)[0][-1] == 7
    assert len(poller.of("router-1", Kind.INVENTORY)) == 3


async def test_a_link_that_changed_since_the_inventory_travels_with_the_counters(
    simulator: Simulator, secrets: Path
) -> None:
    table = router_menus(simulator)["/interface"].table
    async with running_shard(secrets, device_record(simulator.endpoint("router-1"))) as poller:
        await statuses(poller, "router-1", 2)
        table[2][b"last-link-down-time"] = b"2026-11-24 10:00:00"
        events = await eventually(
            lambda: poller.of("router-1", Kind.INTERFACES),
            lambda events: bool(events and events[-1].interfaces.link_changes),
        )

    assert not events[0].interfaces.link_changes
    (change,) = events[-1].interfaces.link_changes
    assert change.id == 3
    assert change.last_down_router_unix_seconds == 1_795_514_400


async def test_the_breaker_asks_an_absent_router_more_rarely_and_reports_each_probe(
    simulator: Simulator, secrets: Path
) -> None:
    policy = BreakerPolicy(failures_to_open=2, first_wait_ms=1_000, longest_wait_ms=1_000)
    record = device_record(simulator.endpoint("router-1"))
    async with running_shard(secrets, record, timeouts=SHORT, breaker=policy) as poller:
        await statuses(poller, "router-1", 1)
        simulator.faults.add(FaultRule(Fault.OFFLINE))
        await next_status(poller, "router-1", REACHABILITY_DOWN)
        await eventually(
            lambda: poller.metric("fleet_poller_slots_held_back_total"),
            lambda held: held >= 4,
            what="slots are held back",
        )
        await eventually(
            lambda: last_of(poller.of("router-1", Kind.STATUS)).status.consecutive_failures,
            lambda failures: failures >= 4,
            what="probes are reported",
        )
        simulator.faults.replace([])
        up = await next_status(poller, "router-1", REACHABILITY_UP)
        await statuses(poller, "router-1", 3)

    downs = [
        one
        for one in poller.of("router-1", Kind.STATUS)
        if one.status.reachability == REACHABILITY_DOWN
    ]
    failures = [one.status.consecutive_failures for one in downs]
    assert failures == list(range(1, len(downs) + 1))
    assert downs[-1].slot_unix_ms - downs[1].slot_unix_ms >= 400 * (len(downs) - 2)
    assert up.status.consecutive_failures == 0


async def test_routers_that_hang_cost_nobody_else_a_slot(tmp_path: Path) -> None:
    names = [f"hangs-{number}" for number in range(20)]
    routers = [fixed_router(name) for name in [*names, "works"]]
    rule = FaultRule(Fault.STALL_BEFORE, devices=("hangs-*",))
    async with simulate(*routers, faults=[rule]) as simulator:
        write_secret(tmp_path, simulator.endpoint("works"))
        records = [device_record(one) for one in simulator.endpoints]
        async with running_shard(
            tmp_path, *records, timeouts=PollTimeouts(6.0, 6.0), logins=2
        ) as poller:
            await statuses(poller, "works", 1)  # its login has to wait for its turn
            slots = [one.slot_unix_ms for one in await statuses(poller, "works", 20)]

    longest = max(later - earlier for earlier, later in pairwise(slots))
    assert longest < 3_000, "polls that hang for six seconds must not be waited for"


async def test_routers_that_hang_in_the_login_do_not_hold_the_places_of_others(
    tmp_path: Path,
) -> None:
    async with simulate(fixed_router("works")) as simulator, hanging_port() as port:
        endpoint = simulator.endpoint("works")
        write_secret(tmp_path, endpoint)
        hanging = [
            device_record(endpoint, device=f"hangs-{number}", port=port) for number in range(6)
        ]
        async with running_shard(
            tmp_path, *hanging, timeouts=PollTimeouts(60.0, 60.0), logins=2
        ) as poller:
            poller.assign(*hanging, device_record(endpoint))
            await next_status(poller, "works", REACHABILITY_UP)


@asynccontextmanager
async def hanging_port() -> AsyncGenerator[int]:
    """A port that accepts and never answers."""
    open_ends: list[asyncio.StreamWriter] = []

    async def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ends.append(writer)

    port = free_port()
    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield port
    finally:
        for writer in open_ends:
            writer.close()
        server.close()


async def test_a_slot_during_a_long_poll_is_skipped_and_counted(
    simulator: Simulator, secrets: Path
) -> None:
    simulator.faults.add(FaultRule(Fault.LATENCY, seconds=0.5))
    async with running_shard(secrets, device_record(simulator.endpoint("router-1"))) as poller:
        events = await statuses(poller, "router-1", 3)
        busy = poller.metric("fleet_poller_slots_missed_total", reason="busy")

    assert busy >= 3
    assert all(one.status.reachability == REACHABILITY_UP for one in events)
    assert len({one.slot_unix_ms for one in events}) == 3


async def test_a_changed_address_is_connected_to_anew(simulator: Simulator, secrets: Path) -> None:
    first = device_record(simulator.endpoint("router-1"))
    second = simulator.endpoint("router-2")
    async with running_shard(secrets, first) as poller:
        await statuses(poller, "router-1", 2)
        poller.assign(first.model_copy(update={"port": second.port}))
        await eventually(
            lambda: poller.of("router-1", Kind.INVENTORY),
            lambda events: events[-1].inventory.identity == "router-2",
            what="the same device name is read at the new address",
        )
        await eventually(
            lambda: len(simulator.device("router-1").sessions), lambda sessions: sessions == 0
        )


async def test_a_changed_cadence_keeps_the_connection(simulator: Simulator, secrets: Path) -> None:
    record = device_record(simulator.endpoint("router-1"))
    async with running_shard(secrets, record) as poller:
        await statuses(poller, "router-1", 2)
        poller.assign(record.model_copy(update={"cadence": CadenceSpec(interval=0.3)}))
        await statuses(poller, "router-1", 4)

    slots = [one.slot_unix_ms for one in poller.of("router-1", Kind.STATUS)]
    assert (slots[-1] - slots[-2]) % 300 == 0
    assert simulator.device("router-1").ledger.logins == 1
    assert len(poller.of("router-1", Kind.INVENTORY)) == 1


async def test_a_removed_device_is_logged_out_and_silent(
    simulator: Simulator, secrets: Path
) -> None:
    first, second = (device_record(simulator.endpoint(f"router-{n}")) for n in (1, 2))
    async with running_shard(secrets, first, second) as poller:
        await statuses(poller, "router-1", 1)
        await statuses(poller, "router-2", 1)
        poller.assign(second)
        await eventually(
            lambda: len(simulator.device("router-1").sessions), lambda sessions: sessions == 0
        )
        seen = len(poller.of("router-1", Kind.STATUS))
        await statuses(poller, "router-2", 3)
        assert len(poller.of("router-1", Kind.STATUS)) == seen
        assert poller.metric("fleet_poller_assigned_devices", state="assigned") == 1


async def test_stopping_waits_for_the_polls_in_flight(simulator: Simulator, secrets: Path) -> None:
    simulator.faults.add(FaultRule(Fault.LATENCY, seconds=0.4))
    async with running_shard(secrets, device_record(simulator.endpoint("router-1"))) as poller:
        polls = simulator.device("router-1").ledger.commands
        await eventually(lambda: polls["/interface/print"], bool, what="a poll is in flight")
        await poller.shard.stop(5.0)
        seen = len(poller.of("router-1", Kind.STATUS))

    assert seen == polls["/interface/print"], "the poll in flight was finished and published"
    await eventually(
        lambda: len(simulator.device("router-1").sessions), lambda sessions: sessions == 0
    )


async def test_a_router_that_is_away_does_not_make_the_process_unwell(
    simulator: Simulator, secrets: Path
) -> None:
    async with running_shard(secrets, device_record(simulator.endpoint("router-1"))) as poller:
        await statuses(poller, "router-1", 1)
        simulator.faults.add(FaultRule(Fault.OFFLINE))
        await next_status(poller, "router-1", REACHABILITY_DOWN)

        assert poller.shard.why_unwell() is None


@pytest.mark.parametrize(
    ("personality", "package"),
    [
        ("ap-wifi", WirelessPackage.WIRELESS_PACKAGE_WIFI),
        ("ap-wifiwave2", WirelessPackage.WIRELESS_PACKAGE_WIFIWAVE2),
        ("ap-wireless", WirelessPackage.WIRELESS_PACKAGE_WIRELESS),
        ("ap-wireless-v6", WirelessPackage.WIRELESS_PACKAGE_WIRELESS),
        ("capsman", WirelessPackage.WIRELESS_PACKAGE_CAPSMAN),
        ("capsman-v6", WirelessPackage.WIRELESS_PACKAGE_CAPSMAN),
        ("capsman-wifi", WirelessPackage.WIRELESS_PACKAGE_WIFI_CAPSMAN),
    ],
)
async def test_each_wireless_package_is_found_and_read(
    tmp_path: Path, personality: str, package: int
) -> None:
    router = build_router(3, "ap-1", personality=personality)
    async with simulate(router) as simulator:
        write_secret(tmp_path, simulator.endpoint("ap-1"))
        async with running_shard(tmp_path, device_record(simulator.endpoint("ap-1"))) as poller:
            await statuses(poller, "ap-1", 2)
            wireless = last_of(poller.of("ap-1", Kind.WIRELESS)).wireless

    assert wireless.package == package
    assert wireless.radios
    if package != WirelessPackage.WIRELESS_PACKAGE_CAPSMAN:  # has it in the configuration only
        assert all(radio.ssid for radio in wireless.radios if radio.running)
    assert all(radio.frequency_mhz > 2000 for radio in wireless.radios if radio.running)
    assert wireless.clients, "the simulated access point has clients"
    for client in wireless.clients:
        assert client.interface in {radio.interface for radio in wireless.radios}
        assert -120 < client.signal_dbm < 0
        assert client.tx_rate_bits_per_second >= 1_000_000


@pytest.mark.parametrize("personality", ["core", "core-v6", "switch", "switch-v6", "chr", "chr-v6"])
async def test_routers_without_radios_have_no_wireless_events(
    tmp_path: Path, personality: str
) -> None:
    router = build_router(3, "box-1", personality=personality, interfaces=None)
    async with simulate(router) as simulator:
        write_secret(tmp_path, simulator.endpoint("box-1"))
        async with running_shard(tmp_path, device_record(simulator.endpoint("box-1"))) as poller:
            await statuses(poller, "box-1", 3)
            sensors = last_of(poller.of("box-1", Kind.HEALTH)).health.sensors

    assert poller.kinds("box-1") == {
        Kind.STATUS, Kind.HEALTH, Kind.INTERFACES, Kind.FIRMWARE, Kind.INVENTORY,
    }  # fmt: skip
    assert bool(sensors) is not personality.startswith("chr")
    described = last_of(poller.of("box-1", Kind.INVENTORY)).inventory
    assert described.cpu_count >= 1
    assert any(one.link_rate_bits_per_second for one in described.interfaces)


async def test_a_huge_table_is_read_or_refused_but_never_partly(tmp_path: Path) -> None:
    async with simulate(fixed_router()) as simulator:
        write_secret(tmp_path, simulator.endpoint("router-1"))
        simulator.faults.add(FaultRule(Fault.HUGE, commands=("/interface/print",), rows=3_000))
        record = device_record(simulator.endpoint("router-1"), cadence=CadenceSpec(interval=2))
        async with running_shard(tmp_path, record, timeouts=PollTimeouts(5, 20)) as poller:
            events = await eventually(
                lambda: poller.of("router-1", Kind.INTERFACES), bool, deadline_seconds=30
            )
            assert len(events[0].interfaces.ids) >= 3_000


async def test_nothing_listening_is_refused_until_something_does(tmp_path: Path) -> None:
    async with simulate(fixed_router()) as simulator:
        endpoint = simulator.endpoint("router-1")
        write_secret(tmp_path, endpoint)
        nowhere = device_record(endpoint, port=free_port())
        async with running_shard(tmp_path, nowhere) as poller:
            down = await next_status(poller, "router-1", REACHABILITY_DOWN)
            poller.assign(device_record(endpoint))
            await next_status(poller, "router-1", REACHABILITY_UP)

    assert down.status.error_class == ErrorClass.ERROR_CLASS_REFUSED
    assert down.status.consecutive_failures == 1
