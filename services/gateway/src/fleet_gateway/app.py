"""The gateway's composition root."""

import asyncio
import contextlib
import ipaddress
import time

import uvicorn
from nats.errors import Error as NatsError

from fleet_common.admin import EmbeddedServer, serve_until_stopped
from fleet_common.broker import connect, jetstream
from fleet_common.errors import ConfigurationError
from fleet_common.runtime import Runtime, unless_stopped
from fleet_contracts.subjects import BadNameError, TenantId, tenant_id
from fleet_gateway.api import Api
from fleet_gateway.auth import Authenticator
from fleet_gateway.channel import Delivery
from fleet_gateway.client_context import ClientContext, ClientLimits
from fleet_gateway.events import EventStream
from fleet_gateway.hub import Hub
from fleet_gateway.ingest import Feed, Ingest
from fleet_gateway.log import RingLimits
from fleet_gateway.outlet import Outlet
from fleet_gateway.page import page_routes, read_page
from fleet_gateway.reader import StreamReader
from fleet_gateway.replay import Replayer
from fleet_gateway.server import LOOPBACK_HOSTS, GatewayServer
from fleet_gateway.settings import GatewaySection, GatewaySettings
from fleet_gateway.telemetry import GatewayMetrics
from fleet_gateway.tenants import Tenants

_SWEEP_SECONDS = 5.0
_GRACE_SECONDS = 5
_BROKER_CLOSE_SECONDS = 2.0


async def run(runtime: Runtime, settings: GatewaySettings, metrics: GatewayMetrics) -> None:
    """Wire everything, serve until `runtime.stop`."""
    section = settings.gateway
    fixed = _check(section)
    authenticator = Authenticator(section.auth, metrics)
    hub = Hub(
        RingLimits(section.ring_bytes, section.ring_entries),
        Delivery(
            asyncio.get_running_loop().call_later,
            section.flush_milliseconds / 1000,
            metrics,
            runtime.tracing,
        ),
    )
    client = await unless_stopped(runtime.stop, connect(settings.nats, "fleet-gateway"))
    if client is None:
        return
    js = jetstream(client, settings.nats)
    feed = Feed(hub, metrics, runtime.tracing)
    background: list[asyncio.Task[None]] = []

    def start(tenant: TenantId) -> Ingest:
        ingest = Ingest(tenant, js, StreamReader(client, js, tenant), feed)
        background.append(runtime.spawn(ingest.run(), f"ingest-{tenant}"))
        return ingest

    tenants = Tenants(
        client,
        hub,
        start,
        fixed,
        every_seconds=section.discovery_seconds,
        timeout_seconds=settings.nats.request_timeout_seconds,
    )
    background += [
        runtime.spawn(tenants.run(runtime.health, section.health_limit_seconds), "tenants"),
        runtime.spawn(_heartbeats(hub, section.heartbeat_seconds), "heartbeats"),
        runtime.spawn(_sweeps(hub, authenticator), "sweeps"),
        runtime.spawn(_close_at(runtime.stop, hub), "close"),
    ]
    server = _server(section, hub, authenticator, Replayer(client, js), metrics)
    try:
        await serve_until_stopped(server, runtime.stop, "FLEET_GATEWAY__PORT")
    finally:
        for task in background:
            task.cancel()
        # Before the connection ends: a nats-py call that is cancelled on a closed connection
        # raises ConnectionClosedError in place of the cancellation, and the task goes on.
        await asyncio.wait(background, timeout=_BROKER_CLOSE_SECONDS)
        # A broker that hangs must not turn a clean stop into a failure.
        with contextlib.suppress(NatsError, TimeoutError, OSError):
            async with asyncio.timeout(_BROKER_CLOSE_SECONDS):
                await client.close()


def _check(section: GatewaySection) -> list[TenantId]:
    """What no single field can check; returns the fixed tenants."""
    if section.auth.mode == "none" and not _is_loopback(section.host):
        raise ConfigurationError(
            f"FLEET_GATEWAY__AUTH__MODE: 'none' lets everyone in and is refused on "
            f"{section.host}; listen on 127.0.0.1 or use 'token'"
        )
    try:
        return [tenant_id(name) for name in section.tenants]
    except BadNameError as error:
        raise ConfigurationError(f"FLEET_GATEWAY__TENANTS: {error}") from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _server(
    section: GatewaySection,
    hub: Hub,
    authenticator: Authenticator,
    replayer: Replayer,
    metrics: GatewayMetrics,
) -> EmbeddedServer:
    limits = ClientLimits(
        max_backlog_bytes=section.max_backlog_bytes,
        stall_seconds=section.stall_seconds,
        retry_milliseconds=section.retry_milliseconds,
        replay_max_events=section.replay_max_events,
    )
    context = ClientContext(hub, replayer, limits, metrics)
    events = EventStream(context, authenticator, section.max_clients)
    routes = [*Api(hub, authenticator).routes(), *page_routes(read_page(section.page_directory))]
    hosts = section.allowed_hosts or (LOOPBACK_HOSTS if authenticator.open else ())
    app = GatewayServer(events, routes, hosts, section.allowed_origins, metrics)
    config = uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType] - uvicorn's own ASGI types
        host=section.host,
        port=section.port,
        http=Outlet,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        # FLEET_GATEWAY__AUTH__SECURE_COOKIE says what a proxy's header would.
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        backlog=max(2048, section.max_clients),
    )
    return EmbeddedServer(config)


async def _heartbeats(hub: Hub, every_seconds: float) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        hub.heartbeat(every_seconds)


async def _sweeps(hub: Hub, authenticator: Authenticator) -> None:
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        authenticator.refresh()
        hub.sweep(time.monotonic())


async def _close_at(stop: asyncio.Event, hub: Hub) -> None:
    await stop.wait()
    hub.close()
