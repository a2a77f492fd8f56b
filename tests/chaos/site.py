"""What stands around the demo: the simulated routers and the proxies in front of everything."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import yaml

from chaos.disk import Disk, own_disk, take_off
from chaos.options import Options
from chaos.proxy import Link
from fleet_cli.folder import DataFolder, open_folder
from fleet_cli.ports import choose_range
from support.ports import free_port
from support.waiting import eventually

_START_SECONDS = 60.0


@dataclass(frozen=True)
class Site:
    """Stays from the first run to the last."""

    folder: DataFolder
    fleet_file: Path
    nats: Link
    database: Link
    page: Link
    routers: tuple[Link, ...]
    simulator_pid: int
    simulator_admin: int
    upgrade_url: str
    disk: Disk | str

    @property
    def links(self) -> tuple[Link, ...]:
        """All that can be cut."""
        return (self.nats, self.database, self.page, *self.routers)

    def demo_options(self, interval: str) -> tuple[str, ...]:
        """What `routerfleet demo` is told."""
        values = {
            "--fleet": self.fleet_file,
            "--credentials-dir": self.fleet_file.with_name("credentials"),
            "--interval": interval,
            "--nats-port": self.nats.target,
            "--nats-through": self.nats.port,
            "--database-port": self.database.target,
            "--database-through": self.database.port,
            "--page-port": self.page.target,
            "--longest-restart-delay": "0.5s",
        }
        return (*(word for pair in values.items() for word in map(str, pair)), "--json")

    def environment(self) -> dict[str, str]:
        """For the services: firmware channels come from the simulator."""
        return {
            "FLEET_FIRMWARE__UPGRADE_BASE_URL": self.upgrade_url,
            "FLEET_FIRMWARE__REQUEST_SPACING_SECONDS": "0",
        }

    async def ledger(self) -> dict[str, Any]:
        """What the routers themselves counted."""
        async with httpx.AsyncClient() as client:
            response = await client.get(f"http://127.0.0.1:{self.simulator_admin}/ledger")
            response.raise_for_status()
            return cast("dict[str, Any]", response.json())


@contextlib.asynccontextmanager
async def site(options: Options, path: Path) -> AsyncGenerator[Site]:
    """Disk, simulator and proxies for a block."""
    folder = open_folder(path / "data")
    disk = await own_disk(folder, options.disk_mb)
    async with contextlib.AsyncExitStack() as stack:
        if isinstance(disk, Disk):
            stack.callback(take_off, disk)
        first = choose_range("routers", str(path), options.devices, {}, ())
        admin, upgrade = free_port(), free_port()
        process = await stack.enter_async_context(_simulator(options, path, first, admin, upgrade))
        fleet_file, routers = await _behind_proxies(path, process)
        made = Site(
            folder=folder,
            fleet_file=fleet_file,
            nats=Link("nats", free_port(), free_port()),
            database=Link("database", free_port(), free_port()),
            page=Link("page", free_port(), free_port()),
            routers=routers,
            simulator_pid=process.pid,
            simulator_admin=admin,
            upgrade_url=f"http://127.0.0.1:{upgrade}/routeros",
            disk=disk,
        )
        for link in made.links:
            await stack.enter_async_context(link.serve())
        yield made


@contextlib.asynccontextmanager
async def _simulator(
    options: Options, path: Path, first: int, admin: int, upgrade: int
) -> AsyncGenerator[asyncio.subprocess.Process]:
    values = {
        "--devices": options.devices,
        "--tenants": options.tenants,
        "--seed": options.seed,
        "--base-port": first,
        "--admin-port": admin,
        "--upgrade-host-port": upgrade,
        "--fleet-file": path / "simulated.yaml",
        "--credentials-dir": path / "credentials",
    }
    with (path / "simulator.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "fleet_simulator",
            *(word for pair in values.items() for word in map(str, pair)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def _behind_proxies(
    path: Path, simulator: asyncio.subprocess.Process
) -> tuple[Path, tuple[Link, ...]]:
    """The simulator's fleet with a proxy's port in place of each router's own."""
    simulated = path / "simulated.yaml"

    def is_there() -> bool:
        assert simulator.returncode is None, (path / "simulator.log").read_text()
        return simulated.exists()

    await eventually(is_there, bool, deadline_seconds=_START_SECONDS, what="the simulator")
    documents = cast(
        "list[dict[str, Any]]", list(yaml.safe_load_all(simulated.read_text(encoding="utf-8")))
    )
    links: list[Link] = []
    for document in documents:
        for device in cast("list[dict[str, Any]]", document["spec"]["devices"]):
            link = Link(str(device["name"]), free_port(), int(device["port"]))
            device["port"] = link.port
            links.append(link)
    fleet_file = path / "fleet.yaml"
    fleet_file.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return fleet_file, tuple(links)
