"""The HTTP endpoint every service has: /metrics, /healthz, /livez, /readyz.

/metrics has everything, for whoever can name one path only. /metrics/service and
/metrics/devices are its two parts, to be read at different intervals.
"""

import asyncio
import contextlib
import time
from email.utils import formatdate

import uvicorn
import uvicorn.server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fleet_common.errors import ConfigurationError
from fleet_common.health import Health, HealthReport
from fleet_common.metric_pages import MetricPages
from fleet_common.metrics import MetricSet
from fleet_common.settings import AdminSection

_START_DEADLINE_SECONDS = 10.0


def admin_routes(health: Health, metrics: MetricSet) -> list[Route]:
    """The routes, to be mounted in any Starlette app."""
    pages = MetricPages(metrics)

    async def healthz(_request: Request) -> Response:
        return _answer(health.report())

    async def livez(_request: Request) -> Response:
        return _answer(health.report_own())

    async def readyz(_request: Request) -> Response:
        return JSONResponse({"ready": health.ready}, status_code=200 if health.ready else 503)

    return [
        Route("/metrics", pages.everything),
        Route("/metrics/service", pages.service),
        Route("/metrics/devices", pages.devices),
        Route("/healthz", healthz),
        Route("/livez", livez),
        Route("/readyz", readyz),
    ]


def _answer(report: HealthReport) -> Response:
    body = {"well": report.well, "failing": report.failing, "passing": list(report.passing)}
    return JSONResponse(body, status_code=200 if report.well else 503)


class _ServerState(uvicorn.server.ServerState):
    """Whose headers have the Date of the second in which they are read."""

    def __init__(self, config: uvicorn.Config) -> None:
        self._config = config
        self._second = 0
        self._headers: list[tuple[bytes, bytes]] = []
        super().__init__()

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Of every answer."""
        second = int(time.time())
        if second != self._second:
            date = formatdate(second, usegmt=True).encode()
            self._headers = [(b"date", date), *self._config.encoded_headers]
            self._second = second
        return self._headers

    @default_headers.setter
    def default_headers(self, headers: list[tuple[bytes, bytes]]) -> None:  # pyright: ignore[reportIncompatibleVariableOverride] - uvicorn's is written at each of its ticks
        """Nothing: uvicorn begins with none."""


class EmbeddedServer(uvicorn.Server):
    """uvicorn inside a service: signals stay with the service's own runtime.

    uvicorn looks ten times a second whether it should end and renews the answers' Date, which
    in a service that rests is most of what wakes it. This one is told by `leave`, and makes the
    Date when it answers.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = _ServerState(config)
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """End now; `serve` returns when the connections are closed."""
        self.should_exit = True
        self._leaving.set()

    async def main_loop(self) -> None:
        """Until `leave`."""
        await self._leaving.wait()

    @contextlib.contextmanager
    def capture_signals(self):  # noqa: ANN201 - uvicorn's own contract
        """Leave the process's signal handlers alone."""
        yield


async def serve_admin(
    settings: AdminSection, health: Health, metrics: MetricSet, stop: asyncio.Event
) -> None:
    """Serve until `stop` is set. Raises ConfigurationError when the port is taken."""
    if settings.port == 0:
        await stop.wait()
        return
    app = Starlette(routes=list(admin_routes(health, metrics)))
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    await serve_until_stopped(EmbeddedServer(config), stop, "FLEET_ADMIN__PORT")


async def serve_until_stopped(
    server: EmbeddedServer, stop: asyncio.Event, port_setting: str
) -> None:
    """Run a uvicorn server until `stop`; name the setting when its port cannot be bound."""

    async def run() -> None:
        try:
            await server.serve()
        except SystemExit as error:  # uvicorn's way to say that it could not bind
            raise ConfigurationError(
                f"{port_setting}: cannot listen on {server.config.host}:{server.config.port}; "
                "is another process using the port?"
            ) from error

    serving = asyncio.create_task(run(), name="http-server")
    stopping = asyncio.create_task(stop.wait(), name="http-server-stop")
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.leave()
        async with asyncio.timeout(_START_DEADLINE_SECONDS):
            await serving
    finally:
        stopping.cancel()
        serving.cancel()
