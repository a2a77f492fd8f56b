"""Messages of a stream in order, for the accounting and for `events tail`."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy

from fleet_common.errors import TransientError

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
    subscription = await js.subscribe(  # pyright: ignore[reportUnknownMemberType] - nats-py types its callback loosely
        subject, stream=stream, ordered_consumer=True, config=config
    )
    try:
        while True:
            try:
                message = await subscription.next_msg(timeout=1)
            except NatsTimeoutError:
                continue
            metadata = message.metadata
            yield StreamMessage(
                stream,
                metadata.sequence.stream,
                message.subject,
                message.data,
                metadata.timestamp,
            )
    finally:
        await subscription.unsubscribe()


async def read_range(
    js: JetStreamContext, stream: str, subject: str, first: int, last: int
) -> AsyncGenerator[StreamMessage]:
    """The messages that the stream still holds between two sequences, both included.

    Raises TransientError when the broker goes silent before the end.
    """
    if first > last:
        return
    subscription = await js.subscribe(  # pyright: ignore[reportUnknownMemberType] - nats-py types its callback loosely
        subject,
        stream=stream,
        ordered_consumer=True,
        config=ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=first),
    )
    try:
        while True:
            try:
                message = await subscription.next_msg(timeout=_SILENCE_SECONDS)
            except NatsTimeoutError as error:
                raise TransientError(
                    f"stream {stream}: no message for {_SILENCE_SECONDS:g} s before sequence {last}"
                ) from error
            metadata = message.metadata
            sequence = metadata.sequence.stream
            if sequence > last:
                return
            yield StreamMessage(stream, sequence, message.subject, message.data, metadata.timestamp)
            if sequence == last or metadata.num_pending == 0:
                return
    finally:
        await subscription.unsubscribe()
