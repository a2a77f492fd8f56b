"""nats-py's client with a short way in and a short way out, for services that move much.

In: per message nats-py makes an object, parses its headers into a dictionary, queues it
and wakes a task. A subscription registered here gets the raw parts at once, from the
read loop and by a parser made for it (see raw_parser). Out: per message nats-py checks
subject and headers anew, builds them piece by piece and looks at its flusher; here a
burst is built by its sender and queued as one.

Both go through what the pinned version (nats-py 2.16.0) calls `_ps`, `_process_msg` and
`_send_command`; the integration tests of the services that use them fail should another
version not.
"""

from collections.abc import Mapping, Sequence
from typing import override

from nats.aio.subscription import Subscription
from nats.errors import ConnectionReconnectingError

from fleet_common.broker_client import BrokerClient
from fleet_common.raw_parser import RawParser, Receiver


class RawClient(BrokerClient):
    """A BrokerClient; what is not asked for here goes on as usual."""

    def __init__(self) -> None:
        super().__init__()
        self._receivers: dict[int, Receiver] = {}
        self._ps = RawParser(self, self._receivers)

    def deliver_directly(self, subscription: Subscription, receiver: Receiver) -> None:
        """Hand the subscription's messages to `receiver` from now on."""
        self._receivers[subscription._id] = receiver  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above

    def deliver_as_usual(self, subscription: Subscription) -> None:
        """Undo `deliver_directly`."""
        self._receivers.pop(subscription._id, None)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above

    async def send_burst(self, commands: Sequence[bytes]) -> None:
        """Queue whole protocol commands (see `publish_command`) for one write.

        Raises ConnectionReconnectingError, with nothing queued, while there is no
        connection. That the broker has them, only its answer tells.
        """
        if not self.is_connected:
            raise ConnectionReconnectingError
        self.stats["out_msgs"] += len(commands)
        burst = b"".join(commands)
        self.stats["out_bytes"] += len(burst)
        await self._send_command(burst)
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    @override
    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        receiver = self._receivers.get(sid)
        if receiver is None:
            await super()._process_msg(sid, subject, reply, data, headers)  # type: ignore[arg-type]
        else:
            receiver(subject, reply, data, headers)


def publish_command(
    subject: str,
    reply: str,
    message_id: str,
    payload: bytes,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """HPUB of a message with its de-duplication id.

    Nothing is checked: subjects and id must be made of names that the contracts checked,
    further headers be those of trace context, and the whole no larger than the broker's
    `max_payload`.
    """
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) if headers else ""
    lines = f"NATS/1.0\r\nNats-Msg-Id: {message_id}\r\n{more}\r\n"
    size = len(lines)
    head = f"HPUB {subject} {reply} {size} {size + len(payload)}\r\n{lines}"
    return b"%b%b\r\n" % (head.encode("ascii"), payload)
