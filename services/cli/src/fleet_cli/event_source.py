"""A client of a `text/event-stream` that reconnects where it left off, as a browser's does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import httpx

_log = logging.getLogger(__name__)

RECONNECT_SECONDS: Final = 0.5
_SILENCE_SECONDS: Final = 40.0
"""The gateway's heartbeat is 15 s."""


@dataclass(slots=True)
class SseFrame:
    """One block of the stream."""

    event: str = ""
    data: str = ""
    id: str | None = None


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


class EventSource:
    """Follows one URL until cancelled.

    `connected` is called at the beginning of each answer, `take` with each block. A block that
    `take` refuses with a ValueError ends the connection; the next one goes on behind it.
    """

    def __init__(
        self,
        url: str,
        connected: Callable[[], None],
        take: Callable[[SseFrame], None],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        reconnect_seconds: float = RECONNECT_SECONDS,
        silence_seconds: float = _SILENCE_SECONDS,
    ) -> None:
        self._url = url
        self._connected = connected
        self._take = take
        self._transport = transport
        self._reconnect_seconds = reconnect_seconds
        self._silence_seconds = silence_seconds
        self.last_id: str | None = None
        """Where the next connection goes on; None before the first block that has an id."""

    async def run(self) -> None:
        """Follow for ever."""
        timeout = httpx.Timeout(5.0, read=self._silence_seconds)
        async with httpx.AsyncClient(timeout=timeout, transport=self._transport) as client:
            while True:
                try:
                    await self._follow(client)
                except (httpx.HTTPError, ValueError) as error:
                    _log.debug("event stream", extra={"reason": str(error)})
                await asyncio.sleep(self._reconnect_seconds)

    async def _follow(self, client: httpx.AsyncClient) -> None:
        headers = {} if self.last_id is None else {"Last-Event-ID": self.last_id}
        async with client.stream("GET", self._url, headers=headers) as response:
            response.raise_for_status()
            self._connected()
            async for frame in frames(response.aiter_lines()):
                if frame.id is not None:
                    self.last_id = frame.id
                self._take(frame)
