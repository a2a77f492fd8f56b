import asyncio
import time

from fleet_simulator.clock import VirtualClock
from fleet_simulator.reboots import hang_up_at_reboots
from fleet_simulator.server import Place, running_simulator
from fleet_simulator.world.fleet import build_router
from support.ports import free_port
from support.rawapi import raw_api
from support.waiting import eventually


async def test_a_scheduled_reboot_ends_the_sessions_and_begins_the_counters_anew() -> None:
    started = time.time()
    router = build_router(3, "rtr-001", started=started)
    clock = VirtualClock(started)
    async with running_simulator([router], [Place("127.0.0.1", free_port())], clock=clock) as sim:
        device = sim.device("rtr-001")
        task = asyncio.create_task(hang_up_at_reboots([(router, device)], clock))
        boot = router.next_boot(clock.now())
        async with raw_api(sim.endpoint("rtr-001")) as client:
            clock.advance(boot - clock.now() + 1)
            assert await client.closed() == b""
        await eventually(lambda: device.ledger.reboots, lambda count: count == 1)
        assert router.booted(clock.now()) == boot
        task.cancel()
