"""Composition root: a world, its places, the servers, the files, until told to stop."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn

from fleet_common.admin import EmbeddedServer, serve_until_stopped
from fleet_common.health import Health
from fleet_simulator.admin import admin_app
from fleet_simulator.certificates import Authority
from fleet_simulator.clock import VirtualClock
from fleet_simulator.device import DEFAULT_MAX_SESSIONS
from fleet_simulator.faults import FaultBook, FaultRule
from fleet_simulator.fleet_file import write_credentials, write_fleet_file, write_manifests
from fleet_simulator.metrics import SimulatorMetrics
from fleet_simulator.places import PlacePlan, give_places
from fleet_simulator.reboots import hang_up_at_reboots
from fleet_simulator.server import Simulator, running_simulator
from fleet_simulator.upgrade_host import running_upgrade_host
from fleet_simulator.world import FLEET_MIX, build_fleet

_HEARTBEAT_SECONDS: Final = 1.0
_HEARTBEAT_LIMIT_SECONDS: Final = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What the simulator is to do; `started` is the virtual time at the start, Unix seconds."""

    tenants: tuple[str, ...]
    devices: int
    places: PlacePlan
    seed: int = 0
    started: float | None = None
    time_scale: float = 1.0
    mix: tuple[str, ...] = tuple(FLEET_MIX)
    interfaces: int | None = None
    max_sessions: int = DEFAULT_MAX_SESSIONS
    faults: tuple[FaultRule, ...] = ()
    fleet_file: Path | None = None
    credentials_dir: Path | None = None
    manifest_file: Path | None = None
    admin_host: str = "127.0.0.1"
    admin_port: int | None = None
    upgrade_host_port: int | None = None


async def run(
    options: Options, stop: asyncio.Event, announce: Callable[[Sequence[str]], None]
) -> None:
    """Serve until `stop`; `announce` gets the lines that tell a person where everything is.

    Raises PlaceError, ValueError, OSError or ConfigurationError when it cannot start.
    """
    started = time.time() if options.started is None else options.started
    routers = build_fleet(
        options.seed,
        options.tenants,
        options.devices,
        started=started,
        mix=options.mix,
        interfaces=options.interfaces,
    )
    authority = Authority()
    places = give_places(routers, options.places, authority)
    health = Health()
    clock = VirtualClock(started, options.time_scale)
    async with contextlib.AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            running_simulator(
                routers,
                places,
                clock=clock,
                faults=FaultBook(options.faults),
                max_sessions=options.max_sessions,
                seed=options.seed,
            )
        )
        lines = _lines(simulator, options)
        if options.upgrade_host_port is not None:
            host = await stack.enter_async_context(running_upgrade_host(options.upgrade_host_port))
            lines.append(f"upgrade host: {host.base_url}")
        if options.credentials_dir is not None:
            write_credentials(
                options.credentials_dir, simulator.endpoints, authority.certificate_pem
            )
        if options.manifest_file is not None:
            write_manifests(options.manifest_file, simulator.endpoints, authority.certificate_pem)
        if options.fleet_file is not None:
            write_fleet_file(options.fleet_file, simulator.endpoints)
        announce(lines)
        fleet = [(one, simulator.device(f"{one.tenant}/{one.name}")) for one in routers]
        async with asyncio.TaskGroup() as tasks:
            reboots = tasks.create_task(hang_up_at_reboots(fleet, clock), name="reboots")
            tasks.create_task(_beat(health, stop), name="heartbeat")
            if options.admin_port is not None:
                tasks.create_task(_serve_admin(simulator, health, options, stop), name="admin")
            health.set_ready(ready=True)
            await stop.wait()
            health.set_ready(ready=False)
            reboots.cancel()


async def _beat(health: Health, stop: asyncio.Event) -> None:
    """The event loop turns: what serves thousands of devices is well when it does."""
    progress = health.progress("event-loop", _HEARTBEAT_LIMIT_SECONDS)
    while not stop.is_set():
        progress.beat()
        try:
            async with asyncio.timeout(_HEARTBEAT_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue


async def _serve_admin(
    simulator: Simulator, health: Health, options: Options, stop: asyncio.Event
) -> None:
    health.register("listeners", lambda: _missing_listeners(simulator))
    config = uvicorn.Config(
        admin_app(simulator, health, SimulatorMetrics(simulator)),
        host=options.admin_host,
        port=options.admin_port or 0,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    await serve_until_stopped(EmbeddedServer(config), stop, "--admin-port")


def _missing_listeners(simulator: Simulator) -> str | None:
    """A device that no fault keeps away but that does not listen."""
    missing = [
        key
        for key, listener in simulator.listeners.items()
        if not listener.listening and not listener.device.closed
    ]
    return f"{len(missing)} devices do not listen, e.g. {missing[0]}" if missing else None


def _lines(simulator: Simulator, options: Options) -> list[str]:
    endpoints = simulator.endpoints
    lines = [f"{len(endpoints)} devices of {len(options.tenants)} tenants, seed {options.seed}"]
    for tenant in options.tenants:
        own = [endpoint for endpoint in endpoints if endpoint.tenant == tenant]
        if own:
            first, last = own[0], own[-1]
            lines.append(
                f"  {tenant}: {len(own)} devices on "
                f"{first.address}:{first.port} to {last.address}:{last.port}"
            )
    if options.fleet_file is not None:
        lines.append(f"fleet file: {options.fleet_file}")
    if options.credentials_dir is not None:
        lines.append(f"credentials: {options.credentials_dir}")
    if options.admin_port is not None:
        lines.append(f"ledger and faults: http://{options.admin_host}:{options.admin_port}/ledger")
    if options.time_scale != 1:
        lines.append(f"time runs {options.time_scale:g} times as fast")
    return lines
