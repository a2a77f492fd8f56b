"""The demo's own client of the event stream: counts what a browser would get."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx
import orjson

from fleet_cli.event_source import RECONNECT_SECONDS, EventSource, SseFrame, marks
from fleet_contracts.subjects import Kind

_KINDS: Final = frozenset(kind.value for kind in Kind)

type SseKey = tuple[str, str, str, int]
"""Tenant, device, kind, slot in ms."""


@dataclass(frozen=True, slots=True)
class ToldGap:
    """A reset and the sequences, both included, that its snapshot stands for."""

    tenant: str
    reason: str
    first: int
    last: int


@dataclass(slots=True)
class SseCounts:
    """What the client got."""

    events: int = 0
    twice: int = 0
    resets: int = 0
    connects: int = 0
    keys: set[SseKey] = field(default_factory=set[SseKey])
    seen: dict[str, int] = field(default_factory=dict[str, int])
    """By tenant the newest sequence."""
    live_after: dict[str, int] = field(default_factory=dict[str, int])
    """By tenant the sequence that the first snapshot covered: every later event must come."""
    told: list[ToldGap] = field(default_factory=list[ToldGap])
    """What resets announced in place of events."""

    def was_told(self, tenant: str, sequence: int) -> bool:
        """Whether a reset announced that this event is not sent."""
        return any(one.tenant == tenant and one.first <= sequence <= one.last for one in self.told)


class SseClient:
    """Follows one stream and counts until cancelled."""

    def __init__(
        self,
        url: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        reconnect_seconds: float = RECONNECT_SECONDS,
    ) -> None:
        self._source = EventSource(
            url,
            self._connected,
            self._take,
            transport=transport,
            reconnect_seconds=reconnect_seconds,
        )
        self._announced: dict[str, str] = {}
        self.counts = SseCounts()
        self.first_device_at: float | None = None
        """When (monotonic clock) the first device came: what a page would show."""

    async def run(self) -> None:
        """Follow the stream for ever."""
        await self._source.run()

    def _connected(self) -> None:
        self.counts.connects += 1
        # A reset whose snapshot did not come whole was none: the position did not move.
        self._announced.clear()

    def _take(self, frame: SseFrame) -> None:
        counts = self.counts
        if frame.event == "reset":
            body = orjson.loads(frame.data)
            self._announced[body["tenant"]] = body["reason"]
            counts.resets += 1
        elif frame.event == "snapshot-end" and frame.id is not None:
            self._take_snapshot(marks(frame.id))
        if frame.id is not None:
            counts.seen.update(marks(frame.id))
        if frame.event in _KINDS:
            body = orjson.loads(frame.data)
            key = (body["tenant"], body["device"], body["kind"], body["slot_unix_ms"])
            counts.events += 1
            counts.twice += key in counts.keys
            counts.keys.add(key)
        if frame.event == "snapshot" or frame.event in _KINDS:
            self.first_device_at = self.first_device_at or time.monotonic()

    def _take_snapshot(self, at: Mapping[str, int]) -> None:
        counts = self.counts
        for tenant, sequence in at.items():
            counts.live_after.setdefault(tenant, sequence)
        for tenant, reason in self._announced.items():
            if tenant not in at:
                continue
            # A stream made anew begins at 1 again, whatever was seen of the one before.
            seen = 0 if reason == "recreated" else counts.seen.get(tenant, 0)
            counts.told.append(ToldGap(tenant, reason, seen + 1, at[tenant]))
        self._announced.clear()
