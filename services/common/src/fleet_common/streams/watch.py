"""Looks at the tenants' streams every few seconds: drift undone, losses foretold and announced.

Of a stream that is as it was nothing is asked again until it is planned anew.
"""

import logging
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from nats.js import JetStreamContext

from fleet_common.broker import created_at
from fleet_common.planning import StreamPlan, StreamState, seconds_until_loss
from fleet_common.streams.applier import Applied, PlanApplier
from fleet_common.streams.live import LiveStream, StoredPositions, durables_of
from fleet_common.streams.metrics import StreamMetrics
from fleet_common.streams.trims import Trim, TrimAnnouncer, trim_by_discarding
from fleet_common.units import format_duration
from fleet_contracts.subjects import TenantId

_log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
_RATE_LOOKS: Final = 15
_ANNOUNCE_SECONDS: Final = 30.0
"""A stream that loses all the time says so this often, each time with all that went since."""
_LEVELS: Final = (0.5, 0.9)
"""Warned when so much of the stream's bytes, or of its age, is not stored."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One tenant's stream. `consumer` is the slowest; what it has stored is in `state`."""

    state: StreamState
    seconds_until_loss: float | None
    consumer: str | None

    @property
    def window_seconds(self) -> float | None:
        """How far back the stream reaches now; None while it is empty."""
        first, last = self.state.first_time, self.state.last_time
        return None if first is None or last is None else last - first


@dataclass(slots=True)
class _Watched:
    """What is remembered of one stream between looks."""

    created: str
    before: StreamState | None = None
    rates: deque[tuple[float, int]] = field(
        default_factory=lambda: deque[tuple[float, int]](maxlen=_RATE_LOOKS)
    )
    level: int = 0
    losing: Trim | None = None
    announced_at: float | None = None
    looked_at: LiveStream | None = None
    rests: tuple[StreamPlan, LiveStream, Seen] | None = None
    """Found twice as it is, with nothing left to store: until it changes there is no news of it."""


@dataclass(frozen=True, slots=True)
class Look:
    """All streams, once. `notes` are lines for a person; empty when nothing happened.

    `streams`: all of the account by name, other people's and the buckets' too.
    """

    notes: tuple[str, ...]
    seen: Mapping[TenantId, Seen]
    refused: Mapping[TenantId, str]
    """Why the broker would not do a tenant's stream."""
    streams: Mapping[str, LiveStream]


class StreamWatch:
    """One a run. `look` is called every LOOK_SECONDS."""

    def __init__(
        self,
        js: JetStreamContext,
        applier: PlanApplier,
        announcer: TrimAnnouncer,
        metrics: StreamMetrics,
    ) -> None:
        self._js = js
        self._applier = applier
        self._announcer = announcer
        self._metrics = metrics
        self._positions = StoredPositions()
        self._watched: dict[TenantId, _Watched] = {}
        self._rest: tuple[Applied, Look] | None = None
        """What was found when all streams rested."""

    async def look(self) -> Look:
        """Correct what was changed by hand, measure, warn.

        Raises nats errors or TransientError when the broker is away, and ConfigurationError
        when it refuses a stream (unless the applier takes each alone).
        """
        corrected = await self._applier.correct()
        if self._rest is not None and self._rest[0] is corrected:
            await self._announcer.flush()
            return self._rest[1]
        notes = list(corrected.notes)
        seen: dict[TenantId, Seen] = {}
        for plan in corrected.plans:
            live = corrected.streams.get(plan.definition.name)
            if live is not None and (known := self._resting(plan, live)) is not None:
                seen[plan.tenant] = known
            elif live is not None:
                lines, seen[plan.tenant] = await self._look_at(plan, live)
                notes += lines
        for tenant in self._watched.keys() - {plan.tenant for plan in corrected.plans}:
            del self._watched[tenant]
            self._metrics.forget(tenant)
        await self._announcer.flush()
        look = Look(tuple(notes), seen, corrected.refused, corrected.streams)
        all_rest = all(one.rests is not None for one in self._watched.values())
        self._rest = (corrected, look) if all_rest and not notes else None
        return look

    def _resting(self, plan: StreamPlan, live: LiveStream) -> Seen | None:
        """What was seen of a stream that is as it was."""
        watched = self._watched.get(plan.tenant)
        if watched is None or watched.rests is None:
            return None
        known_plan, known_live, seen = watched.rests
        return seen if known_plan is plan and known_live is live else None

    async def _look_at(self, plan: StreamPlan, live: LiveStream) -> tuple[list[str], Seen]:
        tenant, created = plan.tenant, created_at(live.info)
        watched = self._watched.get(tenant)
        if watched is None or watched.created != created:
            watched = self._watched[tenant] = _Watched(created)
        stored = self._positions.judge(live, await durables_of(self._js, live))
        state = live.state(stored.slowest)
        rate = _rate(watched, state)
        until = seconds_until_loss(state, rate or plan.bytes_per_second, time.time())
        self._measure(plan, state, until)
        notes = _warn(watched, plan, state, until, stored.slowest_name)
        by_writer = replace(state, stored_sequence=stored.writer)
        told = self._announcer.shrunk(tenant)
        if watched.before is not None:
            lost = trim_by_discarding(
                tenant, watched.before, by_writer, plan.resulting_window_seconds, told
            )
            watched.losing = _together(watched.losing, lost)
        watched.before = by_writer
        seen = Seen(state, until, stored.slowest_name)
        notes += await self._announce(watched)
        still = watched.looked_at is live and not stored.waiting and not rate
        rests = still and watched.losing is None and not watched.level
        watched.looked_at, watched.rests = live, (plan, live, seen) if rests else None
        if rests:
            watched.rates.clear()  # the time until it wakes is none in which anything was slow
        return notes, seen

    async def _announce(self, watched: _Watched) -> list[str]:
        now = time.monotonic()
        if watched.losing is None:
            return []
        if watched.announced_at is not None and now - watched.announced_at < _ANNOUNCE_SECONDS:
            return []
        lost, watched.losing, watched.announced_at = watched.losing, None, now
        return [await self._announcer.announce(lost)]

    def _measure(self, plan: StreamPlan, state: StreamState, until: float | None) -> None:
        metrics, tenant = self._metrics, plan.tenant
        metrics.stream_bytes.labels(tenant).set(state.bytes)
        metrics.stream_limit.labels(tenant).set(state.max_bytes or 0)
        metrics.window_wanted.labels(tenant).set(plan.wanted_window_seconds)
        metrics.window_planned.labels(tenant).set(plan.resulting_window_seconds)
        metrics.unstored.labels(tenant).set(state.unstored_messages)
        if until is None:
            metrics.until_loss.remove_by_labels({"tenant": tenant})
        else:
            metrics.until_loss.labels(tenant).set(until)


def _rate(watched: _Watched, state: StreamState) -> float:
    """Bytes a second over the last looks; 0 while it is not known."""
    watched.rates.append((time.monotonic(), state.last_sequence))
    (began, first), (now, last) = watched.rates[0], watched.rates[-1]
    if now <= began or not state.messages:
        return 0.0
    return max(0, last - first) / (now - began) * state.bytes / state.messages


def _warn(
    watched: _Watched,
    plan: StreamPlan,
    state: StreamState,
    until: float | None,
    consumer: str | None,
) -> list[str]:
    """A line when the part of the stream that is not stored passes a level, or has shrunk again."""
    level = _level(state)
    if level == watched.level:
        return []
    rose, watched.level = level > watched.level, level
    if not rose:
        return [f"stream of {plan.tenant}: {consumer} is catching up"] if level == 0 else []
    when = "now" if not until else f"in {format_duration(max(1.0, round(until)))}"
    _log.warning(
        "a consumer is behind; events will be dropped before it has stored them",
        extra={
            "tenant": plan.tenant,
            "consumer": consumer,
            "unstored_messages": state.unstored_messages,
            "unstored_bytes": state.unstored_bytes,
            "seconds_until_loss": until,
        },
    )
    return [
        (
            f"stream of {plan.tenant}: {consumer} has not stored {state.unstored_messages} "
            f"messages; it begins to lose events {when}"
        )
    ]


def _level(state: StreamState) -> int:
    oldest = state.oldest_unstored_time
    age = 0.0 if oldest is None else time.time() - oldest
    part = max(
        state.unstored_bytes / state.max_bytes if state.max_bytes else 0.0,
        age / state.max_age_seconds if state.max_age_seconds else 0.0,
    )
    return sum(part >= level for level in _LEVELS)


def _together(one: Trim | None, other: Trim | None) -> Trim | None:
    """Two losses of one stream as one; the later one is `other`."""
    if one is None or other is None:
        return one or other
    return replace(
        one,
        to_sequence=other.to_sequence,
        messages=one.messages + other.messages,
        bytes=one.bytes + other.bytes,
        unstored=one.unstored + other.unstored,
        to_time=other.to_time,
    )
