"""Reading back from a stream for one client, past what the ring still holds.

Batched direct get needs no consumer.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from nats.aio.client import Client as NatsClient
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from fleet_common.broker import created_at
from fleet_common.direct import StoredMessage, direct_get
from fleet_common.errors import TransientError
from fleet_contracts.codec import RejectedEventError
from fleet_contracts.subjects import TenantId, stream_name, tenant_subjects
from fleet_gateway.entries import Entry, RawMessage, render_entry
from fleet_gateway.positions import epoch_of

UNAVAILABLE: Final = "unavailable"
"""A ReplayFailedError's reason that passes: the stream may well hold what is wanted."""

_BATCH: Final = 500
_BATCH_BYTES: Final = 4 * 1024 * 1024
_DEADLINES_SECONDS: Final = (1.0, 4.0)
_CONCURRENT: Final = 4


class ReplayFailedError(Exception):
    """The stream does not give what the client missed; `reason` names why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Batch:
    """Valid events in stream order, and the last sequence they account for."""

    entries: Sequence[Entry]
    through: int


class Replays(Protocol):
    """Reads back from a tenant's stream."""

    async def read(self, tenant: TenantId, epoch: str, after: int, through: int) -> Batch:
        """See Replayer.read."""
        ...

    async def reaches(self, tenant: TenantId, epoch: str, seq: int) -> bool:
        """See Replayer.reaches."""
        ...


class Replayer:
    """Shared by all clients; only a few read at the same time, the others wait their turn."""

    def __init__(self, client: NatsClient, js: JetStreamContext) -> None:
        self._client = client
        self._js = js
        self._turns = asyncio.Semaphore(_CONCURRENT)

    async def read(self, tenant: TenantId, epoch: str, after: int, through: int) -> Batch:
        """Events with a sequence above `after`, up to about `through`, at least one step.

        Raises ReplayFailedError: `discarded` when messages after `after` are gone, `recreated`
        when the stream is another one, `unavailable` when it cannot be read now.
        """
        request = {
            "seq": after + 1,
            "batch": min(_BATCH, through - after),
            "max_bytes": _BATCH_BYTES,
            "next_by_subj": tenant_subjects(tenant),
        }
        async with self._turns:
            messages = await self._ask(stream_name(tenant), request)
            try:
                # Asked after the reading: a stream made anew in between would show.
                await self._info(tenant, epoch)
            except (NatsError, TimeoutError, OSError) as error:
                raise ReplayFailedError(UNAVAILABLE) from error
        return _checked([_raw(message) for message in messages], epoch, after)

    async def reaches(self, tenant: TenantId, epoch: str, seq: int) -> bool:
        """Whether the stream ever held `seq`; raises ReplayFailedError as `read` does."""
        self._connection()
        try:
            info = await self._info(tenant, epoch)
        except (NatsError, TimeoutError, OSError) as error:
            raise ReplayFailedError(UNAVAILABLE) from error
        return seq <= info.state.last_seq

    async def _ask(self, stream: str, request: Mapping[str, object]) -> list[StoredMessage]:
        """Asks twice: what is lost on its way is missed after the shorter time."""
        reason: TransientError | None = None
        for deadline_seconds in _DEADLINES_SECONDS:
            connection = self._connection()
            try:
                messages = await direct_get(self._client, stream, request, deadline_seconds)
            except TransientError as error:
                reason = error
                continue
            # Answers that were on their way when the connection was lost leave a hole.
            if self._connection() == connection:
                return messages
        raise ReplayFailedError(UNAVAILABLE) from reason

    def _connection(self) -> int:
        """Which of its connections the client has now; without one nothing can be read."""
        if not self._client.is_connected:
            raise ReplayFailedError(UNAVAILABLE)
        return self._client.stats["reconnects"]

    async def _info(self, tenant: TenantId, epoch: str) -> StreamInfo:
        try:
            info = await self._js.stream_info(stream_name(tenant))
        except NotFoundError as error:
            raise ReplayFailedError("recreated") from error
        if epoch_of(created_at(info)) != epoch:
            raise ReplayFailedError("recreated")
        return info


def _raw(message: StoredMessage) -> RawMessage:
    published = datetime.fromisoformat(message.headers["Nats-Time-Stamp"]).astimezone(UTC)
    return RawMessage(message.subject, message.payload, message.sequence, published.timestamp())


def _checked(messages: Sequence[RawMessage], epoch: str, after: int) -> Batch:
    """Every sequence in turn: a hole means that the stream no longer holds it."""
    entries: list[Entry] = []
    through = after
    for message in messages:
        if message.seq != through + 1:
            raise ReplayFailedError("discarded")
        through = message.seq
        try:
            entries.append(render_entry(message, epoch))
        except RejectedEventError:
            continue
    if through == after:
        raise ReplayFailedError("discarded")
    return Batch(entries, through)
