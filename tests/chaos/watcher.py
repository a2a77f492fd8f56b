"""A client of the event stream that lives through everything, as a browser's EventSource does."""

import asyncio
from typing import Any, cast

import orjson

from chaos.order import OrderCheck
from fleet_cli.event_source import EventSource, SseFrame, marks
from fleet_contracts.subjects import Kind

_KINDS = frozenset(kind.value for kind in Kind)


class Watcher:
    """Follows one URL until cancelled; reconnects by Last-Event-ID."""

    def __init__(self, url: str) -> None:
        self._source = EventSource(
            url, self._connected, self._take, reconnect_seconds=0.3, silence_seconds=20.0
        )
        self.check = OrderCheck()
        self.connects = 0
        self._following: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follow from where it stands until `leave`."""
        self._following = asyncio.create_task(self._source.run(), name="watcher")

    async def leave(self) -> None:
        """Disconnect and stay away."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            self._following = None

    def position(self, tenant: str) -> int:
        """The newest sequence it knows of; 0 before the first."""
        return marks(self._source.last_id or "").get(tenant, 0)

    def _connected(self) -> None:
        self.connects += 1
        self.check.connected()

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
