"""How many shards a fleet should have, and how many pods it must still keep. Pure.

By the number of devices; and, when shards are saturated for a while, more. One at a time,
with room between the levels that add and remove one, so that it never swings.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fleet_common.assignment import shards_wanted
from fleet_common.fleet_spec import ShardsSpec

HOT_CPU_RATIO: Final = 0.8
"""A shard that uses so much of its core, or of what its CPU limit leaves it, is saturated."""
HOT_LAG_SECONDS: Final = 2.0
"""So is one whose slots begin so late."""
CALM_CPU_RATIO: Final = 0.5
"""One shard less must leave each of the others below this."""
CALM_LAG_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """How long saturation must last before a shard is added, and calm before one is removed.

    So long it is also between two that are added or removed.
    """

    hot_seconds: float = 60.0
    calm_seconds: float = 900.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one shard says of itself. `cpu_ratio`: of what it may use; None: it does not say."""

    cpu_ratio: float | None
    slot_lag_seconds: float | None

    @property
    def hot(self) -> bool:
        """Saturated."""
        return (self.cpu_ratio or 0.0) >= HOT_CPU_RATIO or (
            self.slot_lag_seconds or 0.0
        ) >= HOT_LAG_SECONDS


@dataclass(frozen=True, slots=True)
class Saturation:
    """What is remembered of one fleet. `extra` shards beyond what its devices ask for."""

    extra: int = 0
    hot_since: float | None = None
    calm_since: float | None = None


def shards_for(spec: ShardsSpec, devices: int, extra: int) -> int:
    """The number of shards: `replicas` where given, else by devices plus `extra`, within max."""
    if spec.replicas is not None:
        return spec.replicas
    base = shards_wanted(spec, devices)
    if not base:
        return 0
    return min(base + extra, max(spec.max, base))


def observe(
    before: Saturation,
    spec: ShardsSpec,
    devices: int,
    loads: Sequence[Load],
    *,
    now: float,
    pace: Pace,
) -> Saturation:
    """After one look at the living shards' loads; `now` is of a clock that only goes forward."""
    base = shards_wanted(spec, devices)
    if spec.replicas is not None or not base:
        return Saturation()
    extra = min(before.extra, max(0, spec.max - base))
    state = replace(before, extra=extra)
    if not loads:
        return replace(state, hot_since=None, calm_since=None)
    if any(one.hot for one in loads):
        since = now if state.hot_since is None else state.hot_since
        if now - since >= pace.hot_seconds and base + extra < spec.max:
            return Saturation(extra=extra + 1)
        return replace(state, hot_since=since, calm_since=None)
    if extra and _would_be_calm(loads):
        since = now if state.calm_since is None else state.calm_since
        if now - since >= pace.calm_seconds:
            return Saturation(extra=extra - 1)
        return replace(state, hot_since=None, calm_since=since)
    return replace(state, hot_since=None, calm_since=None)


def _would_be_calm(loads: Sequence[Load]) -> bool:
    """Whether one shard less would have room for all the work that is known of."""
    known = [one.cpu_ratio for one in loads if one.cpu_ratio is not None]
    if len(loads) < 2 or len(known) < len(loads):  # noqa: PLR2004 - there must be one that is left
        return False
    late = any((one.slot_lag_seconds or 0.0) >= CALM_LAG_SECONDS for one in loads)
    return not late and sum(known) / (len(loads) - 1) < CALM_CPU_RATIO


def replicas_to_keep(wanted: int, live: int | None, holding: Collection[int] | None) -> int:
    """The StatefulSet's replicas: more at once; fewer only when nothing is left on the last.

    `holding` are the ordinals of shards that still own devices; None: nobody knows (the
    broker is away), and nothing is taken away then.
    """
    if live is None or wanted >= live:
        return wanted
    if holding is None:
        return live
    return min(live, max([wanted, *(ordinal + 1 for ordinal in holding)]))
