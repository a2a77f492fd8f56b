"""The whole process: assignments in, events on a real JetStream out."""

import asyncio
from pathlib import Path

import pytest
from nats.js.errors import KeyNotFoundError

from fleet_common.broker import declare_bucket
from fleet_common.liveness import Beat
from fleet_contracts.streams import SHARDS_BUCKET
from fleet_contracts.subjects import Kind
from fleet_simulator.faults import Fault, FaultRule
from fleet_simulator.server import Simulator
from support.nats import NatsServer
from support.poller_process import fleet_broker, poller_process
from support.pollers import device_record, write_secret
from support.ports import free_port
from support.routers import fixed_router
from support.simulator import simulate
from support.waiting import eventually


@pytest.fixture
def secrets(tmp_path: Path, simulator: Simulator) -> Path:
    directory = tmp_path / "secrets"
    write_secret(directory, simulator.endpoint("router-1"))
    return directory


async def test_events_of_a_simulated_router_reach_the_stream(
    nats_server: NatsServer, simulator: Simulator, secrets: Path
) -> None:
    async with fleet_broker(nats_server, "alpha") as broker:
        await broker.assign([device_record(simulator.endpoint("router-1"))])
        with poller_process(nats_server, "alpha", secrets) as poller:
            events = await eventually(
                lambda: broker.events("router-1"),
                lambda events: sum(one.subject.kind is Kind.STATUS for one in events) >= 3,
                what="three polls",
            )
            code, _ = await poller.terminate(10)

    kinds = {one.subject.kind for one in events}
    assert kinds == {Kind.STATUS, Kind.HEALTH, Kind.INTERFACES, Kind.FIRMWARE, Kind.INVENTORY}
    inventory = next(one.event for one in events if one.subject.kind is Kind.INVENTORY)
    assert inventory.inventory.identity == "router-1"
    interfaces = next(one.event for one in events if one.subject.kind is Kind.INTERFACES)
    assert interfaces.interfaces.inventory_revision == inventory.inventory.revision
    assert code == 0, poller.tail()


async def test_beats_tell_how_the_shard_is_doing(
    nats_server: NatsServer, simulator: Simulator, secrets: Path
) -> None:
    nobody = device_record(simulator.endpoint("router-2")).model_copy(update={"port": free_port()})
    async with fleet_broker(nats_server, "alpha") as broker:
        signs = await declare_bucket(broker.js, SHARDS_BUCKET, 1024 * 1024)
        await broker.assign([device_record(simulator.endpoint("router-1")), nobody])

        async def beat() -> Beat | None:
            try:
                entry = await signs.get("alpha.shard-0")
            except KeyNotFoundError:
                return None
            return Beat.model_validate_json(entry.value or b"")

        with poller_process(nats_server, "alpha", secrets):
            found = await eventually(
                beat,
                lambda one: one is not None and one.cpu_ratio is not None and one.devices_up == 1,
                deadline_seconds=20,
                what="a beat with all figures",
            )
    assert found is not None
    assert (found.devices, found.devices_up, found.devices_down) == (2, 1, 1)
    assert 0 < (found.cpu_ratio or 0) < 1
    assert 0 <= (found.slot_lag_seconds or 0) < 5


async def test_the_fleet_changes_while_the_process_runs(
    nats_server: NatsServer, simulator: Simulator, secrets: Path
) -> None:
    first = device_record(simulator.endpoint("router-1"))
    second = device_record(simulator.endpoint("router-2"))
    async with fleet_broker(nats_server, "alpha") as broker:
        await broker.assign([first])
        with poller_process(nats_server, "alpha", secrets):
            await eventually(lambda: broker.events("router-1"), bool, what="the first device")
            await broker.assign([second])
            await eventually(lambda: broker.events("router-2"), bool, what="the added device")
            await eventually(
                lambda: len(simulator.device("router-1").sessions),
                lambda sessions: sessions == 0,
                what="the removed device's session ends",
            )
            before = len(await broker.events("router-1", Kind.STATUS))
            more = len(await broker.events("router-2", Kind.STATUS)) + 3
            await eventually(
                lambda: broker.events("router-2", Kind.STATUS), lambda events: len(events) >= more
            )
            assert len(await broker.events("router-1", Kind.STATUS)) == before


async def test_the_process_outlives_a_broker_restart_and_loses_nothing(
    nats_server: NatsServer, simulator: Simulator, secrets: Path
) -> None:
    async with fleet_broker(nats_server, "alpha") as broker:
        await broker.assign([device_record(simulator.endpoint("router-1"))])
        with poller_process(nats_server, "alpha", secrets) as poller:
            await eventually(lambda: broker.events("router-1"), bool)
            nats_server.kill()
            polls = simulator.device("router-1").ledger.polls
            await eventually(
                lambda: simulator.device("router-1").ledger.polls,
                lambda seen: seen >= polls + 5,
                what="polling goes on without a broker",
            )
            await eventually(
                lambda: poller.metric("fleet_poller_buffer_messages"),
                lambda waiting: waiting >= 10,
                what="events wait in the buffer",
            )
            nats_server.start()
            await eventually(
                lambda: poller.metric("fleet_poller_buffer_messages"),
                lambda waiting: waiting == 0,
                what="the buffer empties",
            )
            slots = [one.event.slot_unix_ms for one in await broker.events("router-1", Kind.STATUS)]
            dropped = await poller.metric(
                'fleet_poller_events_dropped_total{kind="status",reason="buffer_full"}'
            )

            missed = sum(
                [
                    await poller.metric(f'fleet_poller_slots_missed_total{{reason="{reason}"}}')
                    for reason in ("late", "busy")
                ]
            )

    assert dropped == 0
    assert len(set(slots)) == len(slots), "a slot was stored twice"
    missing = (max(slots) - min(slots)) // 200 + 1 - len(slots)
    assert missing <= missed, "a slot is missing that nobody counted"


async def test_a_missing_stream_is_waited_for(
    nats_server: NatsServer, simulator: Simulator, secrets: Path
) -> None:
    async with fleet_broker(nats_server, "beta") as broker:
        record = device_record(simulator.endpoint("router-1"), tenant="alpha")
        broker.tenant = record.tenant_id
        await broker.assign([record])
        with poller_process(nats_server, "alpha", secrets) as poller:
            await eventually(
                lambda: poller.metric('fleet_poller_publish_retries_total{reason="no_stream"}'),
                lambda retries: retries > 0,
                what="publishes without a stream are retried",
            )
            await broker.declare_stream()
            events = await eventually(lambda: broker.events("router-1"), bool)

    assert events[0].subject.kind is Kind.INVENTORY, "the order of publishing is kept"


async def test_a_full_buffer_drops_the_oldest_and_counts_them(
    nats_server: NatsServer, simulator: Simulator, secrets: Path
) -> None:
    async with fleet_broker(nats_server, "alpha") as broker:
        await broker.assign([device_record(simulator.endpoint("router-1"))])
        with poller_process(nats_server, "alpha", secrets, buffer_messages="6") as poller:
            await eventually(lambda: broker.events("router-1"), bool)
            nats_server.kill()
            await eventually(
                lambda: poller.metric(
                    'fleet_poller_events_dropped_total{kind="status",reason="buffer_full"}'
                ),
                lambda dropped: dropped >= 3,
                what="drops are counted",
            )
            assert await poller.metric("fleet_poller_buffer_messages") <= 6
            nats_server.start()
            seen = await broker.stored()
            await eventually(broker.stored, lambda stored: stored > seen, what="events flow again")


async def test_sigterm_finishes_logs_out_flushes_and_exits_in_time(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    slow = fixed_router("slow")
    async with (
        simulate(slow, fixed_router("quick")) as sim,
        fleet_broker(nats_server, "alpha") as broker,
    ):
        secrets = tmp_path / "secrets"
        write_secret(secrets, sim.endpoint("slow"))
        await broker.assign([device_record(sim.endpoint(name)) for name in ("slow", "quick")])
        with poller_process(nats_server, "alpha", secrets) as poller:
            for name in ("slow", "quick"):
                await eventually(lambda name=name: broker.events(name), bool)
            sim.faults.add(FaultRule(Fault.STALL_INSIDE, devices=("slow",)))
            struck = sim.device("slow").ledger.faults
            await eventually(lambda: struck[Fault.STALL_INSIDE], bool, what="a poll hangs")
            code, seconds = await poller.terminate(10)

            assert code == 0, poller.tail()
            assert seconds < 9.5
            assert not sim.device("quick").sessions
            stored = await broker.events("quick", Kind.STATUS)
            assert len(stored) >= sim.device("quick").ledger.polls


async def test_a_shard_that_ends_polls_on_until_others_have_its_devices(
    nats_server: NatsServer, simulator: Simulator, secrets: Path
) -> None:
    async with fleet_broker(nats_server, "alpha") as broker:
        signs = await declare_bucket(broker.js, SHARDS_BUCKET, 1024 * 1024)
        await broker.assign([device_record(simulator.endpoint("router-1"))])

        async def beat() -> Beat:
            return Beat.model_validate_json((await signs.get("alpha.shard-0")).value or b"")

        with poller_process(nats_server, "alpha", secrets, leave_seconds="30") as poller:
            await eventually(lambda: broker.events("router-1"), bool)
            ending = asyncio.create_task(poller.terminate(10))
            await eventually(beat, lambda one: one.leaving, what="a beat that it leaves")
            polls = simulator.device("router-1").ledger.polls
            await eventually(
                lambda: simulator.device("router-1").ledger.polls,
                lambda seen: seen >= polls + 5,
                what="polling goes on",
            )
            await broker.assign([])
            code, _ = await ending
            last = await beat()

    assert code == 0, poller.tail()
    assert last.revision == broker.revision, "it said that it polls them no more"
    assert not simulator.device("router-1").sessions


async def test_sigterm_while_the_broker_is_away_exits_in_time(
    nats_server: NatsServer, simulator: Simulator, secrets: Path
) -> None:
    async with fleet_broker(nats_server, "alpha") as broker:
        await broker.assign([device_record(simulator.endpoint("router-1"))])
        with poller_process(nats_server, "alpha", secrets) as poller:
            await eventually(lambda: broker.events("router-1"), bool)
            nats_server.kill()
            await eventually(
                lambda: poller.metric("fleet_poller_buffer_messages"),
                bool,
                what="an event waits for the broker",
            )
            code, seconds = await poller.terminate(10)

    assert code == 0, poller.tail()
    assert seconds < 9.5
    assert "events left unpublished" in poller.tail()


async def test_a_bad_setting_is_named_and_nothing_starts(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    with poller_process(nats_server, "Not-A-Label", tmp_path / "secrets") as poller:
        code = await poller.exit_code()

    assert code == 2
    assert "FLEET_POLLER__TENANT" in poller.tail()
    assert "DNS-1123" in poller.tail()
