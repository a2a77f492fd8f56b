"""One connection against a peer that the test plays byte by byte."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from fleet_poller.routeros.commands import Command, Reply, Trap
from fleet_poller.routeros.errors import (
    DisconnectedError,
    ProtocolViolatedError,
    RouterClosedError,
    RouterError,
    TimedOutError,
)
from fleet_poller.routeros.protocol import RouterProtocol
from fleet_poller.routeros.wire import encode_sentence
from support.ports import free_port
from support.waiting import eventually

A, B = Command("/a/print"), Command("/b/print")


@dataclass
class Peer:
    """The router's end of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def sentence(self) -> list[bytes]:
        """The next sentence the poller sends; words below 128 bytes."""
        words: list[bytes] = []
        async with asyncio.timeout(5):
            while length := (await self.reader.readexactly(1))[0]:
                words.append(await self.reader.readexactly(length))
        return words

    async def tag(self) -> bytes:
        """The tag of the next command."""
        return (await self.sentence())[-1].removeprefix(b".tag=")

    def say(self, *words: bytes, tag: bytes | None = None) -> None:
        """Send one sentence."""
        self.writer.write(encode_sentence([*words, *([b".tag=" + tag] if tag else [])]))

    async def closed(self) -> None:
        """Wait until the poller has closed its end."""
        async with asyncio.timeout(5):
            try:
                while await self.reader.read(1000):
                    pass
            except ConnectionError:
                pass


@dataclass
class Line:
    """A connection and both its ends."""

    poller: RouterProtocol
    peer: Peer

    def ask(self, *commands: Command, seconds: float = 5.0) -> "asyncio.Task[object]":
        """Start an exchange."""
        deadline = asyncio.get_running_loop().time() + seconds
        return asyncio.ensure_future(self.poller.exchange(commands, deadline))


@asynccontextmanager
async def connected(max_reply_bytes: int = 1 << 20) -> AsyncGenerator[Line]:
    """A poller's connection (past the login) to a peer."""
    accepted: asyncio.Queue[Peer] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accepted.put(Peer(reader, writer))

    port = free_port()
    server = await asyncio.start_server(accept, "127.0.0.1", port)
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(
        lambda: RouterProtocol(loop, max_reply_bytes), "127.0.0.1", port
    )
    protocol.end_untagged()
    async with asyncio.timeout(5):
        peer = await accepted.get()
    try:
        yield Line(protocol, peer)
    finally:
        protocol.abort()
        peer.writer.close()
        server.close()


async def test_commands_leave_in_one_write_and_are_answered_interleaved() -> None:
    async with connected() as line:
        asked = line.ask(A, B)
        first, second = await line.peer.tag(), await line.peer.tag()
        line.peer.say(b"!re", b"=n=b1", tag=second)
        line.peer.say(b"!re", b"=n=a1", tag=first)
        line.peer.say(b"!trap", b"=message=no such command", b"=category=0", tag=second)
        line.peer.say(b"!re", b"=n=a2", tag=first)
        line.peer.say(b"!done", tag=second)
        line.peer.say(b"!done", tag=first)

        match await asked:
            case [Reply() as reply, Trap() as trap]:
                assert reply.rows == [{b"n": b"a1"}, {b"n": b"a2"}]
                assert trap == Trap("no such command", 0)
            case other:
                raise AssertionError(other)
        assert first != second


async def test_empty_is_an_answer_without_rows() -> None:
    async with connected() as line:
        asked = line.ask(A)
        tag = await line.peer.tag()
        line.peer.say(b"!empty", tag=tag)
        line.peer.say(b"!done", tag=tag)

        assert await asked == [Reply([])]


async def test_tags_are_never_used_twice_on_a_connection() -> None:
    async with connected() as line:
        tags: list[bytes] = []
        for _ in range(5):
            asked = line.ask(A, B)
            for _ in range(2):
                tags.append(await line.peer.tag())
                line.peer.say(b"!done", tag=tags[-1])
            await asked

        assert len(set(tags)) == 10


async def test_a_late_answer_cannot_reach_the_next_poll() -> None:
    async with connected() as line:
        asked = line.ask(A, seconds=0.05)
        tag = await line.peer.tag()
        with pytest.raises(TimedOutError):
            await asked
        line.peer.say(b"!re", b"=n=late", tag=tag)
        line.peer.say(b"!done", tag=tag)

        with pytest.raises(TimedOutError):
            await line.ask(A)
        assert line.poller.closed
        await line.peer.closed()


async def test_a_second_answer_to_an_answered_command_ends_the_connection() -> None:
    async with connected() as line:
        asked = line.ask(A)
        tag = await line.peer.tag()
        line.peer.say(b"!done", tag=tag)
        await asked
        asked = line.ask(A)
        await line.peer.tag()
        line.peer.say(b"!re", b"=n=stale", tag=tag)

        with pytest.raises(ProtocolViolatedError, match="answers nothing asked"):
            await asked


async def test_a_cancelled_poll_closes_the_connection() -> None:
    async with connected() as line:
        asked = line.ask(A)
        await line.peer.tag()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

        assert line.poller.closed
        await line.peer.closed()
        with pytest.raises(DisconnectedError):
            await line.ask(A)


async def test_a_slow_trickle_cannot_exceed_the_deadline() -> None:
    async with connected() as line:
        loop = asyncio.get_running_loop()
        started = loop.time()
        asked = line.ask(A, seconds=0.3)
        tag = await line.peer.tag()
        answer = encode_sentence([b"!re", b"=n=" + b"x" * 100, b".tag=" + tag])
        for byte in answer:
            if asked.done():
                break
            line.peer.writer.write(bytes([byte]))
            await asyncio.wait([asked], timeout=0.01)

        with pytest.raises(TimedOutError, match="bytes of the answer received"):
            await asked
        assert loop.time() - started < 1.0


async def test_garbage_ends_the_connection_with_its_reason() -> None:
    async with connected() as line:
        asked = line.ask(A)
        await line.peer.tag()
        line.peer.writer.write(b"\xff\x00HTTP/1.1 400 Bad Request\r\n")

        with pytest.raises(ProtocolViolatedError, match="reserved control byte 0xFF"):
            await asked
        await line.peer.closed()


async def test_a_reply_over_its_bound_is_cut_off() -> None:
    async with connected(max_reply_bytes=10_000) as line:
        asked = line.ask(A)
        tag = await line.peer.tag()
        for _ in range(200):
            line.peer.say(b"!re", b"=n=" + b"x" * 100, tag=tag)

        with pytest.raises(ProtocolViolatedError, match="exceeds 10000 bytes"):
            await asked


async def test_the_bound_counts_anew_for_each_poll() -> None:
    async with connected(max_reply_bytes=1_000) as line:
        for _ in range(5):
            asked = line.ask(A)
            tag = await line.peer.tag()
            line.peer.say(b"!re", b"=n=" + b"x" * 800, tag=tag)
            line.peer.say(b"!done", tag=tag)
            await asked


@pytest.mark.parametrize("tagged", [True, False])
async def test_a_fatal_ends_the_session_with_its_reason(*, tagged: bool) -> None:
    async with connected() as line:
        asked = line.ask(A)
        tag = await line.peer.tag()
        line.peer.say(b"!fatal", b"too many sessions", tag=tag if tagged else None)

        with pytest.raises(RouterClosedError, match="too many sessions"):
            await asked


async def test_a_connection_cut_inside_an_answer_is_disconnected() -> None:
    async with connected() as line:
        asked = line.ask(A)
        line.peer.writer.write(b"\x03!re\x05=n")
        await line.peer.tag()
        await line.peer.writer.drain()
        line.peer.writer.close()

        with pytest.raises(DisconnectedError):
            await asked


async def test_a_connection_that_ends_while_idle_is_known_to_be_closed() -> None:
    async with connected() as line:
        line.peer.writer.close()
        await eventually(lambda: line.poller.closed, bool, deadline_seconds=5)

        with pytest.raises(RouterError):
            await line.ask(A)


async def test_logging_out_says_quit_and_waits_for_the_router() -> None:
    async with connected() as line:
        leaving = asyncio.create_task(line.poller.log_out(asyncio.get_running_loop().time() + 5.0))
        assert await line.peer.sentence() == [b"/quit"]
        assert not leaving.done()
        line.peer.say(b"!fatal", b"session terminated on request")
        async with asyncio.timeout(1):
            await leaving

        assert line.poller.closed


async def test_logging_out_of_a_silent_router_ends_at_the_deadline() -> None:
    async with connected() as line:
        async with asyncio.timeout(2):
            await line.poller.log_out(asyncio.get_running_loop().time() + 0.05)

        assert line.poller.closed


async def test_a_second_exchange_at_the_same_time_is_a_bug_and_says_so() -> None:
    async with connected() as line:
        asked = line.ask(A)
        await line.peer.tag()
        with pytest.raises(RuntimeError, match="one exchange at a time"):
            await line.ask(B)
        asked.cancel()
        await asyncio.wait([asked])
