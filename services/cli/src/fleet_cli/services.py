"""The services as processes."""

import sys
from dataclasses import dataclass
from pathlib import Path

from fleet_cli.environment import (
    FIRMWARE,
    GATEWAY,
    MODULE,
    SIMULATOR,
    WRITER,
    Wiring,
    firmware_environment,
    gateway_environment,
    inherited_environment,
    poller_environment,
    poller_name,
    writer_environment,
)
from fleet_cli.folder import DataFolder
from fleet_cli.ports import LOOPBACK
from fleet_cli.processes import ProcessSpec


@dataclass(frozen=True, slots=True)
class SimulatorPlan:
    """The simulated fleet and where it is found."""

    devices: int
    tenants: int
    seed: int
    base_port: int
    admin_port: int
    upgrade_port: int
    directory: Path

    @property
    def upgrade_url(self) -> str:
        """Its stand-in for MikroTik's upgrade host."""
        return f"http://{LOOPBACK}:{self.upgrade_port}/routeros"

    @property
    def fleet_file(self) -> Path:
        """What it writes: the fleets."""
        return self.directory / "fleet.yaml"

    @property
    def credentials_directory(self) -> Path:
        """What it writes: a folder for each secret."""
        return self.directory / "credentials"


def simulator_spec(folder: DataFolder, plan: SimulatorPlan) -> ProcessSpec:
    """The simulator. A fleet file of an earlier run is removed: its return means readiness."""
    plan.directory.mkdir(exist_ok=True)
    plan.fleet_file.unlink(missing_ok=True)
    options = {
        "devices": plan.devices,
        "tenants": plan.tenants,
        "seed": plan.seed,
        "base-port": plan.base_port,
        "admin-port": plan.admin_port,
        "upgrade-host-port": plan.upgrade_port,
        "fleet-file": plan.fleet_file,
        "credentials-dir": plan.credentials_directory,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return _spec(folder, SIMULATOR, MODULE[SIMULATOR], {}, tuple(words))


def poller_spec(folder: DataFolder, wiring: Wiring, tenant: str, shard: str) -> ProcessSpec:
    """One shard of one tenant."""
    environment = poller_environment(wiring, tenant, shard)
    return _spec(folder, poller_name(tenant, shard), MODULE["poller"], environment)


def reader_specs(folder: DataFolder, wiring: Wiring) -> list[ProcessSpec]:
    """Those that read the streams: writer, gateway, firmware-checker."""
    environments = {
        WRITER: writer_environment(wiring),
        GATEWAY: gateway_environment(wiring),
        FIRMWARE: firmware_environment(wiring),
    }
    return [
        _spec(folder, name, MODULE[name], environment) for name, environment in environments.items()
    ]


def _spec(
    folder: DataFolder,
    name: str,
    module: str,
    environment: dict[str, str],
    arguments: tuple[str, ...] = (),
) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        command=(sys.executable, "-m", module, *arguments),
        log=folder.log(name),
        environment=inherited_environment() | environment,
    )
