"""What a fleet costs: messages, stream bytes, replay windows, shards, table growth. Pure.

Also the incident's own arithmetic: the configuration without max_bytes, and when it fills.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fleet_common.assignment import shards_wanted
from fleet_common.fleet_spec import RouterFleet, RouterFleetSpec
from fleet_common.measured_sizes import CATALOG_INTERFACES, TABLES, stored_bytes
from fleet_common.planning import (
    StreamPlan,
    bucket_reservations,
    bytes_per_second,
    cadence_seconds,
    messages_per_second,
    plan_streams,
    server_memory_needed,
    single_budget,
)
from fleet_common.planning.model import PlanRequest
from fleet_contracts.streams import StreamStorage
from fleet_contracts.subjects import DEVICE_KINDS, Kind, TenantId

DAY_SECONDS: Final = 86_400.0
HOUR_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Naive:
    """A stream as in the incident: in memory, bounded by age alone. Bytes and seconds.

    Each poll sends `messages_per_poll` messages of `message_bytes`.
    """

    messages_per_poll: int = 5
    message_bytes: float = 412.0
    """What the incident's 125 MB after ten hours of 30,300 messages each come to."""
    max_age_seconds: float = DAY_SECONDS

    def messages_per_day(self, devices: int, interval_seconds: float) -> float:
        """Messages of all devices."""
        return devices * self.messages_per_poll * DAY_SECONDS / interval_seconds

    def bytes_per_day(self, devices: int, interval_seconds: float) -> float:
        """Their bytes."""
        return self.messages_per_day(devices, interval_seconds) * self.message_bytes

    def seconds_until(
        self, limit_bytes: int, devices: int, interval_seconds: float
    ) -> float | None:
        """Until the stream holds `limit_bytes`; None when age discards before."""
        rate = self.bytes_per_day(devices, interval_seconds) / DAY_SECONDS
        return seconds_to_fill(limit_bytes, rate, self.max_age_seconds)


@dataclass(frozen=True, slots=True)
class KindLoad:
    """One kind's share. Per day, all devices; `message_bytes` of one stored message."""

    kind: Kind
    messages_per_day: float
    message_bytes: float
    bytes_per_day: float


@dataclass(frozen=True, slots=True)
class TableGrowth:
    """One table's growth in rows and bytes a day, and its bytes once retention is reached."""

    table: str
    rows_per_day: float
    bytes_per_day: float
    retention_days: int

    @property
    def bytes_at_retention(self) -> float:
        """Indexes included; write-ahead log and dead rows come on top."""
        return self.bytes_per_day * self.retention_days


@dataclass(frozen=True, slots=True)
class FleetCapacity:
    """One tenant: its plan, and what fills when."""

    plan: StreamPlan
    shards: int
    messages_per_day: float
    bytes_per_day: float
    hours_to_fill_stream: float | None
    """Until a new stream is full and begins to discard; None when age discards before."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """All tenants together. Bytes, seconds where not said otherwise."""

    budget_bytes: int
    interfaces: int
    kinds: tuple[KindLoad, ...]
    fleets: tuple[FleetCapacity, ...]
    tables: tuple[TableGrowth, ...]
    hours_to_fill_budget: float | None
    """Until today's events would fill the budget if only age (24 h) discarded."""
    naive_messages_per_day: float
    naive_bytes_per_day: float
    naive_hours_to_fill_budget: float | None
    server_memory_bytes: int
    """The nats-server's container limit for the planned streams and RouterFleet's own buckets."""

    @property
    def messages_per_day(self) -> float:
        """All kinds, all tenants."""
        return sum(one.messages_per_day for one in self.kinds)

    @property
    def bytes_per_day(self) -> float:
        """Stored in streams."""
        return sum(one.bytes_per_day for one in self.kinds)

    @property
    def table_bytes_per_day(self) -> float:
        """Growth of PostgreSQL until retention is reached."""
        return sum(one.bytes_per_day for one in self.tables)

    @property
    def devices(self) -> int:
        """Of all tenants."""
        return sum(one.plan.devices for one in self.fleets)


def seconds_to_fill(limit_bytes: int, rate: float, max_age_seconds: float) -> float | None:
    """Until a stream written at `rate` bytes a second holds the limit; None: never, age does."""
    if rate <= 0:
        return None
    seconds = limit_bytes / rate
    return seconds if seconds <= max_age_seconds else None


def capacity(
    fleets: Sequence[RouterFleet],
    budget_bytes: int,
    *,
    interfaces: int = CATALOG_INTERFACES,
    retention_days: Mapping[str, int] | int | None = None,
    naive: Naive | None = None,
) -> Capacity:
    """The model for these fleets, every device with so many interfaces and every kind.

    `retention_days` is for all tables or by table; the writer's defaults where missing.
    Raises the planner's BudgetTooSmallError.
    """
    naive = naive or Naive()
    sizes = {kind: stored_bytes(kind, interfaces) for kind in DEVICE_KINDS}
    measured: dict[TenantId, Mapping[Kind, float]] = {fleet.tenant: sizes for fleet in fleets}
    plans = plan_streams(PlanRequest(fleets, single_budget(budget_bytes), measured))
    total_rate = sum(bytes_per_second(fleet, sizes) for fleet in fleets)
    rate_of_naive = sum(
        naive.bytes_per_day(len(fleet.spec.devices), fleet.spec.cadence.interval)
        for fleet in fleets
    )
    return Capacity(
        budget_bytes=budget_bytes,
        interfaces=interfaces,
        kinds=tuple(_kind_load(kind, fleets, sizes[kind]) for kind in DEVICE_KINDS),
        fleets=tuple(
            _fleet_capacity(fleet, one, sizes) for fleet, one in zip(fleets, plans, strict=True)
        ),
        tables=_tables(fleets, interfaces, retention_days),
        hours_to_fill_budget=_hours(
            seconds_to_fill(budget_bytes, total_rate, naive.max_age_seconds)
        ),
        naive_messages_per_day=sum(
            naive.messages_per_day(len(fleet.spec.devices), fleet.spec.cadence.interval)
            for fleet in fleets
        ),
        naive_bytes_per_day=rate_of_naive,
        naive_hours_to_fill_budget=_hours(
            seconds_to_fill(budget_bytes, rate_of_naive / DAY_SECONDS, naive.max_age_seconds)
        ),
        server_memory_bytes=_server_memory(fleets, plans),
    )


def _kind_load(kind: Kind, fleets: Sequence[RouterFleet], size: float) -> KindLoad:
    messages = sum(_events_per_day(fleet.spec, kind) for fleet in fleets)
    return KindLoad(kind, messages, size, messages * size)


def _events_per_day(spec: RouterFleetSpec, kind: Kind) -> float:
    return len(spec.devices) * DAY_SECONDS / cadence_seconds(spec.cadence, kind)


def _fleet_capacity(
    fleet: RouterFleet,
    one: StreamPlan,
    sizes: Mapping[Kind, float],
) -> FleetCapacity:
    rate = bytes_per_second(fleet, sizes)
    return FleetCapacity(
        plan=one,
        shards=shards_wanted(fleet.spec.shards, len(fleet.spec.devices)),
        messages_per_day=messages_per_second(fleet) * DAY_SECONDS,
        bytes_per_day=rate * DAY_SECONDS,
        hours_to_fill_stream=_hours(
            seconds_to_fill(one.max_bytes, rate, one.definition.max_age_seconds)
        ),
    )


def _tables(
    fleets: Sequence[RouterFleet], interfaces: int, retention: Mapping[str, int] | int | None
) -> tuple[TableGrowth, ...]:
    growth: list[TableGrowth] = []
    for table in TABLES:
        events = sum(_events_per_day(fleet.spec, table.kind) for fleet in fleets)
        rows = events * table.rows(interfaces)
        if isinstance(retention, int):
            days = retention
        else:
            days = (retention or {}).get(table.table, table.retention_days)
        growth.append(TableGrowth(table.table, rows, rows * table.row_bytes, days))
    return tuple(growth)


def _server_memory(fleets: Sequence[RouterFleet], plans: Sequence[StreamPlan]) -> int:
    in_memory = [p for p in plans if p.definition.storage is StreamStorage.MEMORY]
    return server_memory_needed(
        len(plans) - len(in_memory) + len(bucket_reservations()),
        sum(p.max_bytes for p in in_memory),
        sum(messages_per_second(fleet) for fleet in fleets),
    )


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / HOUR_SECONDS
