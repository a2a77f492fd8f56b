"""What streams drop, said on the streams themselves, in the log and as metrics."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamInfo

from fleet_common.planning import StreamState
from fleet_common.streams.metrics import StreamMetrics
from fleet_common.units import format_duration, format_size
from fleet_contracts.codec import encode
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    TRIM_CAUSE_DISCARDED_UNSTORED,
    TRIM_CAUSE_SHRUNK,
    Event,
    TrimCause,
)
from fleet_contracts.gen.fleet.v1.events_pb2 import Trim as TrimBody
from fleet_contracts.subjects import STREAM_DEVICE, EventSubject, Kind, TenantId, message_id

_log = logging.getLogger(__name__)

_MOST_WAITING: Final = 64
"""Of one tenant; beyond it the oldest is dropped, which the log and the metrics have told."""
CAUSES: Final = {
    TRIM_CAUSE_SHRUNK: "shrunk",
    TRIM_CAUSE_DISCARDED_UNSTORED: "discarded_unstored",
}


@dataclass(frozen=True, slots=True)
class Trim:
    """Messages that a stream dropped, oldest first. Times are Unix seconds, estimated inside."""

    tenant: TenantId
    cause: TrimCause
    from_sequence: int
    to_sequence: int
    messages: int
    bytes: int
    unstored: int
    from_time: float | None
    to_time: float | None
    max_bytes_before: int
    max_bytes: int
    window_seconds: float

    def __str__(self) -> str:
        why = (
            f"its limit went from {format_size(self.max_bytes_before)} to "
            f"{format_size(self.max_bytes)}"
            if self.cause == TRIM_CAUSE_SHRUNK
            else "the metrics-writer is further behind than the stream's limits "
            f"({format_size(self.max_bytes)}, and its age) reach"
        )
        stored = f"{self.unstored} of them not stored" if self.unstored else "all of them stored"
        return (
            f"stream of {self.tenant} dropped {self.messages} messages ({format_size(self.bytes)}, "
            f"sequences {self.from_sequence} to {self.to_sequence}, published "
            f"{_moment(self.from_time)} to {_moment(self.to_time)}), {stored}: {why}; "
            f"replay window now {format_duration(max(1.0, self.window_seconds))}"
        )

    def event(self, slot_ms: int) -> Event:
        """As it goes on the stream."""
        body = TrimBody(
            cause=self.cause,
            from_sequence=self.from_sequence,
            to_sequence=self.to_sequence,
            dropped_messages=self.messages,
            dropped_bytes=self.bytes,
            unstored_messages=self.unstored,
            from_unix_ms=None if self.from_time is None else round(self.from_time * 1000),
            to_unix_ms=None if self.to_time is None else round(self.to_time * 1000),
            max_bytes_before=self.max_bytes_before,
            max_bytes=self.max_bytes,
            window_seconds=round(self.window_seconds),
        )
        return Event(slot_unix_ms=slot_ms, trim=body)


def trim_by_shrinking(
    tenant: TenantId, before: StreamState, after: StreamInfo, window_seconds: float
) -> Trim | None:
    """What a smaller limit dropped: the stream just before, and as the broker answered."""
    state = after.state
    if state.first_seq <= before.first_sequence or not before.messages:
        return None
    arrived = max(0, state.last_seq - before.last_sequence)
    messages = before.messages + arrived - state.messages
    dropped = before.bytes + arrived * before.bytes // before.messages - state.bytes
    if messages <= 0:
        return None
    last = state.first_seq - 1
    stored = before.stored_sequence
    return Trim(
        tenant=tenant,
        cause=TRIM_CAUSE_SHRUNK,
        from_sequence=before.first_sequence,
        to_sequence=last,
        messages=messages,
        bytes=max(0, dropped),
        unstored=0 if stored is None else max(0, last - max(stored, before.first_sequence - 1)),
        from_time=before.first_time,
        to_time=before.time_at(last),
        max_bytes_before=before.max_bytes or 0,
        max_bytes=after.config.max_bytes or 0,
        window_seconds=window_seconds,
    )


type Range = tuple[int, int]
"""Sequences from first to last, both included."""


def trim_by_discarding(
    tenant: TenantId,
    before: StreamState,
    now: StreamState,
    window_seconds: float,
    told: Iterable[Range] = (),
) -> Trim | None:
    """What a full (or aged) stream dropped between two looks before the writer stored it.

    `told`, oldest first: what a smaller limit dropped meanwhile, which has been announced.
    """
    if now.stored_sequence is None or not before.messages:
        return None
    first = max(before.first_sequence, now.stored_sequence + 1)
    lost = _without((first, now.first_sequence - 1), told)
    if not lost:
        return None
    first, last = lost[0][0], lost[-1][1]
    messages = sum(to - since + 1 for since, to in lost)
    return Trim(
        tenant=tenant,
        cause=TRIM_CAUSE_DISCARDED_UNSTORED,
        from_sequence=first,
        to_sequence=last,
        messages=messages,
        bytes=messages * before.bytes // before.messages,
        unstored=messages,
        from_time=before.time_at(first),
        to_time=before.time_at(last),
        max_bytes_before=now.max_bytes or 0,
        max_bytes=now.max_bytes or 0,
        window_seconds=window_seconds,
    )


def _without(sequences: Range, told: Iterable[Range]) -> list[Range]:
    """What of the sequences is in none of the others."""
    first, last = sequences
    left: list[Range] = []
    for since, to in told:
        if first < since:
            left.append((first, min(last, since - 1)))
        first = max(first, to + 1)
    left.append((first, last))
    return [(since, to) for since, to in left if since <= to]


class TrimAnnouncer:
    """Says each trim once; what the broker did not take is tried again with `flush`."""

    def __init__(self, js: JetStreamContext, metrics: StreamMetrics) -> None:
        self._js = js
        self._metrics = metrics
        self._waiting: dict[TenantId, deque[Event]] = {}
        self._last_ms: dict[TenantId, int] = {}
        self._shrunk: dict[TenantId, deque[Range]] = {}
        self._refused: set[TenantId] = set()
        """Whose stream did not take one the last time."""

    async def announce(self, trim: Trim) -> str:
        """The line for a person; the event is on the stream, or waits."""
        cause = CAUSES.get(trim.cause, "unknown")
        _log.warning(
            "stream trimmed",
            extra={
                "tenant": trim.tenant,
                "cause": cause,
                "from_sequence": trim.from_sequence,
                "to_sequence": trim.to_sequence,
                "messages": trim.messages,
                "bytes": trim.bytes,
                "unstored_messages": trim.unstored,
                "from_time": _moment(trim.from_time),
                "to_time": _moment(trim.to_time),
            },
        )
        self._metrics.trims.labels(trim.tenant, cause).inc()
        self._metrics.trimmed_messages.labels(trim.tenant, cause).inc(trim.messages)
        self._metrics.trimmed_bytes.labels(trim.tenant, cause).inc(trim.bytes)
        self._metrics.trimmed_unstored.labels(trim.tenant).inc(trim.unstored)
        if trim.cause == TRIM_CAUSE_SHRUNK:
            shrunk = self._shrunk.setdefault(trim.tenant, deque(maxlen=_MOST_WAITING))
            shrunk.append((trim.from_sequence, trim.to_sequence))
        # The slot is the event's identity: two of a tenant never share one.
        slot = max(round(time.time() * 1000), self._last_ms.get(trim.tenant, 0) + 1)
        self._last_ms[trim.tenant] = slot
        waiting = self._waiting.setdefault(trim.tenant, deque(maxlen=_MOST_WAITING))
        waiting.append(trim.event(slot))
        await self._flush(trim.tenant)
        return str(trim)

    def shrunk(self, tenant: TenantId) -> Sequence[Range]:
        """What smaller limits dropped since this was asked last, oldest first: it is told."""
        return self._shrunk.pop(tenant, ())

    async def flush(self) -> None:
        """Publish what waits. A stream that does not take its own holds up no other tenant's."""
        await asyncio.gather(*(self._flush(tenant) for tenant in self._waiting))

    def forget(self, tenant: TenantId) -> None:
        """The tenant has left: what waits for its stream is dropped."""
        for known in (self._waiting, self._last_ms, self._shrunk):
            known.pop(tenant, None)
        self._refused.discard(tenant)

    def forget_all_but(self, tenants: Container[TenantId]) -> None:
        """All others have left."""
        for tenant in [one for one in self._last_ms if one not in tenants]:
            self.forget(tenant)

    async def _flush(self, tenant: TenantId) -> None:
        """One tenant's, oldest first, until one is refused."""
        subject = str(EventSubject(tenant, STREAM_DEVICE, Kind.TRIM))
        while waiting := self._waiting.get(tenant):
            event = waiting[0]
            identity = message_id(STREAM_DEVICE, Kind.TRIM, event.slot_unix_ms)
            try:
                await self._js.publish(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
                    subject, encode(event), headers={"Nats-Msg-Id": identity}
                )
            except (NatsError, TimeoutError) as error:
                if tenant not in self._refused:
                    self._refused.add(tenant)
                    _log.warning(
                        "a trim could not be announced on its stream yet; trying again",
                        extra={"tenant": tenant, "reason": str(error) or type(error).__name__},
                    )
                return
            self._refused.discard(tenant)
            # Somebody else may have flushed, or the tenant left, meanwhile.
            if waiting and waiting[0] is event:
                waiting.popleft()


def _moment(at: float | None) -> str:
    return "unknown" if at is None else datetime.fromtimestamp(at, UTC).isoformat(" ", "seconds")
