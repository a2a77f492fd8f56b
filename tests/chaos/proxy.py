"""A TCP proxy on loopback whose connections can be cut, held and delayed.

One `Link` is one listening port in front of one other port. Pure asyncio, no threads.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

_CHUNK_BYTES = 64 * 1024
_LOOPBACK = "127.0.0.1"


@dataclass(eq=False)
class _Pair:
    """One connection: a client's side and the server's."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter

    def abort(self) -> None:
        for side in (self.client, self.server):
            side.transport.abort()


@dataclass
class Link:
    """A port and what stands behind it. The `delay` is in seconds, for each chunk and way."""

    name: str
    port: int
    target: int
    delay: float = 0.0
    cuts: int = 0
    _pairs: set[_Pair] = field(default_factory=set[_Pair])
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _tear: bytes | None = None
    _lose: bytes | None = None
    _swap: tuple[bytes, bytes] | None = None
    lost: int = 0
    swapped: int = 0

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._pairs)

    def cut(self) -> None:
        """Reset all connections where they are."""
        self.cuts += 1
        for pair in list(self._pairs):
            pair.abort()

    def tear(self, words: bytes = b"") -> None:
        """The next chunk (with these words in it) arrives by half; then all are reset."""
        self._tear = words

    def lose(self, words: bytes) -> None:
        """The next command of the NATS protocol that begins with these words never arrives."""
        self._lose = words

    def swap(self, words: bytes, others: bytes) -> None:
        """The next time these words pass, others of the same length take their place."""
        if len(words) != len(others):
            raise ValueError(f"{words!r} and {others!r} are not of one length")
        self._swap = words, others

    def hold(self) -> None:
        """Let nothing pass; connections stay open and new ones are accepted."""
        self._flowing.clear()

    def release(self) -> None:
        """Let what was held pass."""
        self._flowing.set()

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncGenerator[None]:
        """Accept connections for a block."""
        self._flowing.set()
        server = await asyncio.start_server(self._accept, _LOOPBACK, self.port)
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer), name=f"link-{self.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection(_LOOPBACK, self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(writer, forth)
        self._pairs.add(pair)
        pumps = [
            asyncio.create_task(self._pump(reader, forth)),
            asyncio.create_task(self._pump(back, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            # An end on one side: what the other still has on its way may arrive.
            await asyncio.wait(pumps, timeout=1)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            pair.abort()
            self._pairs.discard(pair)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                await self._flowing.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self._tear is not None and self._tear in data:
                    self._tear = None
                    writer.write(data[: len(data) // 2])
                    await writer.drain()
                    self.cut()
                    return
                if self._lose is not None and self._lose in data:
                    data = _without_command(data, self._lose)
                    self._lose = None
                    self.lost += 1
                if self._swap is not None and self._swap[0] in data:
                    data = data.replace(*self._swap, 1)
                    self._swap = None
                    self.swapped += 1
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()


def _without_command(data: bytes, words: bytes) -> bytes:
    """Without a PUB and its payload; all of it must be there.

    `PUB <subject> [reply-to] <#bytes>\\r\\n[payload]\\r\\n`:
    https://docs.nats.io/reference/reference-protocols/nats-protocol
    """
    begin = data.index(words)
    line_end = data.index(b"\r\n", begin) + 2
    size = int(data[begin:line_end].split()[-1])
    return data[:begin] + data[line_end + size + 2 :]
