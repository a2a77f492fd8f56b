"""nats-py's parser with a short way for messages whose receiver takes the raw parts.

nats-py's tries one pattern after another at each control line, cuts its buffer twice a
message and awaits the client for each. Here the bytes of a read are gone through by
position: while message after message belongs to a receiver, each is a few slices and a
call. At anything else (PING, INFO, a message for an ordinary subscription, a line that
looks odd) the rest of the read goes to nats-py's own parser, which thereby decides
about everything but the plain case.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, override

from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

if TYPE_CHECKING:
    from nats.aio.client import Client

type Receiver = Callable[[bytes, bytes, bytes, bytes | None], None]
"""Takes subject, reply subject, payload and raw headers; must not block or raise."""

_END: Final = b"\r\n"
_END_SIZE: Final = len(_END)


class RawParser(Parser):
    """A Parser for one client; `receivers` is by subscription id and may change."""

    def __init__(self, client: "Client", receivers: Mapping[int, Receiver]) -> None:
        self._receivers = receivers
        self._wanted = 0
        """Bytes the buffer must hold before its first message is whole; 0 when not known."""
        self._resets = 0
        super().__init__(client)  # pyright: ignore[reportUnknownMemberType] - nats-py leaves it untyped

    @override
    def reset(self) -> None:
        super().reset()
        self._wanted = 0
        self._resets += 1

    @override
    async def parse(self, data: bytes = b"") -> None:
        if self.state != AWAITING_CONTROL_LINE:
            # nats-py's parser stopped inside a message: it gets the rest of just that one.
            missing = self.needed + _END_SIZE - len(self.buf)
            resets = self._resets
            await super().parse(data[:missing])
            if len(data) <= missing or self._resets != resets:
                return  # after a reset, what was read belongs to a connection that is gone
            data = data[missing:]
        elif self.buf:
            self.buf += data
            if len(self.buf) < self._wanted:
                return
            data = bytes(self.buf)
            self.buf.clear()
        position, self._wanted = self._deliver(data)
        if position < len(data):
            self.buf += data[position:] if position else data
            if not self._wanted:
                await super().parse()

    def _deliver(self, data: bytes) -> tuple[int, int]:
        """Hand over messages from the start on; where that ended, and the bytes wanted there.

        Wanted are the bytes of a message that is not all there; 0 is for nats-py's parser.
        """
        receivers = self._receivers
        position = 0
        while True:
            end = data.find(_END, position)
            if end < 0:
                return position, 0
            match data[position:end].split(b" "):
                case [b"HMSG", subject, sid, reply, head, total]:
                    pass
                case [b"HMSG", subject, sid, head, total]:
                    reply = b""
                case [b"MSG", subject, sid, reply, total]:
                    head = b"0"
                case [b"MSG", subject, sid, total]:
                    reply, head = b"", b"0"
                case _:
                    return position, 0
            if not (sid.isdigit() and head.isdigit() and total.isdigit()):
                return position, 0
            receiver = receivers.get(int(sid))
            if receiver is None:
                return position, 0
            start = end + _END_SIZE
            stop = start + int(total)
            if len(data) < stop + _END_SIZE:
                return position, stop + _END_SIZE - position
            header_size = int(head)
            if header_size:
                body = start + header_size
                receiver(subject, reply, data[body:stop], data[start:body])
            else:
                receiver(subject, reply, data[start:stop], None)
            position = stop + _END_SIZE
