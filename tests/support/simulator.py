"""Running simulators for tests.

Use the `simulator` fixture (two devices of a known content) or `simulate(...)` for your own:

    async with simulate(fixed_router("core-1"), fixed_router("old-1", version=(6, 40, 9))) as sim:
        endpoint = sim.endpoint("core-1")          # address, port, username, password, tls
        sim.faults.add(FaultRule(Fault.STALL_INSIDE, devices=("core-1",)))
        sim.device("core-1").ledger.polls          # what the device really answered
        sim.clock.advance(3600)

Devices with metrics that move: `fleet_simulator.world.build_fleet(...)` instead of
`fixed_router`. Everything runs in the test's event loop; a blocking client belongs in
`asyncio.to_thread`.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

import pytest_asyncio

from fleet_simulator.clock import VirtualClock
from fleet_simulator.device import DEFAULT_MAX_SESSIONS, FleetRouter, TlsMode
from fleet_simulator.faults import FaultBook, FaultRule
from fleet_simulator.server import Place, Simulator, running_simulator
from support.ports import free_port
from support.routers import fixed_router


@asynccontextmanager
async def simulate(
    *routers: FleetRouter,
    faults: Iterable[FaultRule] = (),
    clock: VirtualClock | None = None,
    max_sessions: int = DEFAULT_MAX_SESSIONS,
    seed: int = 1,
) -> AsyncGenerator[Simulator]:
    """Serve the routers on free loopback ports, plainly."""
    places = [Place("127.0.0.1", free_port(), TlsMode.NONE) for _ in routers]
    async with running_simulator(
        routers,
        places,
        clock=clock,
        faults=FaultBook(faults),
        max_sessions=max_sessions,
        seed=seed,
    ) as running:
        yield running


@pytest_asyncio.fixture
async def simulator() -> AsyncGenerator[Simulator]:
    """Two devices: `router-1` with RouterOS 7.20.1 and `router-2` with 6.49.10."""
    new, old = fixed_router("router-1"), fixed_router("router-2", version=(6, 49, 10))
    async with simulate(new, old) as running:
        yield running
