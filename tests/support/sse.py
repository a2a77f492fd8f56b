"""A client of an event stream that reads by the rules of WHATWG HTML, not by the gateway's."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from fleet_contracts.subjects import Kind


@dataclass(frozen=True)
class Frame:
    """One SSE block; `id` as it stands after it."""

    event: str
    data: Any
    id: str

    @property
    def sequence(self) -> int:
        """The sequence of an id that covers one tenant."""
        return int(self.id.split(":")[1])


@dataclass
class SseParser:
    """Bytes to frames by the rules of WHATWG HTML, independent of the gateway's writer."""

    last_id: str = ""
    retry: int | None = None
    _rest: str = ""

    def feed(self, text: str) -> Iterator[Frame]:
        self._rest += text
        while "\n\n" in self._rest:
            block, _, self._rest = self._rest.partition("\n\n")
            event = "message"
            data: list[str] = []
            for line in block.split("\n"):
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                match name:
                    case "":
                        pass  # a comment
                    case "id":
                        self.last_id = value
                    case "event":
                        event = value
                    case "data":
                        data.append(value)
                    case "retry":
                        self.retry = int(value)
                    case _:
                        raise AssertionError(f"not an SSE field: {line!r}")
            if data:
                yield Frame(event, json.loads("\n".join(data)), self.last_id)


class SseClient:
    """A streaming client over httpx."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.parser = SseParser()
        self._chunks = response.aiter_text()
        self._frames: list[Frame] = []

    async def next(self, deadline_seconds: float = 10.0) -> Frame:
        """The next block; raises StopAsyncIteration at the end of the stream."""
        async with asyncio.timeout(deadline_seconds):
            while not self._frames:
                self._frames.extend(self.parser.feed(await anext(self._chunks)))
        return self._frames.pop(0)

    async def until(self, event: str, deadline_seconds: float = 10.0) -> list[Frame]:
        """All blocks up to and with the first of `event`."""
        frames: list[Frame] = []
        end = time.monotonic() + deadline_seconds
        while not frames or frames[-1].event != event:
            try:
                frames.append(await self.next(max(0.01, end - time.monotonic())))
            except TimeoutError:
                seen = [f"{frame.event}#{frame.id}" for frame in frames[-10:]]
                raise AssertionError(f"no {event!r} came; last: {seen}") from None
        return frames

    async def events(self, count: int, deadline_seconds: float = 10.0) -> list[Frame]:
        """The next `count` live events; control frames do not count."""
        kinds = {kind.value for kind in Kind}
        frames: list[Frame] = []
        end = time.monotonic() + deadline_seconds
        while len(frames) < count:
            try:
                frame = await self.next(max(0.01, end - time.monotonic()))
            except TimeoutError:
                raise AssertionError(f"{len(frames)} of {count} events came") from None
            if frame.event in kinds:
                frames.append(frame)
        return frames


@contextlib.asynccontextmanager
async def sse(
    url: str, query: str = "", *, last_event_id: str | None = None, token: str | None = None
) -> AsyncGenerator[SseClient]:
    """An open stream of `/api/v1/events`."""
    headers: dict[str, str] = {}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    async with (
        httpx.AsyncClient(timeout=httpx.Timeout(10, read=None)) as http,
        http.stream("GET", f"{url}/api/v1/events{query}", headers=headers) as response,
    ):
        if response.status_code != 200:
            await response.aread()
            raise AssertionError(f"{response.status_code}: {response.text}")
        yield SseClient(response)
