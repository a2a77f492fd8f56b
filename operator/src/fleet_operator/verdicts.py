"""The conditions of a RouterFleet from what is known of it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fleet_common.fleet_spec import Problem, summarize
from fleet_common.liveness import RejectedLogins
from fleet_common.planning import StreamPlan
from fleet_contracts.streams import INVENTORY_BUCKET
from fleet_operator.conditions import (
    counted,
    credentials_verdict,
    inventory_verdict,
    sized_verdict,
    window_verdict,
)
from fleet_operator.fleets import Known
from fleet_operator.status import ConditionStatus, ConditionType, Verdict
from fleet_operator.workloads import Owner

_TRUE: Final = ConditionStatus.TRUE
_FALSE: Final = ConditionStatus.FALSE
_UNKNOWN: Final = ConditionStatus.UNKNOWN
OBJECT_REFUSED: Final = "ObjectRefused"
INVENTORY_FULL: Final = "InventoryFull"
BROKER_AWAY: Final = "BrokerUnavailable"
NO_LEADER: Final = "NoStreamLeader"


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of one fleet. `stream_trouble`: the broker's part failed, and why."""

    known: Known
    secret_problems: Sequence[Problem]
    rejected: Sequence[RejectedLogins]
    plan: StreamPlan | None
    live_max_bytes: int | None
    stream_trouble: tuple[str, str] | None
    shards_wanted: int
    shards_ready: int
    shards_there: int
    refused: Sequence[str]
    left_out: int
    """Devices that the inventory has no room for."""
    assigning_trouble: str | None


def conflict_verdicts(rival: Owner) -> tuple[Verdict, ...]:
    """Of a RouterFleet whose tenant this other one has."""
    text = (
        f"tenant {rival.name} belongs to the older RouterFleet "
        f"{rival.namespace}/{rival.name}; nothing is done for this one. Give it another name, or "
        "delete the other one"
    )
    return (
        Verdict(ConditionType.READY, _FALSE, "TenantConflict", text),
        Verdict(ConditionType.TENANT_CONFLICT, _TRUE, "TenantTaken", text),
    )


def verdicts(one: Situation) -> tuple[Verdict, ...]:
    """All conditions; Ready last in the making, first in the list."""
    parts = (
        _stream(one),
        _window(one.plan),
        _shards(one),
        _inventory(one),
        credentials_verdict(one.secret_problems, len(one.known.needs), one.rejected),
        Verdict(
            ConditionType.TENANT_CONFLICT, _FALSE, "OnlyOne", "no other RouterFleet has this name"
        ),
    )
    return (_ready(one, parts), *parts)


def _ready(one: Situation, parts: Sequence[Verdict]) -> Verdict:
    fleet = one.known.fleet
    by_type: Mapping[ConditionType, Verdict] = {part.type: part for part in parts}
    needed = (ConditionType.STREAM_SIZED, ConditionType.SHARDS_READY)
    if fleet is None:
        return Verdict(ConditionType.READY, _FALSE, *_spec_or_source(one.known))
    if one.left_out:
        return Verdict(ConditionType.READY, _FALSE, INVENTORY_FULL, _no_room(one.left_out))
    for kind in needed:
        part = by_type[kind]
        if part.status is not _TRUE:
            return Verdict(ConditionType.READY, _FALSE, part.reason, part.message)
    if fleet.spec.suspend:
        return Verdict(ConditionType.READY, _TRUE, "Suspended", "nothing is polled (spec.suspend)")
    if not one.shards_wanted:
        none = "nothing is polled: no shard is asked for (spec.shards)"
        return Verdict(ConditionType.READY, _TRUE, "NoShards", none)
    return Verdict(
        ConditionType.READY,
        _TRUE,
        "Polling",
        f"{counted(len(fleet.spec.devices), 'device')} on {counted(one.shards_ready, 'shard')}",
    )


def _spec_or_source(known: Known) -> tuple[str, str]:
    problems = known.resolution.problems
    if not problems:
        return "Unknown", "nothing is known of this fleet"
    return problems[0].kind.value, summarize(problems)


def _stream(one: Situation) -> Verdict:
    kind = ConditionType.STREAM_SIZED
    if one.stream_trouble is not None:
        reason, text = one.stream_trouble
        unknown = reason in {BROKER_AWAY, NO_LEADER}
        return Verdict(kind, _UNKNOWN if unknown else _FALSE, reason, text)
    if one.plan is None:
        return Verdict(kind, _UNKNOWN, "NotPlanned", "the stream has not been planned yet")
    return sized_verdict(one.plan, one.live_max_bytes)


def _window(plan: StreamPlan | None) -> Verdict:
    if plan is not None:
        return window_verdict(plan)
    return Verdict(
        ConditionType.REPLAY_WINDOW_REDUCED,
        _UNKNOWN,
        "NotPlanned",
        "the stream has not been planned yet",
    )


def _shards(one: Situation) -> Verdict:
    kind = ConditionType.SHARDS_READY
    if one.known.fleet is None and not one.known.rests:
        text = "how many there should be is not known; those that are there go on"
        return Verdict(kind, _UNKNOWN, _spec_or_source(one.known)[0], text)
    if one.refused:
        return Verdict(kind, _FALSE, OBJECT_REFUSED, "; ".join(one.refused[:3]))
    text = f"{one.shards_ready} of {one.shards_wanted} shards poll"
    if one.shards_ready < one.shards_wanted:
        return Verdict(kind, _FALSE, "ShardsNotReady", text)
    if one.assigning_trouble is not None:
        return Verdict(
            kind, _UNKNOWN, "NotAssigned", f"{text}; devices not assigned: {one.assigning_trouble}"
        )
    return Verdict(kind, _TRUE, "AllReady", text)


def _no_room(left_out: int) -> str:
    return (
        f"the bucket {INVENTORY_BUCKET} has no room for {counted(left_out, 'device')}, new or "
        f"changed: fewer devices, or a larger one (nats stream edit KV_{INVENTORY_BUCKET} "
        "--max-bytes …)"
    )


def _inventory(one: Situation) -> Verdict:
    known = one.known
    verdict = inventory_verdict(known.resolution)
    if one.left_out:
        text = _no_room(one.left_out)
        if verdict.status is _FALSE:
            return replace(verdict, message=f"{text}. {verdict.message}")
        return replace(verdict, status=_FALSE, reason=INVENTORY_FULL, message=text)
    if known.resolution.fleet is None and known.fleet is not None:
        return replace(verdict, message=f"{verdict.message}. What was valid before goes on")
    if known.remembered:
        more = f"{known.remembered} devices known from before go on being polled"
        return replace(verdict, message=f"{verdict.message}. {more}")
    return verdict
