"""The environment each service gets: what the user set, then what the demo decides."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fleet_cli.nats_process import NatsPlan
from fleet_cli.ports import LOOPBACK
from fleet_cli.postgres_process import PostgresPlan
from fleet_common.assignment import shard_names

WRITER: Final = "writer"
GATEWAY: Final = "gateway"
FIRMWARE: Final = "firmware"
SIMULATOR: Final = "simulator"
RUNNER: Final = "runner"
"""The local runner itself; it serves metrics like the others."""
FIRST_SHARD: Final = shard_names(1)[0]
"""A tenant's only one unless more are asked for."""

MODULE: Final = {
    WRITER: "fleet_writer",
    GATEWAY: "fleet_gateway",
    FIRMWARE: "fleet_firmware",
    SIMULATOR: "fleet_simulator",
    "poller": "fleet_poller",
}


def poller_name(tenant: str, shard: str = FIRST_SHARD) -> str:
    """The name of a shard's process. A dot is in no tenant's name: none is like another's."""
    return f"poller-{tenant}" if shard == FIRST_SHARD else f"poller-{tenant}.{shard}"


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the services have to know of each other's places."""

    nats: NatsPlan
    postgres: PostgresPlan
    gateway_port: int
    credentials_directory: Path
    upgrade_url: str | None
    """Where firmware channels are read; None: MikroTik's own host."""
    admin_ports: dict[str, int]
    """Where each process serves /metrics and /healthz; grows when a tenant joins."""


def inherited_environment() -> dict[str, str]:
    """The caller's environment: PATH, proxies, and FLEET_* such as FLEET_LOG__LEVEL."""
    return dict(os.environ)  # noqa: TID251 - handed on to children, not read as settings


def common_environment(wiring: Wiring, name: str) -> dict[str, str]:
    """What every service gets."""
    return {
        "FLEET_NATS__URL": wiring.nats.services_url,
        "FLEET_NATS__TOKEN": wiring.nats.token,
        "FLEET_ADMIN__HOST": LOOPBACK,
        "FLEET_ADMIN__PORT": str(wiring.admin_ports[name]),
        "PYTHONUNBUFFERED": "1",
    }


def poller_environment(wiring: Wiring, tenant: str, shard: str = FIRST_SHARD) -> dict[str, str]:
    """One shard of one tenant."""
    return common_environment(wiring, poller_name(tenant, shard)) | {
        "FLEET_POLLER__TENANT": tenant,
        "FLEET_POLLER__SHARD": shard,
        "FLEET_POLLER__SECRETS_DIRECTORY": str(wiring.credentials_directory),
        # A demo is watched: a router that comes back is seen again within half a minute.
        "FLEET_POLLER__LONGEST_BACKOFF_SECONDS": "30",
    }


def writer_environment(wiring: Wiring) -> dict[str, str]:
    """The writer takes every tenant's stream."""
    return common_environment(wiring, WRITER) | {
        "FLEET_DATABASE__URL": wiring.postgres.services_url,
        "FLEET_WRITER__DISCOVERY_SECONDS": "1",
    }


def gateway_environment(wiring: Wiring) -> dict[str, str]:
    """On loopback only, and therefore without tokens."""
    return common_environment(wiring, GATEWAY) | {
        "FLEET_GATEWAY__HOST": LOOPBACK,
        "FLEET_GATEWAY__PORT": str(wiring.gateway_port),
        "FLEET_GATEWAY__AUTH__MODE": "none",
        "FLEET_GATEWAY__DISCOVERY_SECONDS": "1",
    }


def firmware_environment(wiring: Wiring) -> dict[str, str]:
    """Simulated routers are checked against the simulator's channels, real ones at MikroTik."""
    environment = common_environment(wiring, FIRMWARE)
    environment["FLEET_FIRMWARE__DISCOVER_SECONDS"] = "1"
    if wiring.upgrade_url is not None:
        environment["FLEET_FIRMWARE__UPGRADE_BASE_URL"] = wiring.upgrade_url
        # Nobody needs to be spared requests, and advice is on the page at once.
        environment["FLEET_FIRMWARE__REQUEST_SPACING_SECONDS"] = "0"
    return environment
