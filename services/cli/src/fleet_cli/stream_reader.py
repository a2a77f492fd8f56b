"""Messages of a stream in order, for the accounting and for `events tail`."""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy

from fleet_common.errors import TransientError

_LOOK_SECONDS: Final = 1.0
_SILENCE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """One message. `published` is when the broker stored it."""

    stream: str
    sequence: int
    subject: str
    payload: bytes
    published: datetime


async def read_from(
    js: JetStreamContext, stream: str, config: ConsumerConfig, subject: str = ""
) -> AsyncGenerator[StreamMessage]:
    """Every message from where `config` begins, for ever, in order and without holes.

    The ordered consumer behind it is made anew by nats-py when it misses something.
    Close with `contextlib.aclosing`.
    """
    async with _subscribed(js, stream, config, subject) as subscription:
        while True:
            try:
                message = await subscription.next_msg(timeout=_LOOK_SECONDS)
            except NatsTimeoutError:
                continue
            yield _read(stream, message)


async def read_range(
    js: JetStreamContext, stream: str, subject: str, first: int, last: int
) -> AsyncGenerator[StreamMessage]:
    """The messages that the stream still holds between two sequences, both included.

    Raises TransientError when the broker goes silent before the end.
    """
    if first > last:
        return
    config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=first)
    async with _subscribed(js, stream, config, subject) as subscription:
        while True:
            try:
                message = await subscription.next_msg(timeout=_SILENCE_SECONDS)
            except NatsTimeoutError as error:
                raise TransientError(
                    f"stream {stream}: no message for {_SILENCE_SECONDS:g} s before sequence {last}"
                ) from error
            found = _read(stream, message)
            if found.sequence <= last:
                yield found
            if found.sequence >= last or message.metadata.num_pending == 0:
                return


@contextlib.asynccontextmanager
async def _subscribed(
    js: JetStreamContext, stream: str, config: ConsumerConfig, subject: str
) -> AsyncGenerator[JetStreamContext.PushSubscription]:
    subscription = await js.subscribe(  # pyright: ignore[reportUnknownMemberType] - nats-py types its callback loosely
        subject, stream=stream, ordered_consumer=True, config=config
    )
    try:
        yield subscription
    finally:
        await subscription.unsubscribe()


def _read(stream: str, message: Msg) -> StreamMessage:
    metadata = message.metadata
    return StreamMessage(
        stream, metadata.sequence.stream, message.subject, message.data, metadata.timestamp
    )
