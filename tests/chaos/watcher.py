"""A client of the event stream that lives through everything, as a browser's EventSource does."""

import asyncio
import contextlib
from typing import Any, cast

import httpx
import orjson

from chaos.order import OrderCheck
from fleet_cli.sse_client import SseFrame, frames, marks
from fleet_contracts.subjects import Kind

_KINDS = frozenset(kind.value for kind in Kind)
_RECONNECT_SECONDS = 0.3
_SILENCE_SECONDS = 20.0


class Watcher:
    """Follows one URL until cancelled; reconnects by Last-Event-ID."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._last_id: str | None = None
        self.check = OrderCheck()
        self.connects = 0
        self._following: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follow from where it stands until `leave`."""
        self._following = asyncio.create_task(self.run(), name="watcher")

    async def leave(self) -> None:
        """Disconnect and stay away."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            self._following = None

    def position(self, tenant: str) -> int:
        """The newest sequence it knows of; 0 before the first."""
        return marks(self._last_id or "").get(tenant, 0)

    async def run(self) -> None:
        """Follow for ever."""
        timeout = httpx.Timeout(5.0, read=_SILENCE_SECONDS)
        async with httpx.AsyncClient(timeout=timeout) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    await self._follow(client)
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _follow(self, client: httpx.AsyncClient) -> None:
        headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        async with client.stream("GET", self._url, headers=headers) as response:
            response.raise_for_status()
            self.connects += 1
            self.check.connected()
            async for frame in frames(response.aiter_lines()):
                self._take(frame)

    def _take(self, frame: SseFrame) -> None:
        if frame.event in _KINDS:
            body = cast("dict[str, Any]", orjson.loads(frame.data))
            tenant = str(body["tenant"])
            self.check.event(tenant, marks(frame.id or "")[tenant])
        elif frame.event == "reset":
            self.check.reset(str(orjson.loads(frame.data)["tenant"]))
        elif frame.event == "snapshot-end":
            tenants = cast("list[str]", orjson.loads(frame.data)["tenants"])
            self.check.snapshot(tenants, marks(frame.id or ""))
        if frame.id is not None:
            self._last_id = frame.id
