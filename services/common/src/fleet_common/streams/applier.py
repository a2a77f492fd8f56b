"""Streams and inventory follow the fleets: the part of the operator, or of the local runner."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from fleet_common.broker import declare_stream, stream_config
from fleet_common.errors import ConfigurationError
from fleet_common.fleet_spec import RouterFleet
from fleet_common.planning import (
    BudgetTooSmallError,
    PlanRequest,
    Sizes,
    StreamBudget,
    StreamPlan,
    StreamState,
    SubjectsTakenError,
    UnlimitedAccountError,
    check_subjects,
    plan_streams,
)
from fleet_common.streams.advice import Advice
from fleet_common.streams.live import (
    LiveStream,
    StoredPositions,
    account_limits,
    consumers_of,
    list_streams,
    look_at,
)
from fleet_common.streams.metrics import StreamMetrics
from fleet_common.streams.records import Records, TenantRecords
from fleet_common.streams.room import least_bytes, room, too_small
from fleet_common.streams.texts import describe, foretell
from fleet_common.streams.trims import TrimAnnouncer, trim_by_shrinking
from fleet_common.tenants import TENANTS_STREAM
from fleet_common.units import format_size
from fleet_contracts.subjects import TenantId, stream_name, tenant_of_stream

type Refused = Mapping[TenantId, str]


@dataclass(frozen=True, slots=True)
class Applied:
    """What stands now. `notes` are lines for a person; empty when nothing changed."""

    plans: tuple[StreamPlan, ...]
    notes: tuple[str, ...]
    streams: Mapping[str, LiveStream] = field(default_factory=dict[str, LiveStream])
    """All streams of the account by name, as they were looked at."""
    refused: Refused = field(default_factory=dict[TenantId, str])
    """Why a tenant has no stream as planned; those of the others stand. See `each_alone`."""


class PlanApplier:
    """Brings the broker to what the fleets ask for.

    `apply` plans anew; `correct` keeps what was planned last. Both may be called at any time,
    and what they find is brought to what it should be, whatever happened in between.
    """

    def __init__(  # noqa: PLR0913 - all but the first four have defaults and are named
        self,
        client: Client,
        js: JetStreamContext,
        budget: StreamBudget | None,
        metrics: StreamMetrics,
        *,
        announcer: TrimAnnouncer | None = None,
        advice: Advice | None = None,
        records: bool = True,
        each_alone: bool = False,
        bucket_replicas: int = 1,
    ) -> None:
        """`budget`: what our streams may take, None: all that the account allows.

        `records`: the inventory follows the fleets too; else its owner sees to the buckets.
        `each_alone`: what cannot be had for one tenant is told in `Applied.refused` instead
        of an error that stops the others. `bucket_replicas`: of buckets made here.
        """
        self._client = client
        self._js = js
        self._budget = budget
        self._metrics = metrics
        self._announcer = announcer or TrimAnnouncer(js, metrics)
        self._advice = advice or Advice()
        self._records = Records(js, bucket_replicas) if records else None
        self._tenants = TenantRecords(client, js, bucket_replicas)
        self._each_alone = each_alone
        self._plans: dict[str, StreamPlan] = {}
        """By stream, what it was declared from last."""
        self._positions = StoredPositions()
        self._lock = asyncio.Lock()

    async def apply(
        self,
        fleets: Sequence[RouterFleet],
        measured: Mapping[TenantId, Sizes] | None = None,
        *,
        untouched: Collection[TenantId] = (),
    ) -> Applied:
        """Streams sized to the fleets, their devices in the inventory; both buckets exist.

        Streams of tenants that are in no fleet keep their messages and give back the room
        they do not use; those of `untouched` tenants stay as they are. Raises
        ConfigurationError when the budget is too small or the broker will not do (the message
        names the figures), nats errors or TransientError when the broker is away.

        With `each_alone` only a broker that is away is an error. When the budget is below the
        floors, the fleets without a stream get none, from the last of `fleets` on.
        """
        async with self._lock:
            try:
                applied = await self._apply(fleets, measured or {}, untouched)
            except Exception:
                self._metrics.plans.labels("failed").inc()
                raise
            self._metrics.plans.labels("failed" if applied.refused else "applied").inc()
            return applied

    async def correct(self) -> Applied:
        """What someone else changed or deleted is as planned again. Raises as `apply` does."""
        async with self._lock:
            streams = await list_streams(self._client)
            notes, refused = await self._declare_all(list(self._plans.values()), streams)
            if notes:
                streams = await list_streams(self._client)
            return Applied(tuple(self._plans.values()), tuple(notes), streams, refused)

    async def remove(self, tenant: TenantId, *, delete_stream: bool) -> str | None:
        """The tenant has left: its records go, and its stream goes or keeps what it holds.

        A line for a person; None when nothing was left to do. Raises nats errors or
        TransientError when the broker is away.
        """
        async with self._lock:
            name = stream_name(tenant)
            self._plans.pop(name, None)
            if self._records is not None:
                await self._records.forget(tenant)
            stream = await look_at(self._client, name)
            if stream is None:
                return None
            if not delete_stream:
                return await self._shrink_unused(stream)
            try:
                await self._js.delete_stream(name)
            except NotFoundError:
                return None
            return f"stream {name} is deleted, with its {stream.info.state.messages} messages"

    # --- planning --------------------------------------------------------------------

    async def _apply(
        self,
        fleets: Sequence[RouterFleet],
        measured: Mapping[TenantId, Sizes],
        untouched: Collection[TenantId],
    ) -> Applied:
        if self._records is not None:
            await self._records.declare()
        streams = await list_streams(self._client)
        if TENANTS_STREAM not in streams:
            # Before the plan, which leaves it its room.
            await self._tenants.declare()
            streams = await list_streams(self._client)
        existing = {name: one for name, one in streams.items() if tenant_of_stream(name)}
        wanted = {stream_name(fleet.tenant) for fleet in fleets}
        kept = {stream_name(tenant) for tenant in untouched}
        left = [one for name, one in existing.items() if name not in wanted | kept]
        notes = [note for one in left if (note := await self._shrink_unused(one)) is not None]
        unrecorded = await self._record_tenants(fleets, streams)
        plans, unplanned = await self._plan_each(fleets, measured, streams)
        self._plans = {name: one for name, one in self._plans.items() if name in wanted}
        # Streams that shrink go first: what they give back is what the others get.
        ordered = sorted(plans, key=lambda one: one.max_bytes - _limit(existing, one))
        declared, refused = await self._declare_all(ordered, existing)
        if self._records is not None:
            for fleet in fleets:
                await self._records.record(fleet)
            for one in left:
                if (tenant := tenant_of_stream(one.name)) is not None:
                    await self._records.forget(tenant)
        return Applied(
            tuple(plans), (*notes, *declared), streams, {**unrecorded, **unplanned, **refused}
        )

    async def _record_tenants(
        self, fleets: Sequence[RouterFleet], streams: Mapping[str, LiveStream]
    ) -> dict[TenantId, str]:
        refused = await self._tenants.record(fleets, streams)
        if refused and not self._each_alone:
            raise ConfigurationError(next(iter(refused.values())))
        return refused

    async def _plan_each(
        self,
        fleets: Sequence[RouterFleet],
        measured: Mapping[TenantId, Sizes],
        streams: Mapping[str, LiveStream],
    ) -> tuple[list[StreamPlan], dict[TenantId, str]]:
        """Plans, and why some fleets have none. Raises PlanningError unless `each_alone`."""
        states, previous = await self._states(fleets, streams), self._previous(fleets, streams)
        limits = await account_limits(self._client)
        refused: dict[TenantId, str] = {}
        candidates = list(fleets)
        while candidates:
            ours = {stream_name(fleet.tenant) for fleet in candidates}
            held = [
                one for name, one in streams.items() if tenant_of_stream(name) and name not in ours
            ]
            budget = StreamBudget(None, None)
            try:
                budget = room(self._budget, limits, streams.values(), ours, held)
                request = PlanRequest(candidates, budget, measured, states, previous)
                return self._with_subjects(plan_streams(request, time.time()), streams, refused)
            except (BudgetTooSmallError, UnlimitedAccountError) as error:
                text = too_small(self._budget, held, error, self._advice)
                if not self._each_alone:
                    raise type(error)(text) from error
                out = (
                    _unbounded(candidates, budget)
                    if isinstance(error, UnlimitedAccountError)
                    else _last_without_stream(candidates, streams)
                )
            refused |= dict.fromkeys(out, text)
            candidates = [fleet for fleet in candidates if fleet.tenant not in out]
        return [], refused

    def _with_subjects(
        self,
        plans: Sequence[StreamPlan],
        streams: Mapping[str, LiveStream],
        refused: Mapping[TenantId, str],
    ) -> tuple[list[StreamPlan], dict[TenantId, str]]:
        """The plans whose subjects are free; raises SubjectsTakenError unless `each_alone`."""
        existing = [one.existing for one in streams.values()]
        if not self._each_alone:
            check_subjects([one.definition for one in plans], existing)
        free: list[StreamPlan] = []
        taken = dict(refused)
        for one in plans:
            try:
                check_subjects([one.definition], existing)
            except SubjectsTakenError as error:
                taken[one.tenant] = str(error)
            else:
                free.append(one)
        return free, taken

    async def _states(
        self, fleets: Sequence[RouterFleet], streams: Mapping[str, LiveStream]
    ) -> dict[TenantId, StreamState]:
        states: dict[TenantId, StreamState] = {}
        for fleet in fleets:
            live = streams.get(stream_name(fleet.tenant))
            if live is not None:
                states[fleet.tenant] = await self._state(live)
        return states

    async def _state(self, live: LiveStream) -> StreamState:
        stored = self._positions.judge(live, await consumers_of(self._js, live))
        return live.state(stored.slowest)

    def _previous(
        self, fleets: Sequence[RouterFleet], streams: Mapping[str, LiveStream]
    ) -> dict[TenantId, int]:
        """The sizes planned last; after a start those that the streams have."""
        previous: dict[TenantId, int] = {}
        for fleet in fleets:
            name = stream_name(fleet.tenant)
            live, planned = streams.get(name), self._plans.get(name)
            size = planned.max_bytes if planned is not None else live and live.max_bytes
            if size:
                previous[fleet.tenant] = size
        return previous

    # --- declaring -------------------------------------------------------------------

    async def _declare_all(
        self, plans: Sequence[StreamPlan], streams: Mapping[str, LiveStream]
    ) -> tuple[list[str], dict[TenantId, str]]:
        notes, refused = list[str](), dict[TenantId, str]()
        for one in plans:
            try:
                notes += await self._declare(one, streams.get(one.definition.name))
            except ConfigurationError as error:
                if not self._each_alone:
                    raise
                refused[one.tenant] = str(error)
        return notes, refused

    async def _declare(self, one: StreamPlan, before: LiveStream | None) -> list[str]:
        """The stream as planned; lines that say what was done, and what was dropped by it."""
        definition = one.definition
        planned = self._plans.get(definition.name)
        changes = before is None or differences(before.info.config, stream_config(definition))
        drifted = planned is not None and (
            before is None or differences(before.info.config, stream_config(planned.definition))
        )
        notes: list[str] = []
        if changes:
            notes = await self._bring(one, before)
            if drifted:
                self._metrics.drift.labels(one.tenant).inc()
            notes.insert(0, describe(one, before, drifted=bool(drifted)))
        self._plans[definition.name] = one
        return notes

    async def _bring(self, one: StreamPlan, before: LiveStream | None) -> list[str]:
        """Declare it; what a smaller limit drops is foretold, and announced when it has gone."""
        name, notes = one.definition.name, list[str]()
        state: StreamState | None = None
        if before is not None:
            # As it is right now: what is dropped is counted from here.
            now = await look_at(self._client, name)
            if now is None:
                # Deleted since it was listed: the next look makes it anew.
                return notes
            state = await self._state(now)
            notes += foretell(one, state)
        try:
            after = await declare_stream(self._js, one.definition)
        except NotFoundError:
            return notes
        except APIError as error:
            if isinstance(error, ServiceUnavailableError) and error.err_code is None:
                # Nobody answers for JetStream: the broker is away.
                raise
            refused = f". {self._advice.refused}" if self._advice.refused else ""
            raise ConfigurationError(
                f"stream {name} ({format_size(one.max_bytes)}): the broker refuses it: "
                f"{error.description}{refused}"
            ) from error
        if state is not None:
            trim = trim_by_shrinking(one.tenant, state, after, one.resulting_window_seconds)
            if trim is not None:
                notes.append(await self._announcer.announce(trim))
        return notes

    async def _shrink_unused(self, stream: LiveStream) -> str | None:
        least, config = least_bytes(stream), stream.info.config
        if config.max_bytes == least:
            return None
        # Also in what was listed: the plan counts with it.
        config.max_bytes = least
        await self._js.update_stream(config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        return (
            f"stream {stream.name} belongs to no fleet any more; it keeps its "
            f"{stream.info.state.messages} messages, within {format_size(least)}"
        )


def differences(live: StreamConfig, wanted: StreamConfig) -> dict[str, tuple[object, object]]:
    """Settings that are not as wanted: name to (live, wanted)."""
    names = (
        "subjects",
        "retention",
        "discard",
        "max_bytes",
        "max_age",
        "max_msg_size",
        "duplicate_window",
        "storage",
        "num_replicas",
        "allow_direct",
    )
    pairs = {name: (getattr(live, name), getattr(wanted, name)) for name in names}
    return {name: (a, b) for name, (a, b) in pairs.items() if a != b}


def _unbounded(fleets: Sequence[RouterFleet], budget: StreamBudget) -> list[TenantId]:
    """Those whose kind of storage has no bound."""
    out: list[TenantId] = []
    for fleet in fleets:
        try:
            budget.bound([fleet.spec.events.storage])
        except UnlimitedAccountError:
            out.append(fleet.tenant)
    return out


def _last_without_stream(
    fleets: Sequence[RouterFleet], streams: Mapping[str, LiveStream]
) -> list[TenantId]:
    """Who gives way: the last that has no stream yet; when all have one, all stay as they are."""
    without = [fleet.tenant for fleet in fleets if stream_name(fleet.tenant) not in streams]
    return without[-1:] or [fleet.tenant for fleet in fleets]


def _limit(existing: Mapping[str, LiveStream], one: StreamPlan) -> int:
    live = existing.get(one.definition.name)
    return 0 if live is None else live.max_bytes or 0
