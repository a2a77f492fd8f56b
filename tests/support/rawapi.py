"""A bare RouterOS API client for tests that look at single sentences, in order, with tags."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from fleet_simulator.server import Endpoint
from fleet_simulator.wire import SentenceDecoder, encode_sentence

DEADLINE_SECONDS = 10.0


@dataclass
class RawApi:
    """One connection. Every wait has a deadline; `seen` keeps all sentences for evidence."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    decoder: SentenceDecoder = field(default_factory=lambda: SentenceDecoder(1 << 28))
    waiting: list[list[bytes]] = field(default_factory=list[list[bytes]])
    seen: list[list[bytes]] = field(default_factory=list[list[bytes]])

    def send(self, *words: bytes | str) -> None:
        self.writer.write(
            encode_sentence(*[w.encode() if isinstance(w, str) else w for w in words])
        )

    async def sentence(self, deadline_seconds: float = DEADLINE_SECONDS) -> list[bytes]:
        """The next sentence; ConnectionError when there is none any more."""
        while not self.waiting:
            try:
                async with asyncio.timeout(deadline_seconds):
                    data = await self.reader.read(65536)
            except TimeoutError:
                raise AssertionError(f"no sentence came; last were {self.seen[-5:]}") from None
            if not data:
                raise ConnectionResetError("closed by the router")
            self.waiting += self.decoder.feed(data)
            if self.decoder.failure is not None:
                raise self.decoder.failure
        sentence = self.waiting.pop(0)
        self.seen.append(sentence)
        return sentence

    async def until_done(self) -> list[list[bytes]]:
        """All sentences up to and with the next `!done`."""
        sentences = [await self.sentence()]
        while sentences[-1][0] != b"!done":
            sentences.append(await self.sentence())
        return sentences

    async def talk(self, *words: bytes | str) -> list[list[bytes]]:
        """Send one sentence, get the answer up to `!done`."""
        self.send(*words)
        return await self.until_done()

    async def rows(self, *words: bytes | str) -> list[dict[bytes, bytes]]:
        """The `!re` rows of a command that must not fail."""
        answer = await self.talk(*words)
        assert all(s[0] in {b"!re", b"!done", b"!empty"} for s in answer), answer
        return [attributes(sentence) for sentence in answer if sentence[0] == b"!re"]

    async def login(self, username: str = "admin", password: str = "secret") -> None:  # noqa: S107 - fixed_router's
        answer = await self.talk("/login", f"=name={username}", f"=password={password}")
        assert answer == [[b"!done"]], answer

    async def closed(self, deadline_seconds: float = DEADLINE_SECONDS) -> bytes:
        """Wait for the end of the connection; gives the bytes that came before."""
        data = b""
        async with asyncio.timeout(deadline_seconds):
            with suppress(ConnectionError):
                while piece := await self.reader.read(65536):
                    data += piece
        return data


def attributes(sentence: list[bytes]) -> dict[bytes, bytes]:
    """The `=name=value` words of a sentence."""
    pairs = [word[1:].partition(b"=") for word in sentence[1:] if word.startswith(b"=")]
    return {name: value for name, _, value in pairs}


@asynccontextmanager
async def raw_api(
    endpoint: Endpoint, *, login: bool = True, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[RawApi]:
    """Connect, log in as the endpoint's user unless told not to, and close at the end."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        reader, writer = await asyncio.open_connection(
            endpoint.address, endpoint.port, ssl=tls, limit=1 << 20
        )
    api = RawApi(reader, writer)
    try:
        if login:
            await api.login(endpoint.username, endpoint.password)
        yield api
    finally:
        writer.close()
        with suppress(ConnectionError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(DEADLINE_SECONDS):
                await writer.wait_closed()
