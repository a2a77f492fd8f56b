"""What holds for every plan, whatever the fleets, the budget and the live streams."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet_common.fleet_spec import RouterFleet
from fleet_common.planning import (
    DEAD_BAND,
    FLOOR_BYTES,
    HEADROOM,
    BudgetTooSmallError,
    PlanRequest,
    Reason,
    StreamBudget,
    StreamPlan,
    StreamState,
    bytes_per_second,
    plan,
    plan_streams,
    single_budget,
)
from fleet_contracts.catalog import load_catalog
from fleet_contracts.streams import StreamStorage
from fleet_contracts.subjects import Kind, TenantId
from support.fleets import fleet

# The machine may be busy with other tests: time says nothing about these.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


MIB = 1024 * 1024
FILE, MEMORY = StreamStorage.FILE, StreamStorage.MEMORY
POLLED = (Kind.STATUS, Kind.HEALTH, Kind.INTERFACES, Kind.WIRELESS)


@dataclass(frozen=True)
class Row:
    """One tenant as drawn."""

    devices: int
    window: int = 21_600
    interval: int = 60
    storage: StreamStorage = FILE
    replicas: int = 1
    cap_mib: int | None = None
    growth: float = 1.0
    """Measured sizes over the catalogue's."""

    def fleet(self, number: int) -> RouterFleet:
        events: dict[str, object] = {
            "replayWindow": max(self.window, self.interval),
            "storage": self.storage.value,
            "replicas": self.replicas,
        }
        if self.cap_mib is not None:
            events["maxBytes"] = self.cap_mib * MIB
        return fleet(f"t{number}", self.devices, events=events, cadence={"interval": self.interval})

    def measured(self) -> dict[Kind, float]:
        catalog = load_catalog()
        return {kind: catalog[kind].stored_bytes * self.growth for kind in POLLED}


rows = st.lists(
    st.builds(
        Row,
        devices=st.integers(0, 200),
        window=st.integers(300, 200_000),
        interval=st.sampled_from([5, 60, 600]),
        storage=st.sampled_from([FILE, FILE, MEMORY]),
        replicas=st.sampled_from([1, 1, 3]),
        cap_mib=st.none() | st.integers(1, 64),
        growth=st.sampled_from([0.6, 1.0, 1.0, 1.02, 2.5]),
    ),
    min_size=1,
    max_size=6,
)
extra_mib = st.integers(0, 400)


def floors_mib(drawn: list[Row]) -> int:
    return sum(row.replicas for row in drawn)


def request(
    drawn: list[Row],
    budget: StreamBudget,
    *,
    streams: dict[TenantId, StreamState] | None = None,
    previous: dict[TenantId, int] | None = None,
) -> PlanRequest:
    fleets = [row.fleet(number) for number, row in enumerate(drawn)]
    return PlanRequest(
        fleets=fleets,
        budget=budget,
        measured={one.tenant: row.measured() for one, row in zip(fleets, drawn, strict=True)},
        streams=streams or {},
        previous=previous or {},
    )


def cost(plans: list[StreamPlan], *storages: StreamStorage) -> int:
    return sum(
        p.max_bytes * p.definition.replicas for p in plans if p.definition.storage in storages
    )


def sizes(plans: list[StreamPlan]) -> dict[TenantId, int]:
    return {p.tenant: p.max_bytes for p in plans}


@unhurried
@given(rows, extra_mib, extra_mib, st.none() | extra_mib)
def test_each_type_and_both_stay_within_their_budgets_above_the_floors(
    drawn: list[Row], file_mib: int, memory_mib: int, together_mib: int | None
) -> None:
    least = floors_mib(drawn)
    budget = StreamBudget(
        (least + file_mib) * MIB,
        (least + memory_mib) * MIB,
        None if together_mib is None else (least + together_mib) * MIB,
    )

    plans = plan_streams(request(drawn, budget))

    assert cost(plans, FILE) <= (budget.file_bytes or 0)
    assert cost(plans, MEMORY) <= (budget.memory_bytes or 0)
    if budget.together_bytes is not None:
        assert cost(plans, FILE, MEMORY) <= budget.together_bytes
    for p, row in zip(plans, drawn, strict=True):
        assert FLOOR_BYTES <= p.max_bytes <= p.wanted_bytes
        assert row.cap_mib is None or p.max_bytes <= row.cap_mib * MIB
        assert p.definition.max_bytes == p.max_bytes
        assert p.max_bytes % (64 * 1024) == 0


@unhurried
@given(rows)
def test_a_budget_that_suffices_grants_every_wanted_window(drawn: list[Row]) -> None:
    for p, row in zip(plan_streams(request(drawn, single_budget(2**50))), drawn, strict=True):
        if row.cap_mib is None:
            assert not p.shortened
            assert p.resulting_window_seconds >= p.wanted_window_seconds * 0.999


@unhurried
@given(rows, extra_mib)
def test_a_shortened_plan_says_the_window_that_its_bytes_give(
    drawn: list[Row], spare_mib: int
) -> None:
    plans = plan_streams(request(drawn, single_budget((floors_mib(drawn) + spare_mib) * MIB)))
    for p in plans:
        if p.shortened:
            expected = p.max_bytes / (p.bytes_per_second * HEADROOM)
            assert p.resulting_window_seconds == pytest.approx(expected)
            assert p.resulting_window_seconds < p.wanted_window_seconds * (1 - DEAD_BAND / 2)
            assert p.reason in {Reason.CAPPED_BY_OWNER, Reason.SHRUNK_TO_BUDGET, Reason.FLOOR}
        else:
            assert p.reason in {Reason.FITS, Reason.FLOOR, Reason.NO_DEVICES}


@unhurried
@given(rows, extra_mib, st.integers(1, 300), st.data())
def test_more_devices_never_make_a_stream_smaller(
    drawn: list[Row], spare_mib: int, more: int, data: st.DataObject
) -> None:
    budget = single_budget((floors_mib(drawn) + spare_mib) * MIB)
    grown = data.draw(st.integers(0, len(drawn) - 1))
    larger = list(drawn)
    larger[grown] = replace(drawn[grown], devices=drawn[grown].devices + more)

    before = plan_streams(request(drawn, budget))[grown]
    after = plan_streams(request(larger, budget))[grown]

    assert after.max_bytes >= before.max_bytes


@unhurried
@given(rows, extra_mib, st.floats(1.0, 50.0), st.data())
def test_sizes_that_explode_take_nothing_from_a_tenant_as_large_as_expected(
    drawn: list[Row], spare_mib: int, explosion: float, data: st.DataObject
) -> None:
    loud = data.draw(st.integers(0, len(drawn) - 1))
    budget = single_budget((floors_mib(drawn) + spare_mib) * MIB)
    calm = [replace(row, growth=min(row.growth, 1.0)) for row in drawn]
    calm[loud] = replace(calm[loud], growth=1.0)
    noisy = list(calm)
    noisy[loud] = replace(calm[loud], growth=explosion)

    before = plan_streams(request(calm, budget))
    after = plan_streams(request(noisy, budget))

    for number, (one, other) in enumerate(zip(before, after, strict=True)):
        if number != loud:
            assert other.max_bytes == one.max_bytes


@unhurried
@given(st.integers(1, 150), st.integers(2, 6), st.integers(0, 64))
def test_equal_tenants_get_equal_sizes(devices: int, tenants: int, spare_mib: int) -> None:
    drawn = [Row(devices)] * tenants
    plans = plan_streams(request(drawn, single_budget((tenants + spare_mib) * MIB)))
    assert len(set(sizes(plans).values())) == 1


@unhurried
@given(rows, extra_mib, st.data())
def test_small_changes_keep_every_size_and_larger_ones_stay_within_the_budget(
    drawn: list[Row], spare_mib: int, data: st.DataObject
) -> None:
    budget = single_budget((floors_mib(drawn) + spare_mib) * MIB)
    drift = st.floats(0.98, 1.02)
    first = sizes(plan_streams(request(drawn, budget)))
    drifted = [replace(row, growth=row.growth * data.draw(drift)) for row in drawn]

    plans = plan_streams(request(drifted, budget, previous=first))

    assert cost(plans, FILE, MEMORY) <= (budget.together_bytes or 0)
    afresh = sizes(plan_streams(request(drifted, budget)))
    for p in plans:
        was, fresh = first[p.tenant], afresh[p.tenant]
        # The first plan keeps to the same budget, so keeping all of it is always possible.
        assert p.max_bytes in {was, fresh}
        if abs(fresh - was) <= was * DEAD_BAND and all(
            abs(afresh[t] - first[t]) <= first[t] * DEAD_BAND for t in first
        ):
            assert p.max_bytes == was


@st.composite
def live_streams(draw: st.DrawFn, count: int) -> dict[TenantId, StreamState]:
    streams: dict[TenantId, StreamState] = {}
    for number in range(count):
        if not draw(st.booleans()):
            continue
        held = draw(st.integers(0, 200_000_000))
        messages = max(1, held // 300)
        first = draw(st.integers(1, 10**6))
        streams[TenantId(f"t{number}")] = StreamState(
            first_sequence=first,
            last_sequence=first + messages - 1,
            messages=messages,
            bytes=held,
            max_bytes=draw(st.none() | st.just(max(held, MIB)) | st.just(held + 5 * MIB)),
            stored_sequence=draw(st.none() | st.integers(0, first + messages - 1)),
        )
    return streams


@unhurried
@given(rows, extra_mib, st.data())
def test_a_plan_applied_and_made_again_is_the_same(
    drawn: list[Row], spare_mib: int, data: st.DataObject
) -> None:
    budget = single_budget((floors_mib(drawn) + spare_mib) * MIB)
    streams = data.draw(live_streams(len(drawn)))
    previous = {tenant: state.size_bytes for tenant, state in streams.items()}

    first = plan_streams(request(drawn, budget, streams=streams, previous=previous))
    applied = {
        tenant: replace(state, max_bytes=sizes(first)[tenant]) for tenant, state in streams.items()
    }
    again = plan_streams(request(drawn, budget, streams=applied, previous=sizes(first)))

    assert sizes(again) == sizes(first)
    assert cost(first, FILE, MEMORY) <= (budget.together_bytes or 0)
    assert all(p.max_bytes >= FLOOR_BYTES for p in first)


@unhurried
@given(rows, extra_mib, st.data())
def test_nothing_unstored_is_dropped_unless_it_is_said_and_the_budget_is_used_up(
    drawn: list[Row], spare_mib: int, data: st.DataObject
) -> None:
    budget = single_budget((floors_mib(drawn) + spare_mib) * MIB)
    streams = data.draw(live_streams(len(drawn)))

    plans = plan_streams(request(drawn, budget, streams=streams))

    lossy = [
        p
        for p in plans
        if (s := streams.get(p.tenant)) and p.max_bytes < min(s.bytes, s.unstored_bytes)
    ]
    for p in lossy:
        state = streams[p.tenant]
        assert p.loss is not None
        assert p.loss.bytes == pytest.approx(state.unstored_bytes - p.max_bytes, rel=0.02, abs=900)
        assert str(p.loss.messages) in p.sentence
    for p in plans:
        if p not in lossy and p.loss is not None:
            assert p.loss.messages <= 3  # estimates round up
    if lossy:
        # No window of anybody is worth it: the others have their floors, and what rounding left.
        rounding = sum(row.replicas for row in drawn) * MIB
        assert all(p.max_bytes <= FLOOR_BYTES + rounding for p in plans if p.tenant not in streams)


def test_measured_sizes_replace_the_catalogues_estimates() -> None:
    one = fleet("north", 10)
    estimated = bytes_per_second(one, {})

    measured = bytes_per_second(one, {Kind.INTERFACES: 4000})

    assert measured - estimated == pytest.approx(10 * (4000 - 390) / 60)


def test_a_budget_below_the_floors_is_refused_with_both_figures() -> None:
    with pytest.raises(
        BudgetTooSmallError, match=f"budget of {MIB} bytes .* below {2 * FLOOR_BYTES}"
    ):
        plan([fleet("a", 1), fleet("b", 1)], MIB)
