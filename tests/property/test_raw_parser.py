"""The raw parser against nats-py's own: the same calls for the same bytes, however cut."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.protocol.parser import Parser

from fleet_common.raw_parser import RawParser

type Call = tuple[object, ...]

_RAW_SIDS = (1, 12)
_SUBJECTS = st.sampled_from((b"a", b"fleet.north.gw-01.status", b"_INBOX.x.y", b"MSG", b"PING"))
_REPLIES = st.sampled_from((b"", b"$JS.ACK.S.C.1.2.3.4.5", b"r"))
# Payloads that look like the protocol are the ones a parser trips over.
_PAYLOADS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from((b"", b"\r\n", b"\r", b"PING\r\n", b"MSG a 1 3\r\nabc\r\n", b"x" * 9_000)),
)
_HEADERS = st.sampled_from((b"NATS/1.0\r\n\r\n", b"NATS/1.0 100 Idle\r\nA: b\r\n\r\n"))


@st.composite
def _message(draw: st.DrawFn) -> bytes:
    subject, reply, payload = draw(_SUBJECTS), draw(_REPLIES), draw(_PAYLOADS)
    sid = draw(st.sampled_from((*_RAW_SIDS, 2, 99)))
    # nats-py takes any run of spaces; a broker sends one.
    space = draw(st.sampled_from((b" ", b" ", b" ", b"  ")))
    head = [subject, b"%d" % sid, *([reply] if reply else [])]
    if draw(st.booleans()):
        headers = draw(_HEADERS)
        sizes = [b"%d" % len(headers), b"%d" % (len(headers) + len(payload))]
        return space.join([b"HMSG", *head, *sizes]) + b"\r\n" + headers + payload + b"\r\n"
    return space.join([b"MSG", *head, b"%d" % len(payload)]) + b"\r\n" + payload + b"\r\n"


_OTHERS = st.sampled_from(
    (b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'Slow Consumer'\r\n", b'INFO {"a": 1}\r\n')
)
_BAD = st.sampled_from((b"", b"", b"", b"", b"NONSENSE\r\n", b"MSG a 1 x\r\n", b"MSG a 1 -3\r\n"))
_STREAMS = st.tuples(st.lists(st.one_of(_message(), _message(), _OTHERS), max_size=12), _BAD)


class _Recorder:
    """Stands where the parser's client stands; writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def _process_msg(self, *message: object) -> None:
        self.calls.append(("msg", *message))

    async def _process_err(self, error: str) -> None:
        self.calls.append(("err", error))

    async def _process_ping(self) -> None:
        self.calls.append(("ping",))

    async def _process_pong(self) -> None:
        self.calls.append(("pong",))

    async def _process_info(self, info: dict[str, Any]) -> None:
        self.calls.append(("info", str(info)))

    def receiver(self, sid: int) -> Any:  # noqa: ANN401 - a Receiver
        def receive(*message: object) -> None:
            self.calls.append(("msg", sid, *message))

        return receive


def _fed(parser: Parser, recorder: _Recorder, chunks: list[bytes]) -> list[Call]:
    async def feed() -> None:
        for chunk in chunks:
            try:
                await parser.parse(chunk)
            except Exception as error:  # noqa: BLE001 - any: both must raise alike
                recorder.calls.append((type(error), str(error)))
                return

    asyncio.run(feed())
    return recorder.calls


def _raw(recorder: _Recorder, sids: tuple[int, ...] = _RAW_SIDS) -> RawParser:
    return RawParser(_client(recorder), {sid: recorder.receiver(sid) for sid in sids})


def _client(recorder: _Recorder) -> Client:
    return recorder  # type: ignore[return-value] # pyright: ignore[reportReturnType] - all a parser calls


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@given(_STREAMS, st.lists(st.integers(0, 1 << 16), max_size=12))
def test_the_raw_parser_says_what_nats_pys_says_however_the_bytes_are_cut(
    stream: tuple[list[bytes], bytes], cuts: list[int]
) -> None:
    chunks = _cut(b"".join(stream[0]) + stream[1], cuts)
    theirs, ours = _Recorder(), _Recorder()
    assert _fed(_raw(ours), ours, chunks) == _fed(Parser(theirs), theirs, chunks)


@given(st.lists(_message(), max_size=4))
def test_the_raw_parser_takes_byte_after_byte(messages: list[bytes]) -> None:
    data = b"".join(messages)[:2_000]
    chunks = [data[place : place + 1] for place in range(len(data))]
    theirs, ours = _Recorder(), _Recorder()
    assert _fed(_raw(ours), ours, chunks) == _fed(Parser(theirs), theirs, chunks)


def test_after_a_reset_nothing_of_the_former_connection_is_left() -> None:
    recorder = _Recorder()
    parser = _raw(recorder)
    _fed(parser, recorder, [b"MSG a 1 5\r\nab"])
    parser.reset()
    _fed(parser, recorder, [b"MSG b 1 1\r\nx\r\n"])
    assert recorder.calls == [("msg", 1, b"b", b"", b"x", None)]


def test_a_reset_while_an_ordinary_message_is_processed_drops_the_rest_of_the_read() -> None:
    recorder = _Recorder()
    parser = _raw(recorder)

    async def lost(*_message: object) -> None:
        parser.reset()

    recorder._process_msg = lost  # type: ignore[method-assign] # pyright: ignore[reportPrivateUsage] - the connection ends there
    _fed(parser, recorder, [b"MSG a 2 5\r\nab", b"cde\r\nMSG b 1 1\r\nx\r\n"])
    assert recorder.calls == []
