"""Reading back from a stream for one client, past what the ring still holds.

Batched direct get (NATS ADR-31; nats-server 2.11 and newer) needs no consumer: each request
is answered with up to `batch` messages and an end marker.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from fleet_common.broker import created_at
from fleet_contracts.codec import RejectedEventError
from fleet_contracts.subjects import TenantId, stream_name, tenant_subjects
from fleet_gateway.entries import Entry, RawMessage, render_entry
from fleet_gateway.positions import epoch_of

UNAVAILABLE: Final = "unavailable"
"""A ReplayFailedError's reason that passes: the stream may well hold what is wanted."""

_BATCH: Final = 500
_BATCH_BYTES: Final = 4 * 1024 * 1024
_DEADLINE_SECONDS: Final = 5.0
_END_OF_BATCH: Final = "204"
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
        async with self._turns:
            connection = self._connection()
            try:
                messages = await self._direct_get(tenant, after + 1, min(_BATCH, through - after))
                # Asked after the reading: a stream made anew in between would show.
                await self._info(tenant, epoch)
            except (NatsError, TimeoutError, OSError) as error:
                raise ReplayFailedError(UNAVAILABLE) from error
            # Answers that were on their way when the connection was lost leave a hole, too.
            if self._connection() != connection:
                raise ReplayFailedError(UNAVAILABLE)
        return _checked(messages, epoch, after)

    async def reaches(self, tenant: TenantId, epoch: str, seq: int) -> bool:
        """Whether the stream ever held `seq`; raises ReplayFailedError as `read` does."""
        self._connection()
        try:
            info = await self._info(tenant, epoch)
        except (NatsError, TimeoutError, OSError) as error:
            raise ReplayFailedError(UNAVAILABLE) from error
        return seq <= info.state.last_seq

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

    async def _direct_get(self, tenant: TenantId, seq: int, count: int) -> list[RawMessage]:
        """One request's answers. The end marker comes last, on the same connection."""
        inbox = self._client.new_inbox()
        answers: list[Msg] = []
        ended = asyncio.Event()

        async def on_message(message: Msg) -> None:
            if message.headers is not None and "Status" in message.headers:
                answers.append(message)
                ended.set()
            else:
                answers.append(message)

        subscription = await self._client.subscribe(inbox, cb=on_message)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        try:
            request = {
                "seq": seq,
                "batch": count,
                "max_bytes": _BATCH_BYTES,
                "next_by_subj": tenant_subjects(tenant),
            }
            await self._client.publish(
                f"$JS.API.DIRECT.GET.{stream_name(tenant)}",
                json.dumps(request).encode(),
                reply=inbox,
            )
            async with asyncio.timeout(_DEADLINE_SECONDS):
                await ended.wait()
        finally:
            await subscription.unsubscribe()
        last = answers.pop()
        status = (last.headers or {}).get("Status", "")
        if status not in {_END_OF_BATCH, "404"}:  # 404: nothing at or after `seq`
            raise ReplayFailedError(UNAVAILABLE)
        return [_raw(message) for message in answers]


def _raw(message: Msg) -> RawMessage:
    headers = message.headers
    if headers is None:
        raise ReplayFailedError(UNAVAILABLE)
    published = datetime.fromisoformat(headers["Nats-Time-Stamp"]).astimezone(UTC)
    return RawMessage(
        subject=headers["Nats-Subject"],
        payload=message.data,
        seq=int(headers["Nats-Sequence"]),
        published_unix=published.timestamp(),
    )


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
