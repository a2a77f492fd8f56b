"""Everything below the services: folder, ports, NATS, PostgreSQL, and the fleet's source."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nats.aio.client import Client
from nats.js import JetStreamContext
from pydantic import SecretStr

from fleet_cli.environment import FIRMWARE, GATEWAY, RUNNER, SIMULATOR, WRITER, Wiring, poller_name
from fleet_cli.fleets import FleetSource
from fleet_cli.folder import DataFolder, Kept, load_kept, write_kept
from fleet_cli.log_lines import readable_end
from fleet_cli.nats_process import NAME as NATS
from fleet_cli.nats_process import NatsPlan, nats_spec, wait_for_nats
from fleet_cli.options import DEFAULT_INTERVAL_SECONDS, DemoOptions
from fleet_cli.ports import LOOPBACK, choose_port, choose_range, is_free
from fleet_cli.postgres_process import NAME as POSTGRES
from fleet_cli.postgres_process import PostgresPlan, prepare_postgres, wait_for_postgres
from fleet_cli.services import SimulatorPlan, simulator_spec
from fleet_cli.supervisor import Supervisor
from fleet_common.broker import connect, jetstream
from fleet_common.errors import ConfigurationError, TransientError
from fleet_common.settings import NatsSection

_SIMULATOR_SECONDS: Final = 60.0
_PAGE: Final = "page"


class PortBook:
    """Gives each process its port, the same as last time where that is free."""

    def __init__(self, folder: DataFolder, kept: Kept) -> None:
        self._folder = folder
        self._kept = kept
        self._given: dict[str, int] = {}
        self._taken: set[int] = set()

    def give(self, name: str, asked: int | None = None) -> int:
        """The port of a process. Raises ConfigurationError when the one asked for is taken."""
        if asked is not None and (asked in self._taken or not is_free(asked)):
            raise ConfigurationError(
                f"port {asked} (for {name}) is taken on {LOOPBACK}; choose another, or leave "
                "the option away and a free one is found"
            )
        port = asked or choose_port(name, str(self._folder.path), self._kept.ports, self._taken)
        self._given[name] = port
        self._taken.add(port)
        return port

    def give_range(self, name: str, count: int) -> int:
        """The first port of a row."""
        first = choose_range(name, str(self._folder.path), count, self._kept.ports, self._taken)
        self._given[name] = first
        self._taken.update(range(first, first + count))
        return first

    def keep(self) -> None:
        """Remember all ports given so far."""
        ports = {**self._kept.ports, **self._given}
        self._kept = self._kept.model_copy(update={"ports": ports})
        write_kept(self._folder, self._kept)


@dataclass(frozen=True, slots=True)
class Foundation:
    """What stands when the services can be started."""

    folder: DataFolder
    ports: PortBook
    wiring: Wiring
    source: FleetSource
    simulator: SimulatorPlan | None
    client: Client
    js: JetStreamContext

    @property
    def page_url(self) -> str:
        """Where the live page is."""
        return f"http://{LOOPBACK}:{self.wiring.gateway_port}/"

    def add_poller(self, tenant: str, shard: str) -> None:
        """Give a shard's process its admin port."""
        name = poller_name(tenant, shard)
        if name not in self.wiring.admin_ports:
            self.wiring.admin_ports[name] = self.ports.give(name)
            self.ports.keep()


async def lay_foundation(
    options: DemoOptions, folder: DataFolder, supervisor: Supervisor, say: Callable[[str], None]
) -> Foundation:
    """Start NATS, PostgreSQL and the simulator at the same time and wait for each.

    Raises ConfigurationError or TransientError with the cause; what was started stays with
    the supervisor, for its owner to end.
    """
    kept = load_kept(folder)
    largest = max(kept.largest_budget, options.budget_bytes)
    kept = kept.model_copy(update={"largest_budget": largest})
    ports = PortBook(folder, kept)
    nats = NatsPlan(
        ports.give(NATS, options.nats_port),
        kept.nats_token,
        kept.largest_budget,
        options.nats_through,
    )
    postgres = PostgresPlan(
        ports.give(POSTGRES, options.database_port),
        kept.database_password,
        options.database_through,
    )
    page_port = ports.give(_PAGE, options.page_port)
    admin_ports = {name: ports.give(name) for name in (WRITER, GATEWAY, FIRMWARE, RUNNER)}
    simulator = _simulator_plan(options, folder, ports) if options.simulated else None
    ports.keep()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_start_nats(folder, supervisor, nats))
        tasks.create_task(_start_postgres(folder, supervisor, postgres, say))
        if simulator is not None:
            tasks.create_task(_start_simulator(folder, supervisor, simulator))
    source = _source(options, simulator)
    upgrade_url = simulator.upgrade_url if simulator is not None else None
    settings = NatsSection(url=nats.url, token=SecretStr(nats.token))
    client = await connect(settings, "routerfleet-demo")
    return Foundation(
        folder=folder,
        ports=ports,
        wiring=Wiring(
            nats, postgres, page_port, source.credentials_directory, upgrade_url, admin_ports
        ),
        source=source,
        simulator=simulator,
        client=client,
        js=jetstream(client, settings),
    )


def _simulator_plan(options: DemoOptions, folder: DataFolder, ports: PortBook) -> SimulatorPlan:
    admin, upgrade = ports.give(SIMULATOR), ports.give("upgrade-host")
    return SimulatorPlan(
        devices=options.devices,
        tenants=options.tenants,
        seed=options.seed,
        base_port=ports.give_range("routers", options.devices),
        admin_port=admin,
        upgrade_port=upgrade,
        directory=folder / "simulator",
    )


def _source(options: DemoOptions, simulator: SimulatorPlan | None) -> FleetSource:
    if simulator is not None:
        return FleetSource(
            simulator.fleet_file,
            simulator.credentials_directory,
            options.interval or DEFAULT_INTERVAL_SECONDS,
        )
    return fleet_source(options)


def fleet_source(options: DemoOptions) -> FleetSource:
    """The source of real fleets; credentials lie in `credentials` beside the file by default."""
    if options.fleet_file is None:
        raise ValueError("no fleet file was given")
    file = options.fleet_file.absolute()
    directory = options.credentials_dir or file.parent / "credentials"
    return FleetSource(file, directory.absolute(), options.interval)


async def _start_nats(folder: DataFolder, supervisor: Supervisor, plan: NatsPlan) -> None:
    await supervisor.start(nats_spec(folder, plan))
    await wait_for_nats(folder, plan.port)


async def _start_postgres(
    folder: DataFolder, supervisor: Supervisor, plan: PostgresPlan, say: Callable[[str], None]
) -> None:
    if not (folder / "postgres").exists():
        say("making the database (first start only)")
    await supervisor.start(await prepare_postgres(folder, plan))
    await wait_for_postgres(folder, plan)


async def _start_simulator(folder: DataFolder, supervisor: Supervisor, plan: SimulatorPlan) -> None:
    await supervisor.start(simulator_spec(folder, plan))
    try:
        async with asyncio.timeout(_SIMULATOR_SECONDS):
            while True:
                if plan.fleet_file.exists():
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        shown = readable_end(folder.log(SIMULATOR))
        raise TransientError(
            f"the simulator did not start within {_SIMULATOR_SECONDS:g} s; its log "
            f"({folder.log(SIMULATOR)}) ends with:\n{shown}"
        ) from None
