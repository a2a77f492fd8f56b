"""Streams and inventory follow the fleets: the part of the operator, or of the local runner."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

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
from fleet_common.streams.declaring import StreamDeclarer
from fleet_common.streams.listing import StreamListing
from fleet_common.streams.live import LiveStream, look_at, look_at_account
from fleet_common.streams.metrics import StreamMetrics
from fleet_common.streams.records import Records, TenantRecords
from fleet_common.streams.room import last_without_stream, names_taken, room, too_small, unbounded
from fleet_common.streams.trims import TrimAnnouncer
from fleet_common.tenants import TENANTS_STREAM
from fleet_contracts.subjects import TenantId, stream_name

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
        self._advice = advice or Advice()
        self._listing = StreamListing(client)
        self._records = Records(js, bucket_replicas) if records else None
        self._tenants = TenantRecords(client, js, bucket_replicas)
        self._each_alone = each_alone
        self._announcer = announcer or TrimAnnouncer(js, metrics)
        self._declarer = StreamDeclarer(
            client,
            js,
            metrics,
            announcer=self._announcer,
            advice=self._advice,
            each_alone=each_alone,
        )
        self._lock = asyncio.Lock()
        self._right: Applied | None = None
        """All streams as they were when nothing was to be corrected."""

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
            self._right = None
            try:
                applied = await self._apply(fleets, measured or {}, untouched)
            except Exception:
                self._metrics.plans.labels("failed").inc()
                raise
            self._metrics.plans.labels("failed" if applied.refused else "applied").inc()
            return applied

    async def correct(self) -> Applied:
        """What someone else changed or deleted is as planned again. Raises as `apply` does.

        The same object while no stream changes and nothing is planned.
        """
        async with self._lock:
            streams = await self._listing.all()
            if self._right is not None and self._right.streams is streams:
                return self._right
            notes, refused = await self._declarer.declare_all(
                list(self._declarer.plans.values()), streams
            )
            if notes:
                streams = await self._listing.all()
            corrected = Applied(
                tuple(self._declarer.plans.values()), tuple(notes), streams, refused
            )
            self._right = None if notes or refused else corrected
            return corrected

    async def remove(self, tenant: TenantId, *, delete_stream: bool) -> str | None:
        """The tenant has left: its records go, and its stream goes or keeps what it holds.

        A stranger's stream of that name stays as it is. A line for a person; None when nothing
        was left to do. Raises nats errors or TransientError when the broker is away.
        """
        async with self._lock:
            self._right = None
            name = stream_name(tenant)
            declared = self._declarer.plans.pop(name, None)
            self._announcer.forget(tenant)
            if self._records is not None:
                await self._records.forget(tenant)
            stream = await look_at(self._client, name)
            if stream is None or (declared is None and stream.tenant is None):
                return None
            if not delete_stream:
                shrunk = await self._declarer.shrink_unused(stream)
                return None if shrunk is None else shrunk[0]
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
        streams = await self._listing.all()
        if TENANTS_STREAM not in streams:
            # Before the plan, which leaves it its room.
            await self._tenants.declare()
            streams = await self._listing.all()
        existing = {name: one for name, one in streams.items() if one.tenant is not None}
        wanted = {stream_name(fleet.tenant) for fleet in fleets}
        kept = {stream_name(tenant) for tenant in untouched}
        left = [one for name, one in existing.items() if name not in wanted | kept]
        notes: list[str] = []
        for one in left:
            if (shrunk := await self._declarer.shrink_unused(one)) is not None:
                note, after = shrunk
                streams = {**streams, one.name: after}
                notes.append(note)
        unrecorded = await self._record_tenants(fleets, streams)
        strangers = names_taken(fleets, streams, self._declarer.plans)
        if strangers and not self._each_alone:
            raise SubjectsTakenError(next(iter(strangers.values())))
        plannable = [fleet for fleet in fleets if fleet.tenant not in strangers]
        plans, unplanned = await self._plan_each(plannable, measured, streams)
        self._declarer.forget_all_but(wanted)
        self._announcer.forget_all_but({*(fleet.tenant for fleet in fleets), *untouched})
        # Streams that shrink go first: what they give back is what the others get.
        ordered = sorted(plans, key=lambda one: one.max_bytes - _limit(existing, one))
        declared, refused = await self._declarer.declare_all(ordered, streams)
        if self._records is not None:
            for fleet in fleets:
                await self._records.record(fleet)
            for one in left:
                if one.tenant is not None:
                    await self._records.forget(one.tenant)
        return Applied(
            tuple(plans),
            (*notes, *declared),
            streams,
            {**unrecorded, **strangers, **unplanned, **refused},
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
        account = await look_at_account(self._client)
        self._metrics.account(account, streams.values())
        refused: dict[TenantId, str] = {}
        candidates = list(fleets)
        while candidates:
            ours = {stream_name(fleet.tenant) for fleet in candidates}
            held = [
                one for name, one in streams.items() if one.tenant is not None and name not in ours
            ]
            budget = StreamBudget(None, None)
            try:
                budget = room(self._budget, account.limits, streams.values(), ours, held)
                request = PlanRequest(candidates, budget, measured, states, previous)
                return self._with_subjects(plan_streams(request, time.time()), streams, refused)
            except (BudgetTooSmallError, UnlimitedAccountError) as error:
                text = too_small(self._budget, held, error, self._advice)
                if not self._each_alone:
                    raise type(error)(text) from error
                out = (
                    unbounded(candidates, budget)
                    if isinstance(error, UnlimitedAccountError)
                    else last_without_stream(candidates, streams)
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
                states[fleet.tenant] = await self._declarer.state(live)
        return states

    def _previous(
        self, fleets: Sequence[RouterFleet], streams: Mapping[str, LiveStream]
    ) -> dict[TenantId, int]:
        """The sizes planned last; after a start those that the streams have."""
        previous: dict[TenantId, int] = {}
        for fleet in fleets:
            name = stream_name(fleet.tenant)
            live, planned = streams.get(name), self._declarer.plans.get(name)
            size = planned.max_bytes if planned is not None else live and live.max_bytes
            if size:
                previous[fleet.tenant] = size
        return previous


def _limit(existing: Mapping[str, LiveStream], one: StreamPlan) -> int:
    live = existing.get(one.definition.name)
    return 0 if live is None else live.max_bytes or 0
