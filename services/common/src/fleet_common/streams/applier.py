"""Streams and inventory follow the fleets: the part of the operator, or of the local runner."""

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError
from nats.js.kv import KeyValue

from fleet_common.broker import declare_bucket, declare_stream, stream_config
from fleet_common.errors import ConfigurationError
from fleet_common.fleet_spec import RouterFleet
from fleet_common.inventory import device_records, replace_all
from fleet_common.planning import (
    FLOOR_BYTES,
    AccountLimits,
    ExistingStream,
    PlanningError,
    PlanRequest,
    Reservation,
    Sizes,
    StreamBudget,
    StreamPlan,
    StreamState,
    account_budget,
    check_subjects,
    estimate_trim,
    plan_streams,
)
from fleet_common.streams.advice import Advice
from fleet_common.streams.live import StoredPositions, consumers_of, live_state, stream_infos
from fleet_common.streams.metrics import StreamMetrics
from fleet_common.streams.trims import TrimAnnouncer, trim_by_shrinking
from fleet_common.units import format_duration, format_size
from fleet_contracts.streams import (
    ASSIGNMENTS_BUCKET,
    ASSIGNMENTS_BUCKET_MAX_BYTES,
    INVENTORY_BUCKET,
    INVENTORY_BUCKET_MAX_BYTES,
    StreamDefinition,
    StreamStorage,
)
from fleet_contracts.subjects import TenantId, stream_name

_log = logging.getLogger(__name__)

_PREFIX: Final = stream_name(TenantId(""))


@dataclass(frozen=True, slots=True)
class Applied:
    """What stands now. `notes` are lines for a person; empty when nothing changed."""

    plans: tuple[StreamPlan, ...]
    notes: tuple[str, ...]
    infos: Mapping[str, StreamInfo] = field(default_factory=dict[str, StreamInfo])
    """All streams of the account by name, as they were looked at."""
    refused: Mapping[TenantId, str] = field(default_factory=dict[TenantId, str])
    """Why the broker would not do a tenant's stream; the others stand. See `each_alone`."""


class PlanApplier:
    """Brings the broker to what the fleets ask for.

    `apply` plans anew; `correct` keeps what was planned last. Both may be called at any time,
    and what they find is brought to what it should be, whatever happened in between.
    """

    def __init__(
        self,
        js: JetStreamContext,
        budget: StreamBudget | None,
        metrics: StreamMetrics,
        *,
        announcer: TrimAnnouncer | None = None,
        advice: Advice | None = None,
        records: bool = True,
        each_alone: bool = False,
    ) -> None:
        """`budget`: what our streams may take, None: all that the account allows.

        `records`: the inventory follows the fleets too; else its owner sees to the buckets.
        `each_alone`: a stream that the broker refuses is told in `Applied.refused` instead
        of an error that stops the others.
        """
        self._js = js
        self._budget = budget
        self._metrics = metrics
        self._announcer = announcer or TrimAnnouncer(js, metrics)
        self._advice = advice or Advice()
        self._records = records
        self._each_alone = each_alone
        self._buckets: tuple[KeyValue, KeyValue] | None = None
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
        names the figures), nats errors when the broker is away.
        """
        async with self._lock:
            try:
                applied = await self._apply(fleets, measured or {}, untouched)
            except Exception:
                self._metrics.plans.labels("failed").inc()
                raise
            self._metrics.plans.labels("applied").inc()
            return applied

    async def correct(self) -> Applied:
        """What someone else changed or deleted is as planned again. Raises as `apply` does."""
        async with self._lock:
            infos = await stream_infos(self._js)
            notes, refused = await self._declare_all(list(self._plans.values()), infos)
            if notes:
                infos = await stream_infos(self._js)
            return Applied(tuple(self._plans.values()), tuple(notes), infos, refused)

    async def _apply(
        self,
        fleets: Sequence[RouterFleet],
        measured: Mapping[TenantId, Sizes],
        untouched: Collection[TenantId],
    ) -> Applied:
        wanted = {stream_name(fleet.tenant) for fleet in fleets}
        infos = await stream_infos(self._js)
        existing = {name: info for name, info in infos.items() if name.startswith(_PREFIX)}
        kept = {stream_name(tenant) for tenant in untouched}
        left = [info for name, info in existing.items() if name not in wanted | kept]
        notes = [note for info in left if (note := await self._shrink_unused(info)) is not None]
        others = [info for name, info in existing.items() if name not in wanted]
        plans = await self._plan(fleets, measured, infos, others)
        check_subjects(
            [one.definition for one in plans],
            [
                ExistingStream(name, tuple(info.config.subjects or ()))
                for name, info in infos.items()
            ],
        )
        self._plans = {name: one for name, one in self._plans.items() if name in wanted}
        # Streams that shrink go first: what they give back is what the others get.
        ordered = sorted(plans, key=lambda one: one.max_bytes - _limit(existing, one.definition))
        declared, refused = await self._declare_all(ordered, existing)
        if self._records:
            await self._record(fleets, [_tenant(info) for info in left])
        return Applied(tuple(plans), (*notes, *declared), infos, refused)

    async def _declare_all(
        self, plans: Sequence[StreamPlan], infos: Mapping[str, StreamInfo]
    ) -> tuple[list[str], dict[TenantId, str]]:
        notes, refused = list[str](), dict[TenantId, str]()
        for one in plans:
            try:
                notes += await self._declare(one, infos.get(one.definition.name))
            except ConfigurationError as error:
                if not self._each_alone:
                    raise
                refused[one.tenant] = str(error)
        return notes, refused

    async def _plan(
        self,
        fleets: Sequence[RouterFleet],
        measured: Mapping[TenantId, Sizes],
        infos: Mapping[str, StreamInfo],
        left: Sequence[StreamInfo],
    ) -> list[StreamPlan]:
        try:
            return plan_streams(
                PlanRequest(
                    fleets=fleets,
                    budget=account_budget(
                        await self._limits(),
                        _reservations(infos, {stream_name(fleet.tenant) for fleet in fleets}),
                        None if self._budget is None else _without(self._budget, left),
                    ),
                    measured=measured,
                    streams=await self._streams(fleets, infos),
                    previous=self._previous(fleets, infos),
                ),
                time.time(),
            )
        except PlanningError as error:
            raise type(error)(self._too_small(left, error)) from error

    def _too_small(self, left: Sequence[StreamInfo], error: PlanningError) -> str:
        held = format_size(sum(_least_bytes(info) for info in left))
        given = self._advice.budget
        if self._budget is not None:
            purse = self._budget.together_bytes
            size = self._budget.file_bytes if purse is None else purse
            given += "" if size is None else f" {format_size(size)}"
        text = f"{given}, of which streams of earlier fleets hold {held}: {error}"
        return f"{text}. {self._advice.more_room}" if self._advice.more_room else text

    async def _limits(self) -> AccountLimits:
        limits = (await self._js.account_info()).limits
        file, memory = limits.max_storage, limits.max_memory
        return AccountLimits(file if file > 0 else None, memory if memory > 0 else None)

    async def _streams(
        self, fleets: Sequence[RouterFleet], infos: Mapping[str, StreamInfo]
    ) -> dict[TenantId, StreamState]:
        states: dict[TenantId, StreamState] = {}
        for fleet in fleets:
            name = stream_name(fleet.tenant)
            if name in infos:
                stored = self._positions.judge(infos[name], await consumers_of(self._js, name))
                states[fleet.tenant] = await live_state(self._js, infos[name], stored.slowest)
        return states

    def _previous(
        self, fleets: Sequence[RouterFleet], existing: Mapping[str, StreamInfo]
    ) -> dict[TenantId, int]:
        """The sizes planned last; after a start those that the streams have."""
        previous: dict[TenantId, int] = {}
        for fleet in fleets:
            name = stream_name(fleet.tenant)
            live = existing[name].config.max_bytes if name in existing else None
            planned = self._plans.get(name)
            size = live if planned is None else planned.max_bytes
            if size is not None and size > 0:
                previous[fleet.tenant] = size
        return previous

    async def _declare(self, one: StreamPlan, before: StreamInfo | None) -> list[str]:
        """The stream as planned; lines that say what was done, and what was dropped by it."""
        definition = one.definition
        planned_before = self._plans.get(definition.name)
        changes = before is None or differences(before.config, stream_config(definition))
        drifted = planned_before is not None and (
            before is None or differences(before.config, stream_config(planned_before.definition))
        )
        notes: list[str] = []
        if changes:
            notes = await self._bring(one, before)
            if drifted:
                self._metrics.drift.labels(one.tenant).inc()
            notes.insert(0, _describe(one, before, drifted=bool(drifted)))
        self._plans[definition.name] = one
        return notes

    async def _bring(self, one: StreamPlan, before: StreamInfo | None) -> list[str]:
        """Declare it; what a smaller limit drops is foretold, and announced when it has gone."""
        name, notes = one.definition.name, list[str]()
        state: StreamState | None = None
        try:
            if before is not None:
                # As it is right now: what is dropped is counted from here.
                now = await self._js.stream_info(name)
                stored = self._positions.judge(now, await consumers_of(self._js, name))
                state = await live_state(self._js, now, stored.slowest)
                notes += _foretell(one, state)
            after = await declare_stream(self._js, one.definition)
        except NotFoundError:
            # Deleted since it was listed: the next look makes it anew.
            return notes
        except APIError as error:
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

    async def _shrink_unused(self, info: StreamInfo) -> str | None:
        least = _least_bytes(info)
        if info.config.max_bytes == least:
            return None
        info.config.max_bytes = least
        await self._js.update_stream(info.config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        return (
            f"stream {info.config.name} belongs to no fleet of this run; it keeps its "
            f"{info.state.messages} messages, within {format_size(least)}"
        )

    async def _record(self, fleets: Sequence[RouterFleet], gone: Iterable[str]) -> None:
        if self._buckets is None:
            self._buckets = (
                await declare_bucket(self._js, INVENTORY_BUCKET, INVENTORY_BUCKET_MAX_BYTES),
                await declare_bucket(self._js, ASSIGNMENTS_BUCKET, ASSIGNMENTS_BUCKET_MAX_BYTES),
            )
        inventory, assignments = self._buckets
        for fleet in fleets:
            records = {record.key(): record for record in device_records(fleet)}
            # A poller reads a device's record when it is assigned to it: records come first.
            await replace_all(inventory, fleet.tenant, records)
        for tenant in gone:
            await replace_all(assignments, tenant, {})
            await replace_all(inventory, tenant, {})


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


def _foretell(one: StreamPlan, state: StreamState) -> list[str]:
    """A line before messages go that a consumer has not stored."""
    trim = estimate_trim(state, one.max_bytes)
    if not trim.unstored_messages:
        return []
    _log.warning(
        "the plan drops messages that a consumer has not stored",
        extra={
            "tenant": one.tenant,
            "unstored_messages": trim.unstored_messages,
            "unstored_bytes": trim.unstored_bytes,
            "max_bytes": one.max_bytes,
        },
    )
    return [
        (
            f"stream {one.definition.name}: {format_size(one.max_bytes)} drop about "
            f"{trim.unstored_messages} messages ({format_size(trim.unstored_bytes)}) that a "
            "consumer has not stored: the budget leaves no more"
        )
    ]


def _describe(one: StreamPlan, before: StreamInfo | None, *, drifted: bool) -> str:
    name = one.definition.name
    size = format_size(one.max_bytes)
    window = format_duration(one.resulting_window_seconds)
    if drifted:
        what = "deleted" if before is None else "changed"
        line = f"stream {name} was {what} by someone else; it is {size} again"
    elif before is None:
        line = f"stream {name}: {size}, replay window {window}"
    else:
        line = (
            f"stream {name}: {format_size(before.config.max_bytes or 0)} → {size}, "
            f"replay window {window}"
        )
    if one.shortened:
        wanted = format_duration(one.wanted_window_seconds)
        line += f" (wanted {wanted}; the budget allows no more)"
    return line


def _reservations(infos: Mapping[str, StreamInfo], ours: AbstractSet[str]) -> list[Reservation]:
    """What other streams of the account may take; without a limit, what they hold."""
    return [
        Reservation(
            name,
            StreamStorage.MEMORY
            if info.config.storage == StorageType.MEMORY
            else StreamStorage.FILE,
            max(info.config.max_bytes or 0, info.state.bytes) * (info.config.num_replicas or 1),
        )
        for name, info in infos.items()
        if name not in ours
    ]


def _without(budget: StreamBudget, left: Sequence[StreamInfo]) -> StreamBudget:
    """What the budget leaves beside the streams of tenants that have left or stay untouched."""
    held = {StorageType.FILE: 0, StorageType.MEMORY: 0}
    for info in left:
        copies = info.config.num_replicas or 1
        size = max(info.config.max_bytes or 0, _least_bytes(info))
        held[info.config.storage or StorageType.FILE] += size * copies
    together = budget.together_bytes

    def rest(limit: int | None, taken: int) -> int | None:
        return None if limit is None else limit - taken

    if together is not None:
        # One purse: whatever is held takes from all of it.
        everything = sum(held.values())
        return StreamBudget(
            rest(budget.file_bytes, everything),
            rest(budget.memory_bytes, everything),
            together - everything,
        )
    return StreamBudget(
        rest(budget.file_bytes, held[StorageType.FILE]),
        rest(budget.memory_bytes, held[StorageType.MEMORY]),
    )


def _least_bytes(info: StreamInfo) -> int:
    """What a stream nobody writes to needs to keep what it has."""
    return max(FLOOR_BYTES, info.state.bytes)


def _limit(existing: Mapping[str, StreamInfo], definition: StreamDefinition) -> int:
    info = existing.get(definition.name)
    return 0 if info is None else info.config.max_bytes or 0


def _tenant(info: StreamInfo) -> str:
    return (info.config.name or "").removeprefix(_PREFIX)
