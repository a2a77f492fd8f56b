"""A channel: clients with the same filter and mode, fed with the same bytes.

Everything here is synchronous and runs on the event loop, so that nothing can happen between
a client's last read of the log and its joining.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from opentelemetry.trace import SpanKind

from fleet_common.tracing import Tracing
from fleet_contracts.subjects import DeviceId, Kind, TenantId
from fleet_gateway.entries import Entry
from fleet_gateway.frames import heartbeat_frame, http_chunk
from fleet_gateway.log import TenantLog
from fleet_gateway.positions import Mark, Vector
from fleet_gateway.selection import ChannelKey
from fleet_gateway.telemetry import GatewayMetrics

type Later = Callable[[float, Callable[[], None]], object]
"""`loop.call_later`."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What every channel works with. `flush_seconds` is how long raw events may linger."""

    later: Later
    flush_seconds: float
    metrics: GatewayMetrics
    tracing: Tracing


class Member(Protocol):
    """A client as its channel sees it."""

    def deliver(self, chunk: bytes) -> None:
        """Write without waiting; never raises."""
        ...

    def admit(self) -> bool:
        """Write what the log holds after the client's position; False when it cannot."""
        ...

    def part(self, marks: Mapping[TenantId, Mark]) -> None:
        """The channel lets go of the client, which stands at `marks` (else where it was)."""
        ...


def render(entries: Iterable[Entry], vector: Vector) -> bytes:
    """Frames with their ids; moves `vector`."""
    parts: list[bytes] = []
    for entry in entries:
        vector.advance(entry.tenant, entry.mark)
        parts.extend((vector.id_line(), entry.frame))
    return b"".join(parts)


class Channel:
    """One key's pending events and members."""

    def __init__(
        self, key: ChannelKey, logs: Mapping[TenantId, TenantLog], delivery: Delivery
    ) -> None:
        self.key = key
        self._logs = logs
        self._later = delivery.later
        self._metrics = delivery.metrics
        self._tracing = delivery.tracing
        self._delay = key.window_seconds or delivery.flush_seconds
        self._pending: list[Entry] = []
        self._latest: dict[tuple[TenantId, DeviceId, Kind], Entry] = {}
        self._scheduled = False
        self._joining: dict[Member, None] = {}
        self.members: dict[Member, None] = {}
        self._vector = Vector(self._heads())

    def _heads(self) -> dict[TenantId, Mark]:
        covers = self.key.selection.covers
        return dict(self.key.carried) | {
            tenant: log.mark for tenant, log in self._logs.items() if covers(tenant)
        }

    @property
    def empty(self) -> bool:
        """Whether nobody is here and nobody is about to be."""
        return not self.members and not self._joining

    def offer(self, entry: Entry) -> None:
        """Take a new event of a covered tenant for the next flush."""
        if not self.key.selection.takes(entry):
            return
        if self.key.window_seconds:
            slot = (entry.tenant, entry.device, entry.kind)
            self._latest.pop(slot, None)
            self._latest[slot] = entry
        else:
            self._pending.append(entry)
        if not self._scheduled:
            self._scheduled = True
            self._later(self._delay, self._on_time)

    def _on_time(self) -> None:
        self._scheduled = False
        self.flush()

    def flush(self) -> None:
        """Write what is pending to all members at once, then admit who waits to join."""
        entries = self._take()
        if entries and self.members:
            with self._spans(entries):
                self._write(http_chunk(render(entries, self._vector)))
            self._account(entries)
        for member in list(self._joining):
            self._admit(member)

    def _take(self) -> list[Entry]:
        if self.key.window_seconds:
            entries = list(self._latest.values())
            self._latest.clear()
        else:
            entries, self._pending = self._pending, []
        return entries

    def _write(self, chunk: bytes) -> None:
        # Delivering may cut a slow member, which then leaves.
        for member in tuple(self.members):
            member.deliver(chunk)

    def _spans(self, entries: Iterable[Entry]) -> contextlib.ExitStack:
        """A span around each sampled event's first delivery: one per event, not per client."""
        stack = contextlib.ExitStack()
        if not self._tracing.enabled:
            return stack
        for entry in entries:
            parent = entry.trace.take() if entry.trace is not None else None
            if parent is not None:
                span = self._tracing.span(
                    "sse deliver",
                    kind=SpanKind.PRODUCER,
                    parent=parent,
                    attributes={
                        "fleet.tenant": entry.tenant,
                        "fleet.device": entry.device,
                        "fleet.kind": entry.kind.value,
                        "fleet.clients": len(self.members),
                    },
                )
                stack.enter_context(span)
        return stack

    def _account(self, entries: list[Entry]) -> None:
        self._metrics.deliveries.inc(len(entries) * len(self.members))
        self._metrics.writes.inc(len(self.members))
        now = time.time()
        observe = self._metrics.latency.observe
        for entry in entries:
            observe(max(0.0, now - entry.published_unix))

    def announce(self, frame: bytes) -> None:
        """Write a frame of the gateway's own to the members, after all that is pending."""
        self.flush()
        if self.members:
            self._write(http_chunk(frame))

    def join(self, member: Member) -> None:
        """Let a client in: now when nothing is pending, else right after the next flush."""
        if self._scheduled and (self._pending or self._latest):
            self._joining[member] = None
        else:
            self._admit(member)

    def _admit(self, member: Member) -> None:
        self._joining.pop(member, None)
        if member.admit():
            if not self.members:
                self._vector = Vector(self._heads())
            self.members[member] = None

    def leave(self, member: Member) -> None:
        """Forget a client that is gone."""
        self.members.pop(member, None)
        self._joining.pop(member, None)

    def part_all(self) -> None:
        """Send every member back to catch up by itself: a log began anew."""
        marks = self._heads()
        parting, waiting = list(self.members), list(self._joining)
        self.members.clear()
        self._joining.clear()
        self._pending.clear()
        self._latest.clear()
        for member in parting:
            member.part(marks)
        for member in waiting:
            member.part({})

    def heartbeat(self, every_seconds: float) -> None:
        """Shows that the connection lives, and keeps a filtered client's id up with the stream."""
        if not self.members:
            return
        if not self._pending and not self._latest:
            self._vector = Vector(self._heads())
        self._write(http_chunk(heartbeat_frame(every_seconds, self._vector.id_line())))
