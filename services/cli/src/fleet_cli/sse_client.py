"""The demo's own client of the event stream: counts what a browser would get."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import httpx
import orjson

from fleet_contracts.subjects import Kind

_log = logging.getLogger(__name__)

_RECONNECT_SECONDS: Final = 0.5
_SILENCE_SECONDS: Final = 40.0
"""The gateway's heartbeat is 15 s."""
_KINDS: Final = frozenset(kind.value for kind in Kind)

type SseKey = tuple[str, str, str, int]
"""Tenant, device, kind, slot in ms."""


@dataclass(slots=True)
class SseFrame:
    """One block of the stream."""

    event: str = ""
    data: str = ""
    id: str | None = None


@dataclass(slots=True)
class SseCounts:
    """What the client got."""

    events: int = 0
    twice: int = 0
    resets: int = 0
    connects: int = 0
    keys: set[SseKey] = field(default_factory=set[SseKey])
    seen: dict[str, int] = field(default_factory=dict[str, int])
    """By tenant the newest sequence."""
    live_after: dict[str, int] = field(default_factory=dict[str, int])
    """By tenant the sequence that the first snapshot covered: every later event must come."""


async def frames(lines: AsyncIterator[str]) -> AsyncIterator[SseFrame]:
    """Blocks of a `text/event-stream` (WHATWG HTML, "Server-sent events")."""
    frame = SseFrame()
    empty = True
    async for line in lines:
        if not line:
            if not empty:
                yield frame
            frame, empty = SseFrame(), True
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                frame.event, empty = value, False
            case "data":
                frame.data, empty = frame.data + value, False
            case "id":
                frame.id, empty = value, False
            case _:
                continue


def marks(identifier: str) -> dict[str, int]:
    """Sequences by tenant of an id `<tenant>:<sequence>:<epoch>,…`; what is none is left out."""
    parts = [part.split(":") for part in identifier.split(",")]
    return {part[0]: int(part[1]) for part in parts if len(part) > 1 and part[1].isdigit()}


class SseClient:
    """Follows one stream until cancelled; reconnects where it left off, as EventSource does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._last_id: str | None = None
        self.counts = SseCounts()
        self.first_device_at: float | None = None
        """When (monotonic clock) the first device came: what a page would show."""

    async def run(self) -> None:
        """Follow the stream for ever."""
        timeout = httpx.Timeout(5.0, read=_SILENCE_SECONDS)
        async with httpx.AsyncClient(timeout=timeout) as client:
            while True:
                try:
                    await self._follow(client)
                except (httpx.HTTPError, ValueError) as error:
                    _log.debug("event stream", extra={"reason": str(error)})
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _follow(self, client: httpx.AsyncClient) -> None:
        headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        async with client.stream("GET", self._url, headers=headers) as response:
            response.raise_for_status()
            self.counts.connects += 1
            async for frame in frames(response.aiter_lines()):
                self._take(frame)

    def _take(self, frame: SseFrame) -> None:
        if frame.id is not None:
            self._last_id = frame.id
            self.counts.seen.update(marks(frame.id))
            if frame.event == "snapshot-end":
                for tenant, sequence in marks(frame.id).items():
                    self.counts.live_after.setdefault(tenant, sequence)
        counts = self.counts
        if frame.event in _KINDS:
            body = orjson.loads(frame.data)
            key = (body["tenant"], body["device"], body["kind"], body["slot_unix_ms"])
            counts.events += 1
            counts.twice += key in counts.keys
            counts.keys.add(key)
        if frame.event == "snapshot" or frame.event in _KINDS:
            self.first_device_at = self.first_device_at or time.monotonic()
        counts.resets += frame.event == "reset"
