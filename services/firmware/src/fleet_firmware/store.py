"""The stream as the checker sees it: newest firmware events and advice, and publishing."""

import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import BadRequestError
from nats.js.errors import Error as JetStreamError

from fleet_common.direct import StoredMessage, last_message, last_messages
from fleet_common.errors import TransientError
from fleet_contracts.codec import DecodedEvent, RejectedEventError, decode, encode
from fleet_contracts.gen.fleet.v1.events_pb2 import Event
from fleet_contracts.subjects import (
    EventSubject,
    Kind,
    TenantId,
    kind_subjects,
    message_id,
    stream_name,
)

_log = logging.getLogger(__name__)

_WRONG_LAST_SEQUENCE: Final = 10071


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A valid event and its place on the tenant's stream."""

    decoded: DecodedEvent
    sequence: int


@dataclass(frozen=True, slots=True)
class Newest:
    """What a subject's newest message is; sequence 0 when there is none.

    `event` is also None when the message cannot be decoded.
    """

    event: DecodedEvent | None
    sequence: int


class ConflictError(TransientError):
    """The subject has a newer message than the writer knew: look again, then decide."""


class EventStore(Protocol):
    """What the checker needs of the broker. Every method may raise TransientError."""

    def newest(self, tenant: TenantId, kind: Kind) -> AsyncIterator[StoredEvent]:
        """The newest valid event of each device."""
        ...

    async def newest_of(self, subject: EventSubject) -> Newest:
        """The newest message of one subject."""
        ...

    async def publish(
        self,
        subject: EventSubject,
        event: Event,
        expected_sequence: int,
        headers: Mapping[str, str] | None,
    ) -> int:
        """Store the event and return its sequence; stored when it returns.

        Raises ConflictError, and stores nothing, unless the subject's newest message has
        `expected_sequence` (0: there is none).
        """
        ...


class JetStreamStore:
    """Implements EventStore over a connection."""

    def __init__(self, client: Client, js: JetStreamContext, timeout_seconds: float) -> None:
        self._client = client
        self._js = js
        self._timeout_seconds = timeout_seconds

    async def newest(self, tenant: TenantId, kind: Kind) -> AsyncIterator[StoredEvent]:
        """The newest event of each device; what cannot be decoded is left out."""
        messages = last_messages(
            self._client,
            stream_name(tenant),
            kind_subjects(tenant, kind),
            timeout_seconds=self._timeout_seconds,
        )
        async for message in messages:
            stored = _decoded(message)
            if stored is not None:
                yield stored

    async def newest_of(self, subject: EventSubject) -> Newest:
        """The newest message, by direct get."""
        message = await last_message(
            self._client,
            stream_name(subject.tenant),
            str(subject),
            timeout_seconds=self._timeout_seconds,
        )
        if message is None:
            return Newest(None, 0)
        stored = _decoded(message)
        return Newest(None if stored is None else stored.decoded, message.sequence)

    async def publish(
        self,
        subject: EventSubject,
        event: Event,
        expected_sequence: int,
        headers: Mapping[str, str] | None,
    ) -> int:
        """Publish and wait for the stream's acknowledgement.

        The expected sequence makes it safe to run two checkers, as during a rolling update.
        """
        identity = message_id(subject.device, subject.kind, event.slot_unix_ms)
        try:
            ack = await self._js.publish(
                str(subject),
                encode(event),
                timeout=self._timeout_seconds,
                headers={
                    "Nats-Msg-Id": identity,
                    "Nats-Expected-Last-Subject-Sequence": str(expected_sequence),
                    **(headers or {}),
                },
            )
        except BadRequestError as error:
            if error.err_code == _WRONG_LAST_SEQUENCE:
                raise ConflictError(f"{subject}: {error.description}") from error
            raise TransientError(f"{subject}: not stored: {error.description}") from error
        except (NatsError, JetStreamError, TimeoutError, OSError) as error:
            raise TransientError(
                f"{subject}: not stored: {type(error).__name__}: {error}".rstrip(": ")
            ) from error
        return ack.seq


def _decoded(message: StoredMessage) -> StoredEvent | None:
    try:
        return StoredEvent(decode(message.subject, message.payload), message.sequence)
    except RejectedEventError as error:
        # Its consumer sets it aside and counts it; here it is only not used.
        _log.debug("newest message not used", extra={"reason": str(error)})
        return None
