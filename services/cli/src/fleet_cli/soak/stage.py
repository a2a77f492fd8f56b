"""The processes of a soak run: nats-server, PostgreSQL, metrics-writer, gateway, simulator."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
from nats.aio.client import Client
from nats.js import JetStreamContext
from pydantic import SecretStr

from fleet_cli.console import RunConsole
from fleet_cli.environment import FIRMWARE, GATEWAY, SIMULATOR, WRITER, Wiring
from fleet_cli.folder import DataFolder, load_kept, open_folder
from fleet_cli.foundation import PortBook
from fleet_cli.log_lines import readable_end
from fleet_cli.nats_process import NAME as NATS
from fleet_cli.nats_process import NatsPlan, nats_spec, wait_for_nats
from fleet_cli.ports import LOOPBACK
from fleet_cli.postgres_process import NAME as POSTGRES
from fleet_cli.postgres_process import PostgresPlan, prepare_postgres, wait_for_postgres
from fleet_cli.processes import ProcessSpec
from fleet_cli.services import SimulatorPlan, reader_specs, simulator_spec
from fleet_cli.soak.options import SoakOptions
from fleet_cli.soak.waiting import until
from fleet_cli.supervisor import Supervisor
from fleet_common.broker import close, connect, jetstream
from fleet_common.errors import TransientError
from fleet_common.settings import NatsSection

_READY_SECONDS: Final = 60.0
_STILL: Final = "0.001"
"""The simulator's slowest clock: the soak moves it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs, and how to reach it."""

    supervisor: Supervisor
    folder: DataFolder
    ports: PortBook
    wiring: Wiring
    nats: NatsSection
    client: Client
    js: JetStreamContext
    http: httpx.AsyncClient

    @property
    def nats_pid(self) -> int | None:
        """The server's pid; None while it is down."""
        return self.supervisor.pid(NATS)

    @property
    def events_url(self) -> str:
        """The gateway's event stream."""
        return f"http://{LOOPBACK}:{self.wiring.gateway_port}/api/v1/events"

    def admin_url(self, name: str) -> str:
        """Where a service serves /healthz and /metrics."""
        return f"http://{LOOPBACK}:{self.wiring.admin_ports[name]}"

    async def start_readers(self) -> None:
        """Writer and gateway; the streams are declared by now."""
        for spec in reader_specs(self.folder, self.wiring):
            if spec.name in {WRITER, GATEWAY}:
                await self.supervisor.start(spec)
        await self._until_ready(WRITER)
        await self._until_ready(GATEWAY)

    async def start_simulator(self, options: SoakOptions, start_ms: int) -> "SimulatorStage":
        """The routers behind the RouterOS protocol, at the virtual time, standing still."""
        plan = SimulatorPlan(
            devices=options.devices,
            tenants=options.tenants,
            seed=options.seed,
            base_port=self.ports.give_range("routers", options.devices),
            admin_port=self.ports.give(SIMULATOR),
            upgrade_port=self.ports.give("upgrade-host"),
            directory=self.folder / "simulator",
        )
        spec = simulator_spec(self.folder, plan)
        start = datetime.fromtimestamp(start_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        command = (*spec.command, "--start", start, "--time-scale", _STILL)
        await self.supervisor.start(ProcessSpec(spec.name, command, spec.log, spec.environment))
        if not await until(plan.fleet_file.exists, _READY_SECONDS):
            raise self._late(SIMULATOR)
        # The file says that the routers listen; the clock's port opens a moment later.
        await self._until_answers(SIMULATOR, f"http://{LOOPBACK}:{plan.admin_port}/healthz")
        return SimulatorStage(plan, self.http, self.supervisor)

    async def _until_ready(self, name: str) -> None:
        await self._until_answers(name, f"{self.admin_url(name)}/readyz")

    async def _until_answers(self, name: str, url: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                answer = await self.http.get(url, timeout=2)
                if answer.is_success:
                    return
            await asyncio.sleep(0.1)
        raise self._late(name)

    def _late(self, name: str) -> TransientError:
        shown = readable_end(self.folder.log(name))
        return TransientError(
            f"{name} was not ready within {_READY_SECONDS:g} s; its log ends with:\n{shown}"
        )


@dataclass(frozen=True, slots=True)
class SimulatorStage:
    """The simulator; its clock stands unless moved."""

    plan: SimulatorPlan
    _http: httpx.AsyncClient
    _supervisor: Supervisor

    async def advance(self, seconds: float) -> None:
        """Move its clock. Raises TransientError."""
        url = f"http://{LOOPBACK}:{self.plan.admin_port}/clock"
        try:
            answer = await self._http.post(url, json={"advance_seconds": seconds}, timeout=10)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise TransientError(f"the simulator's clock: {error}") from error

    async def stop(self) -> None:
        """End it."""
        await self._supervisor.stop([SIMULATOR])


@contextlib.asynccontextmanager
async def open_stage(path: Path, limit_bytes: int, console: RunConsole) -> AsyncGenerator[Stage]:
    """NATS and PostgreSQL in a fresh folder; whatever was started ends with the block."""
    folder = open_folder(path)
    kept = load_kept(folder)
    ports = PortBook(folder, kept)
    nats = NatsPlan(ports.give(NATS), kept.nats_token, limit_bytes)
    postgres = PostgresPlan(ports.give(POSTGRES), kept.database_password)
    admin_ports = {name: ports.give(name) for name in (WRITER, GATEWAY, FIRMWARE)}
    wiring = Wiring(nats, postgres, ports.give("page"), folder / "credentials", None, admin_ports)
    supervisor = Supervisor(folder, console.warn)
    try:
        await supervisor.start(nats_spec(folder, nats))
        await wait_for_nats(folder, nats.port)
        await supervisor.start(await prepare_postgres(folder, postgres))
        await wait_for_postgres(folder, postgres)
        settings = NatsSection(url=nats.url, token=SecretStr(nats.token))
        client = await connect(settings, "routerfleet-soak")
        async with httpx.AsyncClient() as http:
            try:
                js = jetstream(client, settings)
                yield Stage(supervisor, folder, ports, wiring, settings, client, js, http)
            finally:
                await close(client)
    finally:
        await supervisor.kill_all()
