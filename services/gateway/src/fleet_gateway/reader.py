"""Reading one stream in order, without acknowledgement: an ordered consumer of our own.

The client library's ordered consumer starts over on its own; here the caller must know when
that happens, because between two consumers messages may have been discarded. The consumer is
a push consumer with flow control and heartbeats; a missing number in its own sequence, a
silent heartbeat or a new connection ends the reading with an error that says so.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from fleet_common.errors import TransientError
from fleet_contracts.subjects import TenantId, stream_name, tenant_subjects
from fleet_gateway.entries import RawMessage

_HEARTBEAT_SECONDS: Final = 2.0
_SILENCE_SECONDS: Final = 3 * _HEARTBEAT_SECONDS
_CHECK_SECONDS: Final = 0.25
_INACTIVE_SECONDS: Final = 30.0
_NANOSECONDS: Final = 1e9

type OnMessage = Callable[[RawMessage, int], None]
"""Gets each message and how many more the consumer has pending behind it."""


class ReadingEndedError(TransientError):
    """The consumer must be set up again; `reason` is a metric label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StreamReader:
    """Reads one tenant's stream. One reading at a time."""

    def __init__(self, client: NatsClient, js: JetStreamContext, tenant: TenantId) -> None:
        self._client = client
        self._js = js
        self._tenant = tenant
        self._expected = 1
        self._last_heard = 0.0
        self._on_message: OnMessage | None = None
        self._ended: asyncio.Future[None] | None = None

    async def read_state(self, last_seq: int) -> list[RawMessage]:
        """The last message of each subject as of `last_seq`, in stream order.

        A subject that got a newer message since may be missing: it stands after `last_seq`.
        Raises ReadingEndedError, or the client library's errors when the API call fails.
        """
        if last_seq == 0:
            return []
        state: list[RawMessage] = []
        done = asyncio.Event()

        def take(message: RawMessage, pending: int) -> None:
            # Last-per-subject messages come in the order of their sequences.
            if message.seq <= last_seq:
                state.append(message)
            if message.seq >= last_seq or pending == 0:
                done.set()

        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
            filter_subject=tenant_subjects(self._tenant),
        )
        await self._run(config, take, done)
        return state

    async def follow(self, start_seq: int, on_message: OnMessage) -> None:
        """Hand over every message from `start_seq` on, for ever; raises as `read_state` does."""
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=start_seq
        )
        await self._run(config, on_message, asyncio.Event())

    async def _run(
        self, config: ConsumerConfig, on_message: OnMessage, done: asyncio.Event
    ) -> None:
        inbox = self._client.new_inbox()
        self._expected = 1
        self._last_heard = time.monotonic()
        self._on_message = on_message
        self._ended = asyncio.get_running_loop().create_future()
        connection = self._client.stats["reconnects"]
        subscription = await self._client.subscribe(inbox, cb=self._receive)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        stream = stream_name(self._tenant)
        consumer: str | None = None
        try:
            info = await self._js.add_consumer(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
                stream,
                config.evolve(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
                    ack_policy=AckPolicy.NONE,
                    max_deliver=1,
                    deliver_subject=inbox,
                    flow_control=True,
                    idle_heartbeat=_HEARTBEAT_SECONDS,
                    inactive_threshold=_INACTIVE_SECONDS,
                    mem_storage=True,
                    num_replicas=1,
                ),
            )
            consumer = info.name
            if config.deliver_policy is DeliverPolicy.LAST_PER_SUBJECT and not info.num_pending:
                # Either nothing is there, or all of it is on its way already.
                delivered = info.delivered.consumer_seq if info.delivered else 0
                if not delivered:
                    return
            await self._watch(connection, done)
        finally:
            self._on_message = None
            with contextlib.suppress(NatsError, OSError):
                await subscription.unsubscribe()
            if consumer is not None and self._client.is_connected:
                with contextlib.suppress(NatsError, TimeoutError, OSError):
                    async with asyncio.timeout(1):
                        await self._js.delete_consumer(stream, consumer)

    async def _watch(self, connection: int, done: asyncio.Event) -> None:
        ended = self._ended
        assert ended is not None  # noqa: S101 - set by the only caller
        waiting = asyncio.create_task(done.wait(), name=f"reader-{self._tenant}")
        try:
            while not done.is_set():
                await asyncio.wait(
                    {ended, waiting},
                    timeout=_CHECK_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if ended.done():
                    ended.result()
                if self._client.stats["reconnects"] != connection:
                    raise ReadingEndedError("reconnected")
                if time.monotonic() - self._last_heard > _SILENCE_SECONDS:
                    raise ReadingEndedError("silent")
        finally:
            waiting.cancel()

    async def _receive(self, message: Msg) -> None:
        """One message of the subscription: an event, a heartbeat or flow control."""
        if self._on_message is None or self._ended is None or self._ended.done():
            return
        self._last_heard = time.monotonic()
        headers = message.headers
        if headers is not None and headers.get("Status") == "100":
            await self._control(message, headers)
            return
        try:
            raw, consumer_seq, pending = _unpack(message)
            if consumer_seq != self._expected:
                self._ended.set_exception(ReadingEndedError("gap"))
                return
            self._expected += 1
            self._on_message(raw, pending)
        except Exception as error:  # noqa: BLE001 - handed to the reader's task, which raises it
            self._ended.set_exception(error)

    async def _control(self, message: Msg, headers: dict[str, str]) -> None:
        if message.reply:
            await self._client.publish(message.reply)
        elif "Nats-Consumer-Stalled" in headers:
            await self._client.publish(headers["Nats-Consumer-Stalled"])
        last = headers.get("Nats-Last-Consumer")
        if last is not None and int(last) >= self._expected and self._ended is not None:
            self._ended.set_exception(ReadingEndedError("gap"))


def _unpack(message: Msg) -> tuple[RawMessage, int, int]:
    """The message, its number in the consumer, and how many are pending behind it.

    Reply subjects: `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.
    <time>.<pending>`, with domain and account hash after ACK in the newer form (ADR-15).
    """
    tokens = message.reply.split(".")
    at = 2 if len(tokens) == 9 else 4  # noqa: PLR2004 - see above
    raw = RawMessage(
        subject=message.subject,
        payload=message.data,
        seq=int(tokens[at + 3]),
        published_unix=int(tokens[at + 5]) / _NANOSECONDS,
        headers=message.headers,
    )
    return raw, int(tokens[at + 4]), int(tokens[at + 6])
