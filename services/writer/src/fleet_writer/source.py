"""One owned stream: pulls from the stored position on into a bounded buffer.

The consumer is a durable one named `metrics-writer`, deleted and made anew at stored
position + 1 whenever a session begins, with AckPolicy.ALL. Its acknowledgements come
after the commit and are for watchers alone: `ack_floor.stream_seq` of that consumer is
the stored position, readable by anyone on the broker (the planner must not shrink a
stream below it) without asking the database, and it stays readable while the writer is
down. Correctness never rests on it: the position in the database decides, since an
ALL-acknowledged durable that is merely re-used loses messages after a crash (newer ones
are delivered before unacknowledged older ones).

Delivery is checked by the consumer's own sequence. A hole there, heartbeats that stop,
or a heartbeat that tells of more than arrived, mean messages lost on the way: the
consumer is made anew where the buffer ends. A hole in the stream's sequence alone means
messages that are gone from the stream.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from functools import partial
from typing import Final

import orjson
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from fleet_common.raw_client import RawClient
from fleet_contracts.streams import WRITER_CONSUMER
from fleet_writer.batch import Message, Skip
from fleet_writer.errors import BrokerAwayError
from fleet_writer.positions import Position, StreamState, uses_numbers_again
from fleet_writer.streams import published_at, stream_state

_log = logging.getLogger(__name__)

_ACK_WAIT_SECONDS: Final = 3_600.0
_HEARTBEAT_SECONDS: Final = 2.0
_REQUEST_SECONDS: Final = 30.0
_NANOSECOND: Final = 1_000_000_000
_REOPEN_PAUSE_SECONDS: Final = 0.5
_STATUS_PREFIX: Final = b"NATS/1.0 "
_ACK_TOKENS: Final = 9
_ACK_TOKENS_V2: Final = 11


class Mailbox:
    """Counts what all sources hold, and wakes whoever makes batches of it."""

    def __init__(self, batch_messages: int) -> None:
        self._batch_messages = batch_messages
        self.count = 0
        self.some = asyncio.Event()
        self.full = asyncio.Event()

    def added(self) -> None:
        """One more item lies in a source."""
        self.count += 1
        if self.count == 1:
            self.some.set()
        if self.count >= self._batch_messages:
            self.full.set()

    def taken(self, number: int) -> None:
        """Items left their sources."""
        self.count -= number
        if self.count <= 0:
            self.some.clear()
        if self.count < self._batch_messages:
            self.full.clear()


class Source:
    """The consumer of one stream and what it delivered."""

    def __init__(
        self,
        client: RawClient,
        js: JetStreamContext,
        position: Position,
        mailbox: Mailbox,
        *,
        request_bytes: int,
        timeout_seconds: float,
    ) -> None:
        self.position = position
        self.buffer: deque[Message | Skip] = deque()
        self.limit = 1000
        self.ended = asyncio.Event()
        """Set when the stream is gone, or is another one under the same name."""
        self._client = client
        self._js = js
        self._mailbox = mailbox
        self._request_bytes = request_bytes
        self._timeout_seconds = timeout_seconds
        self._next_sequence = position.stored_sequence + 1
        self._last_ns = position.stored_at_ns
        """When the message before that one was published."""
        self._consumer_sequence = 0
        self._outstanding = 0
        self._heard_at = 0.0
        self._broken: str | None = None
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._sending: set[asyncio.Future[None]] = set()

    async def run(self) -> None:
        """Keep the consumer alive until the stream ends; cancel it to stop."""
        try:
            while not self.ended.is_set():
                try:
                    await self._open()
                except (BrokerAwayError, NatsError, TimeoutError, OSError) as error:
                    _log.warning(
                        "cannot open the consumer; trying again",
                        extra={"stream": self.position.stream, "reason": str(error)},
                    )
                    await asyncio.sleep(_REOPEN_PAUSE_SECONDS)
                    continue
                while self._broken is None and not self.ended.is_set():
                    await asyncio.sleep(_HEARTBEAT_SECONDS / 4)
                    self.refill()
                    silent = time.monotonic() - self._heard_at
                    if self._outstanding > 0 and silent > 3 * _HEARTBEAT_SECONDS:
                        self._broken = f"no heartbeat for {silent:.1f} s"
                if self._broken is not None:
                    _log.info(
                        "making the consumer anew",
                        extra={
                            "stream": self.position.stream,
                            "reason": self._broken,
                            "from_sequence": self._next_sequence,
                        },
                    )
        finally:
            await self._unsubscribe()

    def take(self, most: int, most_bytes: int) -> tuple[list[Message | Skip], int]:
        """Remove up to `most` items (one at least) from the front; returns them and their bytes."""
        items: list[Message | Skip] = []
        size = 0
        buffer = self.buffer
        while buffer and len(items) < most and size < most_bytes:
            item = buffer.popleft()
            items.append(item)
            if isinstance(item, Message):
                size += len(item.payload)
        self._mailbox.taken(len(items))
        return items, size

    def refill(self) -> None:
        """Ask for as much as there is room for."""
        if self._broken is not None or self._subscription is None:
            return
        room = self.limit - len(self.buffer) - self._outstanding
        if room < max(1, self.limit // 4) and not (self._outstanding <= 0 and room > 0):
            return
        self._outstanding = max(0, self._outstanding) + room
        request = {
            "batch": room,
            "max_bytes": self._request_bytes,
            "expires": int(_REQUEST_SECONDS * _NANOSECOND),
            "idle_heartbeat": int(_HEARTBEAT_SECONDS * _NANOSECOND),
        }
        self._publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self.position.stream}.{WRITER_CONSUMER}",
            orjson.dumps(request),
            self._inbox,
        )

    def acknowledge(self, reply: bytes) -> None:
        """Tell the broker that everything up to this message is stored. Never waits."""
        if reply:
            self._publish(reply.decode(), b"+ACK", "")

    def _publish(self, subject: str, payload: bytes, reply: str) -> None:
        task = asyncio.ensure_future(self._client.publish(subject, payload, reply=reply))
        self._sending.add(task)
        task.add_done_callback(self._sent)

    def _sent(self, task: "asyncio.Future[None]") -> None:
        self._sending.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # The heartbeat watch notices a request that never went out.
            _log.debug("not sent", extra={"reason": str(task.exception())})

    async def _open(self) -> None:
        await self._unsubscribe()
        stream = self.position.stream
        state = await stream_state(self._js, stream)
        if (
            state is None
            or state.created != self.position.created
            or await self._uses_numbers_again(state)
        ):
            # The session opens a new position for it.
            self.ended.set()
            return
        if state.first_sequence > self._next_sequence:
            self._next_sequence = state.first_sequence
            self.buffer.append(Skip(self.position, state.first_sequence - 1))
            self._mailbox.added()
        with contextlib.suppress(NotFoundError):
            await self._js.delete_consumer(stream, WRITER_CONSUMER)
        await self._js.add_consumer(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
            stream,
            ConsumerConfig(
                durable_name=WRITER_CONSUMER,
                description="stored position of the metrics-writer: ack_floor.stream_seq",
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._next_sequence,
                ack_policy=AckPolicy.ALL,
                ack_wait=_ACK_WAIT_SECONDS,
                max_ack_pending=-1,
            ),
        )
        self._inbox = self._client.new_inbox()
        self._consumer_sequence = 0
        self._outstanding = 0
        self._broken = None
        self._heard_at = time.monotonic()
        self._subscription = await self._client.subscribe(self._inbox)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        self._client.deliver_directly(self._subscription, self._receive)
        self.refill()

    async def _uses_numbers_again(self, state: StreamState) -> bool:
        published = partial(published_at, self._client, state.name, self._timeout_seconds)
        return await uses_numbers_again(state, self._next_sequence - 1, self._last_ns, published)

    def _receive(self, subject: bytes, reply: bytes, payload: bytes, headers: bytes | None) -> None:
        if self._broken is not None:
            return
        self._heard_at = time.monotonic()
        if headers is not None and headers.startswith(_STATUS_PREFIX):
            self._on_status(headers)
            return
        tokens = reply.split(b".")
        last = _ACK_TOKENS if len(tokens) == _ACK_TOKENS else _ACK_TOKENS_V2
        sequence, consumer_sequence, published = tokens[last - 4 : last - 1]
        if int(consumer_sequence) != self._consumer_sequence + 1:
            self._broken = (
                f"delivery {int(consumer_sequence)} came after {self._consumer_sequence}: "
                "messages were lost on the way"
            )
            return
        self._consumer_sequence += 1
        self._outstanding -= 1
        number = int(sequence)
        if number < self._next_sequence:
            return
        self._next_sequence = number + 1
        self._last_ns = published_ns = int(published)
        self.buffer.append(
            Message(
                self.position,
                number,
                published_ns,
                subject.decode(errors="replace"),
                payload,
                reply,
                _header(headers, b"traceparent") if headers is not None else None,
            )
        )
        self._mailbox.added()
        if self._outstanding <= self.limit // 4:
            self.refill()

    def _on_status(self, headers: bytes) -> None:
        status, _, description = headers.partition(b"\r\n")[0].decode()[9:].partition(" ")
        if status == "100":
            delivered = int(_header(headers, b"Nats-Last-Consumer") or 0)
            if delivered > self._consumer_sequence:
                self._broken = (
                    f"{delivered - self._consumer_sequence} messages were lost on the way"
                )
            return
        # 404, 408 and 409 end a request; what it did not deliver is no longer outstanding.
        left = _header(headers, b"Nats-Pending-Messages")
        if left is None or "Deleted" in description:
            self._broken = f"{status} {description}".strip()
            return
        self._outstanding = max(0, self._outstanding - int(left))
        self.refill()

    async def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        self._inbox = ""
        if subscription is not None:
            self._client.deliver_as_usual(subscription)
            # Where the connection is gone, the subscription went with it.
            with contextlib.suppress(NatsError, OSError):
                await subscription.unsubscribe()


def _header(headers: bytes, name: bytes) -> str | None:
    """One header's value; the names the writer asks for are sent in this very case."""
    _, found, rest = headers.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip().decode() if found else None
