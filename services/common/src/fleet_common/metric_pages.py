"""The pages of /metrics: a service's own metrics, those of its devices, or both.

Both text formats by content negotiation, as prometheus_client does it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Final, override

from prometheus_client.exposition import choose_encoder
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from fleet_common.metrics import MetricSet
from fleet_common.process_metrics import process_registry

_log = logging.getLogger(__name__)

_SCRAPE_SECONDS: Final = 60.0
_SCRAPES_AT_ONCE: Final = 4
_END: Final = b"# EOF\n"
_NO_DEVICES: Final = "this service has no metrics of devices, or they are switched off"


class MetricPages:
    """Endpoints for Starlette."""

    def __init__(self, metrics: MetricSet) -> None:
        self._metrics = metrics
        self._process = process_registry()
        self._places = asyncio.Semaphore(_SCRAPES_AT_ONCE)

    async def everything(self, request: Request) -> "_Scrape":
        """What the service and its process tell of themselves, and of each device."""
        return self._answer(request, service=True, devices=True)

    async def service(self, request: Request) -> "_Scrape":
        """Without the devices."""
        return self._answer(request, service=True, devices=False)

    async def devices(self, request: Request) -> "_Scrape":
        """The devices alone."""
        if self._metrics.devices_stream is None:
            raise HTTPException(404, _NO_DEVICES)
        return self._answer(request, service=False, devices=True)

    def _answer(self, request: Request, *, service: bool, devices: bool) -> "_Scrape":
        accept = ",".join(request.headers.getlist("accept"))
        _, content_type = choose_encoder(accept)
        return _Scrape(
            self._pieces(accept, service=service, devices=devices),
            media_type=content_type,
        )

    async def _pieces(self, accept: str, *, service: bool, devices: bool) -> AsyncGenerator[bytes]:
        encode, content_type = choose_encoder(accept)
        openmetrics = content_type.startswith("application/openmetrics-text")
        async with self._places:
            stream = self._metrics.devices_stream
            # First, so that what the service counts of this scrape is in it.
            if devices and stream is not None:
                async for piece in stream(openmetrics=openmetrics):
                    yield piece
            if service:
                for registry in (self._metrics.registry, self._process):
                    yield encode(registry).removesuffix(_END)
            if openmetrics:
                yield _END


class _Scrape(StreamingResponse):
    """A reader that is too slow is cut off: what it holds is needed for others."""

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(_SCRAPE_SECONDS):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            _log.warning(
                "a scrape was not taken in time and is cut off", extra={"seconds": _SCRAPE_SECONDS}
            )
