"""The connection to one router: buffered reads, tagged pipelining, one deadline a poll.

All commands of a poll leave in one write and are answered interleaved. Whatever goes
wrong ends the connection: after a time-out or a cancelled wait a late reply would
otherwise be taken for the next command's (the defect this module exists to exclude).
Tags count up for the whole life of a connection, so that even a router that answers
twice cannot answer a later poll.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Sequence
from typing import cast, override

from fleet_poller.routeros.commands import Answer, Command, Reply, Trap
from fleet_poller.routeros.errors import (
    DisconnectedError,
    ProtocolViolatedError,
    RouterClosedError,
    RouterError,
    TimedOutError,
)
from fleet_poller.routeros.wire import (
    BARE,
    ROW,
    Attributes,
    Sentence,
    SentenceDecoder,
    WireError,
    encode_word,
    take_apart,
)

MAX_REPLY_BYTES = 8 << 20
"""All answers of one poll (or login) together; a router with more is cut off."""

type UntaggedSentence = tuple[bytes, Attributes]
"""Reply word and attributes of a sentence of the login."""

_QUIT = b"\x05/quit\x00"
_DONE = b"\x05!done"


class _Exchange:
    """One command on its way: what has been answered so far."""

    __slots__ = ("rows", "trap")

    def __init__(self) -> None:
        self.rows: list[Sentence] = []
        self.trap: Trap | None = None


class RouterProtocol(asyncio.Protocol):
    """One connection. Used by one caller at a time; not reusable once `closed`."""

    __slots__ = (
        "_decoder",
        "_error",
        "_exchanges",
        "_loop",
        "_max_reply_bytes",
        "_next_tag",
        "_received",
        "_transport",
        "_untagged",
        "_waiter",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, max_reply_bytes: int = MAX_REPLY_BYTES
    ) -> None:
        self._loop = loop
        self._max_reply_bytes = max_reply_bytes
        self._decoder = SentenceDecoder()
        self._transport: asyncio.Transport | None = None
        self._error: RouterError | None = None
        self._exchanges: dict[bytes, _Exchange] = {}
        self._next_tag = 0
        self._received = 0
        self._untagged: deque[UntaggedSentence] | None = deque()
        self._waiter: asyncio.Future[None] | None = None

    # --- what the session uses -------------------------------------------------------

    @property
    def closed(self) -> bool:
        """The connection is over and only good for telling why."""
        return self._error is not None

    def peer_certificate(self) -> bytes | None:
        """The peer's certificate (DER), None on a plain or anonymous connection."""
        ssl_object = self._transport and self._transport.get_extra_info("ssl_object")
        if ssl_object is None:
            return None
        return cast("bytes | None", ssl_object.getpeercert(binary_form=True))

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> None:
        """Go on in TLS. Raises ssl.SSLError or OSError; the caller sets the deadline."""
        if self._error is not None or self._transport is None:
            raise self._error or RuntimeError("not connected")
        self._transport = await self._loop.start_tls(
            self._transport, self, context, server_hostname=server_name
        )

    async def exchange(self, commands: Sequence[Command], deadline: float) -> list[Answer]:
        """Send all commands at once, give the answer of each, in their order.

        `deadline` is a time of the event loop's clock and bounds the whole exchange.
        Raises a RouterError (connection closed); closes the connection when cancelled.
        """
        if self._error is not None:
            raise self._error
        if self._exchanges or self._transport is None:
            raise RuntimeError("one exchange at a time on an open connection")
        self._received = 0
        first = self._next_tag
        self._next_tag += len(commands)
        tags = [_tag_word(tag) for tag in range(first, self._next_tag)]
        exchanges = [_Exchange() for _ in tags]
        self._exchanges = dict(zip(tags, exchanges, strict=True))
        self._transport.write(
            b"".join(
                [
                    b"%b%b\0" % (command.encoded, tag)
                    for command, tag in zip(commands, tags, strict=True)
                ]
            )
        )
        if commands:
            await self._wait(deadline)
        return [one.trap or Reply(one.rows) for one in exchanges]

    async def next_untagged(self, deadline: float) -> UntaggedSentence:
        """The next sentence of an untagged dialogue, i.e. of the login."""
        if self._untagged is None:
            raise RuntimeError("the untagged dialogue has ended")
        while not self._untagged:
            if self._error is not None:
                raise self._error
            await self._wait(deadline)
        return self._untagged.popleft()

    def send_untagged(self, words: Sequence[bytes]) -> None:
        """Send one sentence of the login dialogue."""
        if self._error is not None:
            raise self._error
        if self._transport is not None:
            self._received = 0
            self._transport.write(b"".join(map(encode_word, words)) + b"\0")

    def end_untagged(self) -> None:
        """From here on every answer carries a tag; anything else breaks the protocol."""
        if self._untagged:
            self._fail(ProtocolViolatedError("the router said more than the login asks for"))
        self._untagged = None

    def abort(self, error: RouterError | None = None) -> None:
        """Drop the connection now, without waiting for anything."""
        self._fail(error or DisconnectedError("closed by the poller"))

    async def log_out(self, deadline: float) -> None:
        """End an idle session politely (`/quit`); abort when the router does not follow."""
        if self._error is None and not self._exchanges and self._transport is not None:
            self._transport.write(_QUIT)
            # `!fatal` and the end of the stream are the polite answer
            with contextlib.suppress(RouterError):
                await self._wait(deadline)
        self.abort()

    # --- what the event loop calls ---------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._max_reply_bytes:
            self._fail(ProtocolViolatedError(f"a reply exceeds {self._max_reply_bytes} bytes"))
            return
        try:
            sentences = self._decoder.feed(data)
        except WireError as error:
            self._fail(ProtocolViolatedError(str(error)))
            return
        exchanges = self._exchanges
        for sentence in sentences:
            # RouterOS puts the tag behind the reply word, and most sentences are rows.
            exchange = exchanges.get(sentence[1]) if len(sentence) > 1 else None
            if exchange is not None and sentence[0] == ROW:
                exchange.rows.append(sentence)
            elif exchange is not None and sentence[0] == _DONE:
                self._done(sentence[1])
            else:
                self._take(sentence)
                if self._error is not None:
                    return

    @override
    def eof_received(self) -> bool:
        return False  # RouterOS does not half-close: the end of one side is the end

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        reason = f"connection lost: {exc}" if exc else "the router closed the connection"
        self._fail(DisconnectedError(reason))
        self._transport = None

    # --- inside ----------------------------------------------------------------------

    def _take(self, sentence: Sentence) -> None:
        """Any sentence, its tag wherever it stands."""
        reply, tag, attributes = take_apart(sentence)
        key = _key(tag)
        exchange = self._exchanges.get(key)
        if reply == b"!fatal":
            self._fail(RouterClosedError(fatal_reason(attributes)))
        elif exchange is None:
            self._take_unexpected(reply, tag, attributes)
        elif reply == b"!re":
            exchange.rows.append(sentence)
        elif reply == b"!done":
            self._done(key)
        elif reply == b"!trap":
            exchange.trap = exchange.trap or read_trap(attributes)
        elif reply != b"!empty":
            self._fail(ProtocolViolatedError(f"unknown reply word {reply[:40]!r}"))

    def _take_unexpected(self, reply: bytes, tag: bytes, attributes: Attributes) -> None:
        """A sentence that belongs to no command on its way."""
        if self._untagged is not None and not tag:
            self._untagged.append((reply, attributes))
            self._wake()
        else:
            self._fail(
                ProtocolViolatedError(f"{reply!r} with tag {tag[:20]!r} answers nothing asked")
            )

    def _done(self, key: bytes) -> None:
        del self._exchanges[key]
        if not self._exchanges:
            self._wake()

    async def _wait(self, deadline: float) -> None:
        """Until woken. Raises what ended the connection; cancelling ends it."""
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_at(deadline, self._expire)
        try:
            await waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            timer.cancel()
            self._waiter = None

    def _expire(self) -> None:
        got = f"{self._received} bytes of the answer" if self._received else "nothing"
        self._fail(TimedOutError(f"deadline passed with {got} received"))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: RouterError) -> None:
        """Record why the connection is over (the first reason stays) and drop it."""
        if self._error is not None:
            return
        self._error = error
        self._exchanges = {}
        if self._transport is not None:
            self._transport.abort()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


def _tag_word(number: int) -> bytes:
    """The tag as it travels, its length byte included."""
    return _key(b"%d" % number)


def _key(tag: bytes) -> bytes:
    """A tag as the decoder gives it (one too long to be ours is none of ours)."""
    return b"%c.tag=%b" % ((len(tag) + 5) & 0xFF, tag)


def read_trap(attributes: Attributes) -> Trap:
    """The content of a `!trap`; a missing message or a malformed category is no error."""
    message = attributes.get(b"message", attributes.get(BARE, b"")).decode(errors="replace")
    category = attributes.get(b"category", b"")
    one_digit = len(category) == 1 and category.isdigit()  # all that RouterOS has: 0 to 7
    return Trap(message[:200], int(category) if one_digit else None)


def fatal_reason(attributes: Attributes) -> str:
    """What the router gave as reason of a `!fatal`."""
    reason = attributes.get(BARE) or attributes.get(b"message") or b"no reason given"
    return reason.decode(errors="replace")[:200]
