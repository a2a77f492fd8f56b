"""Shards by devices and saturation: within bounds, one at a time, and never swinging."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fleet_common.assignment import shards_wanted
from fleet_common.fleet_spec import ShardsSpec
from fleet_operator.scaling import (
    Load,
    Pace,
    Saturation,
    observe,
    replicas_to_keep,
    shards_for,
)

ratios = st.none() | st.floats(0, 4)
loads = st.lists(st.builds(Load, ratios, st.none() | st.floats(0, 30)), max_size=6)
specs = st.tuples(st.integers(0, 5), st.integers(1, 12), st.integers(1, 500)).map(
    lambda drawn: ShardsSpec(
        min=min(drawn[:2]), max=max(drawn[0], drawn[1]), devices_per_shard=drawn[2]
    )
)
looks = st.lists(st.tuples(st.floats(0.5, 120), loads), max_size=40)
HOT, CALM, BETWEEN = Load(0.95, 0.0), Load(0.05, 0.0), Load(0.6, 0.0)
PACE = Pace()
SPEC = ShardsSpec(min=1, max=4, devices_per_shard=100)


def run(steps: list[tuple[float, list[Load]]], spec: ShardsSpec, devices: int) -> list[Saturation]:
    state, now, seen = Saturation(), 0.0, list[Saturation]()
    for seconds, seen_loads in steps:
        now += seconds
        state = observe(state, spec, devices, seen_loads, now=now, pace=PACE)
        seen.append(state)
    return seen


@given(specs, st.integers(0, 3000), looks)
def test_never_outside_the_bounds_of_the_spec(
    spec: ShardsSpec, devices: int, steps: list[tuple[float, list[Load]]]
) -> None:
    base = shards_wanted(spec, devices)
    for state in run(steps, spec, devices):
        count = shards_for(spec, devices, state.extra)
        assert base <= count <= max(spec.max, base)
        assert state.extra >= 0


@given(specs, st.integers(0, 3000), looks)
def test_one_at_a_time_and_not_before_it_has_lasted(
    spec: ShardsSpec, devices: int, steps: list[tuple[float, list[Load]]]
) -> None:
    states = [Saturation(), *run(steps, spec, devices)]
    times = [0.0]
    for seconds, _ in steps:
        times.append(times[-1] + seconds)
    changes = [n for n in range(1, len(states)) if states[n].extra != states[n - 1].extra]
    for n in changes:
        assert abs(states[n].extra - states[n - 1].extra) == 1
    for one, other in pairwise(changes):
        assert times[other] - times[one] >= PACE.hot_seconds


@given(st.integers(0, 100), looks)
def test_a_fixed_number_is_kept_whatever_the_load(
    replicas: int, steps: list[tuple[float, list[Load]]]
) -> None:
    spec = ShardsSpec(replicas=replicas)
    for state in run(steps, spec, 500):
        assert shards_for(spec, 500, state.extra) == replicas


@given(st.lists(st.floats(0.5, 30), min_size=1, max_size=60))
def test_between_the_levels_nothing_moves(seconds: list[float]) -> None:
    steps = [(one, [BETWEEN, BETWEEN]) for one in seconds]
    assert all(state.extra == 0 for state in run(steps, SPEC, 150))


def test_saturation_adds_up_to_max_and_calm_takes_them_back() -> None:
    hot = [(10.0, [HOT, CALM])] * 60
    state = run(hot, SPEC, 100)[-1]
    assert shards_for(SPEC, 100, state.extra) == SPEC.max
    now = 0.0
    for _ in range(int(3 * PACE.calm_seconds / 10) + 10):
        now += 10
        state = observe(state, SPEC, 100, [CALM] * 4, now=10_000 + now, pace=PACE)
    assert shards_for(SPEC, 100, state.extra) == 1


def test_a_moment_of_heat_adds_nothing() -> None:
    steps = [
        (PACE.hot_seconds / 3, [HOT]),
        (1.0, [HOT]),
        (1.0, [BETWEEN]),
        (PACE.hot_seconds / 2, [HOT]),
    ]
    assert all(state.extra == 0 for state in run(steps, SPEC, 100))


def test_an_added_shard_is_not_taken_back_while_the_rest_would_be_busy() -> None:
    state = Saturation(extra=1)
    for n in range(300):
        state = observe(state, SPEC, 100, [Load(0.3, 0.0), Load(0.3, 0.0)], now=n * 10.0, pace=PACE)
    assert state.extra == 1


holding = st.none() | st.frozensets(st.integers(0, 10))


@given(st.integers(0, 10), st.none() | st.integers(0, 11), holding)
def test_no_pod_with_devices_is_ever_taken_away(
    wanted: int, live: int | None, held: frozenset[int] | None
) -> None:
    kept = replicas_to_keep(wanted, live, held)
    assert kept >= wanted
    if live is not None and wanted < live:
        assert kept <= live
        if held is None:
            assert kept == live
        else:
            assert all(ordinal < kept for ordinal in held if ordinal < live)
