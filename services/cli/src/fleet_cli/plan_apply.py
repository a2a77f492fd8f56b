"""The operator's part on a laptop: streams and inventory follow the fleets."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError
from nats.js.kv import KeyValue

from fleet_common.broker import declare_bucket, declare_stream, stream_config
from fleet_common.errors import ConfigurationError
from fleet_common.fleet_spec import RouterFleet
from fleet_common.inventory import device_records, replace_all
from fleet_common.planning import (
    FLOOR_BYTES,
    PlanningError,
    PlanRequest,
    Sizes,
    StreamPlan,
    plan_streams,
    single_budget,
)
from fleet_common.units import format_duration, format_size
from fleet_contracts.streams import (
    ASSIGNMENTS_BUCKET,
    ASSIGNMENTS_BUCKET_MAX_BYTES,
    INVENTORY_BUCKET,
    INVENTORY_BUCKET_MAX_BYTES,
    StreamDefinition,
)
from fleet_contracts.subjects import TenantId, stream_name

_log = logging.getLogger(__name__)

_PREFIX: Final = stream_name(TenantId(""))


@dataclass(frozen=True, slots=True)
class Applied:
    """What stands now. `notes` are lines for a person; empty when nothing changed."""

    plans: tuple[StreamPlan, ...]
    notes: tuple[str, ...]


class PlanApplier:
    """Brings the broker to what the fleets ask for; called at the start and on a timer."""

    def __init__(self, js: JetStreamContext, budget_bytes: int) -> None:
        self._js = js
        self._budget_bytes = budget_bytes
        self._buckets: tuple[KeyValue, KeyValue] | None = None
        self._planned: dict[str, int] = {}

    async def apply(
        self, fleets: Sequence[RouterFleet], measured: Mapping[TenantId, Sizes] | None = None
    ) -> Applied:
        """Streams sized to the fleets, their devices in the inventory; both buckets exist.

        Streams of tenants that are in no fleet keep their messages and give back the room
        they do not use. Raises ConfigurationError when the budget is too small, nats errors
        when the broker is away.
        """
        wanted = {stream_name(fleet.tenant) for fleet in fleets}
        existing = {
            info.config.name: info
            for info in await self._js.streams_info()
            if info.config.name is not None and info.config.name.startswith(_PREFIX)
        }
        left = [info for name, info in existing.items() if name not in wanted]
        notes = [note for info in left if (note := await self._shrink_unused(info)) is not None]
        reserved = sum(_least_bytes(info) for info in left)
        try:
            plans = plan_streams(
                PlanRequest(
                    fleets=fleets,
                    budget=single_budget(self._budget_bytes - reserved),
                    measured=measured or {},
                    previous=self._previous(fleets, existing),
                )
            )
        except PlanningError as error:
            raise ConfigurationError(
                f"--budget {format_size(self._budget_bytes)}, of which streams of earlier fleets "
                f"hold {format_size(reserved)}: {error}. Give a larger --budget or another "
                "--data-dir"
            ) from error
        # Streams that shrink go first: what they give back is what the others get.
        ordered = sorted(plans, key=lambda one: one.max_bytes - _limit(existing, one.definition))
        for one in ordered:
            notes += await self._declare(one, existing.get(one.definition.name))
        await self._record(fleets, [_tenant(info) for info in left])
        return Applied(tuple(plans), tuple(notes))

    def _previous(
        self, fleets: Sequence[RouterFleet], existing: Mapping[str, StreamInfo]
    ) -> dict[TenantId, int]:
        """The sizes planned last; after a start those that the streams have."""
        previous: dict[TenantId, int] = {}
        for fleet in fleets:
            name = stream_name(fleet.tenant)
            live = existing[name].config.max_bytes if name in existing else None
            size = self._planned.get(name, live)
            if size is not None and size > 0:
                previous[fleet.tenant] = size
        return previous

    async def _declare(self, one: StreamPlan, before: StreamInfo | None) -> list[str]:
        definition = one.definition
        planned_before = self._planned.get(definition.name)
        self._planned[definition.name] = definition.max_bytes
        if before is not None:
            differing = differences(before.config, stream_config(definition))
            if not differing:
                return []
        try:
            await declare_stream(self._js, definition)
        except APIError as error:
            raise ConfigurationError(
                f"stream {definition.name} ({format_size(definition.max_bytes)}): the broker "
                f"refuses it: {error.description}. Another --data-dir begins anew"
            ) from error
        return _describe(one, before, planned_before)

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


def _describe(one: StreamPlan, before: StreamInfo | None, planned_before: int | None) -> list[str]:
    name = one.definition.name
    size = format_size(one.max_bytes)
    window = format_duration(one.resulting_window_seconds)
    if before is None:
        line = f"stream {name}: {size}, replay window {window}"
    elif planned_before in {None, before.config.max_bytes}:
        line = (
            f"stream {name}: {format_size(before.config.max_bytes or 0)} → {size}, "
            f"replay window {window}"
        )
    else:
        line = f"stream {name} was changed by someone else; it is {size} again"
    if one.shortened:
        wanted = format_duration(one.wanted_window_seconds)
        line += f" (wanted {wanted}; the budget allows no more)"
    return [line]


def _least_bytes(info: StreamInfo) -> int:
    """What a stream nobody writes to needs to keep what it has."""
    return max(FLOOR_BYTES, info.state.bytes)


def _limit(existing: Mapping[str, StreamInfo], definition: StreamDefinition) -> int:
    info = existing.get(definition.name)
    return 0 if info is None else info.config.max_bytes or 0


def _tenant(info: StreamInfo) -> str:
    return (info.config.name or "").removeprefix(_PREFIX)


async def stream_states(js: JetStreamContext, plans: Sequence[StreamPlan]) -> list[StreamInfo]:
    """The streams as the broker has them, in the plans' order. Raises nats errors."""
    try:
        return [await js.stream_info(one.definition.name) for one in plans]
    except NotFoundError as error:
        raise ConfigurationError(
            "a stream was deleted while the demo ran; it is declared anew within a minute"
        ) from error
