"""The sse-gateway as a process, and what a test of it stands on."""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nats.aio.client import Client
from nats.js import JetStreamContext

from support.gateway import Router, publish_statuses
from support.nats import NatsServer
from support.ports import free_port
from support.processes import ServiceProcess, running


@dataclass
class GatewayProcess(ServiceProcess):
    """`python -m fleet_gateway` on a port of its own."""

    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def gateway_process(
    nats: NatsServer | str, directory: Path, settings: Mapping[str, str] | None = None
) -> GatewayProcess:
    """One that is not yet started; `settings` are fields of its section."""
    environment = {
        "FLEET_NATS__URL": nats if isinstance(nats, str) else nats.url,
        "FLEET_GATEWAY__AUTH__MODE": "none",
        "FLEET_GATEWAY__DISCOVERY_SECONDS": "0.3",
        **{f"FLEET_GATEWAY__{key}": value for key, value in (settings or {}).items()},
    }
    gateway = GatewayProcess("fleet_gateway", environment, directory / "gateway.log")
    environment["FLEET_GATEWAY__PORT"] = str(gateway.port)
    return gateway


@contextlib.asynccontextmanager
async def running_gateway(
    nats: NatsServer | str, directory: Path, **settings: str
) -> AsyncGenerator[GatewayProcess]:
    """A gateway that is ready; killed at the end."""
    with running(gateway_process(nats, directory, settings)) as gateway:
        await gateway.ready()
        yield gateway


@dataclass
class GatewaySite:
    """A broker with tenants' streams, connections to it, and gateways that read it."""

    server: NatsServer
    client: Client
    js: JetStreamContext
    directory: Path

    @property
    def broker_url(self) -> str:
        """Where the gateways find the broker."""
        return self.server.url

    async def statuses(self, router: Router, start: int, count: int) -> list[int]:
        """Publish `count` polls' statuses; returns their sequences."""
        return await publish_statuses(self.js, router, start, count)

    def gateway(self, **settings: str) -> contextlib.AbstractAsyncContextManager[GatewayProcess]:
        """One that is ready; `settings` are fields of its section."""
        return running_gateway(self.broker_url, self.directory / "gateway", **settings)
