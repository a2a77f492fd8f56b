"""From fleets, measurements, live streams and a budget to a plan for every stream. Pure.

wanted = sum over kinds (devices x window / cadence x bytes of one stored message) x headroom
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from fleet_common.fleet_spec import RouterFleet
from fleet_common.planning.budget import single_budget
from fleet_common.planning.demand import Implausible, Sizes, bytes_per_second, plausible_sizes
from fleet_common.planning.explain import Outcome, explain
from fleet_common.planning.model import AGE_FACTOR, FLOOR_BYTES, HEADROOM, PlanRequest, StreamPlan
from fleet_common.planning.sizes import Need, Size, round_down, round_up, size_streams
from fleet_common.planning.stream_state import StreamState
from fleet_contracts.streams import DUPLICATE_WINDOW_SECONDS, tenant_stream
from fleet_contracts.subjects import TenantId


@dataclass(frozen=True, slots=True)
class _Demand:
    """One fleet's, in bytes and bytes per second. `ideal` knows no cap."""

    rate: float
    ideal: int
    wanted: int
    entitled: int
    weight: Fraction
    implausible: tuple[Implausible, ...]


def plan_streams(request: PlanRequest, now: float | None = None) -> list[StreamPlan]:
    """One plan a fleet, in the fleets' order; together within the budget.

    `now` is Unix seconds, for the ages of what is not stored; without it ages are not
    looked at. Raises BudgetTooSmallError and UnlimitedAccountError with the figures.
    """
    demands = [_demand(fleet, request.measured.get(fleet.tenant, {})) for fleet in request.fleets]
    needs = [
        _need(fleet, demand, request) for fleet, demand in zip(request.fleets, demands, strict=True)
    ]
    sizes = size_streams(needs, request.budget)
    return [
        _stream_plan(fleet, demand, size, request.streams.get(fleet.tenant), now)
        for fleet, demand, size in zip(request.fleets, demands, sizes, strict=True)
    ]


def plan(
    fleets: Sequence[RouterFleet],
    budget_bytes: int,
    measured: Mapping[TenantId, Sizes] | None = None,
) -> list[StreamPlan]:
    """A plan afresh, for streams that are not there yet, from one purse for both storage types.

    Raises BudgetTooSmallError.
    """
    return plan_streams(PlanRequest(fleets, single_budget(budget_bytes), measured or {}))


def _demand(fleet: RouterFleet, measured: Sizes) -> _Demand:
    sizes, implausible = plausible_sizes(measured)
    rate = bytes_per_second(fleet, sizes)
    estimated = bytes_per_second(fleet, {})
    ideal = _bytes_for(fleet, rate)
    cap = fleet.spec.events.max_bytes
    most = ideal if cap is None else max(FLOOR_BYTES, round_down(cap))
    wanted = min(ideal, most)
    return _Demand(
        rate=rate,
        ideal=ideal,
        wanted=wanted,
        entitled=min(wanted, _bytes_for(fleet, estimated)),
        weight=Fraction(estimated),
        implausible=tuple(implausible),
    )


def _bytes_for(fleet: RouterFleet, rate: float) -> int:
    window = fleet.spec.events.replay_window
    return round_up(max(FLOOR_BYTES, ceil(rate * window * HEADROOM)))


def _need(fleet: RouterFleet, demand: _Demand, request: PlanRequest) -> Need:
    live = request.streams.get(fleet.tenant)
    return Need(
        weight=demand.weight,
        wanted=demand.wanted,
        entitled=demand.entitled,
        storage=fleet.spec.events.storage,
        replicas=fleet.spec.events.replicas,
        live=None if live is None else live.size_bytes,
        # With headroom: it is estimated, and more arrives while the consumer is behind.
        unstored=0 if live is None else ceil(live.unstored_bytes * HEADROOM),
        previous=request.previous.get(fleet.tenant),
        cap=fleet.spec.events.max_bytes,
    )


def _stream_plan(
    fleet: RouterFleet,
    demand: _Demand,
    size: Size,
    live: StreamState | None,
    now: float | None,
) -> StreamPlan:
    events = fleet.spec.events
    rate = demand.rate
    window = size.max_bytes / (rate * HEADROOM) if rate else events.replay_window
    explained = explain(
        fleet,
        Outcome(
            size=size.max_bytes,
            held=size.held,
            ideal=demand.ideal,
            wanted=demand.wanted,
            rate=rate,
            wanted_seconds=events.replay_window,
            window_seconds=window,
            live=live,
            implausible=demand.implausible,
        ),
    )
    return StreamPlan(
        tenant=fleet.tenant,
        devices=len(fleet.spec.devices),
        bytes_per_second=rate,
        wanted_bytes=demand.wanted,
        max_bytes=size.max_bytes,
        wanted_window_seconds=events.replay_window,
        resulting_window_seconds=min(window, events.replay_window * AGE_FACTOR),
        definition=tenant_stream(
            fleet.tenant,
            max_bytes=size.max_bytes,
            max_age_seconds=_max_age(fleet, live, now),
            storage=events.storage,
            replicas=events.replicas,
        ),
        reason=explained.reason,
        sentence=explained.sentence,
        loss=explained.loss,
        conditions=explained.conditions,
    )


def _max_age(fleet: RouterFleet, live: StreamState | None, now: float | None) -> float:
    """Twice the window; the present age stays while a shorter one would drop the unstored."""
    wanted = max(fleet.spec.events.replay_window * AGE_FACTOR, DUPLICATE_WINDOW_SECONDS)
    oldest = None if live is None else live.oldest_unstored_time
    if live is None or live.max_age_seconds is None or oldest is None or now is None:
        return wanted
    return live.max_age_seconds if now - oldest > wanted < live.max_age_seconds else wanted
