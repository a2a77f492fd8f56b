"""An upgrade host for tests of the firmware-checker, small enough to misbehave in any way."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from support.ports import free_port


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send for one file. `stall` sends nothing and keeps the connection open."""

    status: int = 200
    body: bytes = b""
    etag: str | None = None
    stall: bool = False
    trickle: bool = False


@dataclass
class ChannelHost:
    """Answers by file name (`NEWESTa7.stable`); anything else is 404. Remembers requests."""

    port: int
    files: dict[str, Answer] = field(default_factory=dict[str, Answer])
    requests: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    _open: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/routeros"

    def offers(self, name: str, version: str, released: int = 1_789_558_341) -> None:
        body = f"{version} {released}".encode()
        self.files[name] = Answer(body=body, etag=f'"{version}"')

    def asked_for(self, name: str) -> int:
        return sum(request["path"].endswith(f"/{name}") for request in self.requests)

    def hang_up(self) -> None:
        for writer in self._open:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            async with asyncio.timeout(120):
                while await self._answer_one(reader, writer):
                    pass
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        request = {"path": head[0].split()[1]}
        request.update(
            {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
        )
        self.requests.append(request)
        answer = self.files.get(request["path"].rpartition("/")[2], Answer(status=404))
        if answer.stall:
            await reader.read()  # until the client gives up
            return False
        unchanged = answer.etag is not None and request.get("if-none-match") == answer.etag
        status, body = (304, b"") if unchanged else (answer.status, answer.body)
        etag = f"ETag: {answer.etag}\r\n" if answer.etag else ""
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{etag}\r\n".encode())
        if answer.trickle:
            for position in range(len(body)):
                writer.write(body[position : position + 1])
                await writer.drain()
                await asyncio.sleep(0.3)
        else:
            writer.write(body)
        await writer.drain()
        return True


@asynccontextmanager
async def channel_host(
    prepare: Callable[[ChannelHost], None] = lambda _host: None,
) -> AsyncGenerator[ChannelHost]:
    """A running host on a free loopback port."""
    host = ChannelHost(free_port())
    prepare(host)
    server = await asyncio.start_server(host.serve, "127.0.0.1", host.port)
    try:
        yield host
    finally:
        server.close()
        host.hang_up()
