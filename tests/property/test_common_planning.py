
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_common.fleet_spec import RouterFleet, parse_fleet
from fleet_common.planning import FLOOR_BYTES, HEADROOM, bytes_per_second, plan
from fleet_contracts.subjects import Kind

MIB = 1024 * 1024


def fleet(name: str, devices: int, **spec: object) -> RouterFleet:
    return parse_fleet(
        {
            "apiVersion": "routerfleet.io/v1alpha1",
            "kind": "RouterFleet",
            "metadata": {"name": name},
            "spec": {
                "credentials": {"secretRef": {"name": "s"}},
                "devices": [{"name": f"d{n}", "address": "h"} for n in range(devices)],
                **spec,
            },
        },
        name,
    )


fleets = st.lists(
    st.tuples(st.integers(0, 200), st.integers(300, 200_000), st.sampled_from([5, 60, 600])),
    min_size=1,
    max_size=6,
).map(
    lambda rows: [
        fleet(
            f"t{n}",
            devices,
            events={"replayWindow": window},
            cadence={"interval": interval},
        )
        for n, (devices, window, interval) in enumerate(rows)
    ]
)


@given(fleets, st.integers(6, 4096))
def test_a_plan_stays_within_its_budget_and_above_the_floors(
    these: list[RouterFleet], budget_mib: int
) -> None:
    plans = plan(these, budget_mib * MIB)

    assert sum(p.max_bytes for p in plans) <= budget_mib * MIB
    assert all(p.max_bytes >= FLOOR_BYTES for p in plans)
    assert all(p.max_bytes <= p.wanted_bytes for p in plans)


@given(fleets)
def test_a_budget_that_suffices_grants_every_wanted_window(these: list[RouterFleet]) -> None:
    plans = plan(these, 2**50)

    for p in plans:
        assert not p.shortened
        assert p.resulting_window_seconds >= p.wanted_window_seconds * 0.999


@given(fleets, st.integers(6, 64))
def test_a_shortened_plan_says_the_window_that_its_bytes_give(
    these: list[RouterFleet], budget_mib: int
) -> None:
    for p in plan(these, budget_mib * MIB):
        if p.shortened:
            expected = p.max_bytes / (p.bytes_per_second * HEADROOM)
            assert p.resulting_window_seconds == pytest.approx(expected)
            assert p.resulting_window_seconds < p.wanted_window_seconds * 1.001


def test_measured_sizes_replace_the_catalogues_estimates() -> None:
    one = fleet("north", 10)
    estimated = bytes_per_second(one, {})

    measured = bytes_per_second(one, {Kind.INTERFACES: 4000})

    assert measured - estimated == pytest.approx(10 * (4000 - 390) / 60)


def test_the_owners_cap_bounds_the_stream() -> None:
    (capped,) = plan([fleet("north", 500, events={"maxBytes": "8MiB"})], 2**40)

    assert capped.max_bytes == 8 * MIB


def test_a_budget_below_the_floors_is_refused_with_both_figures() -> None:
    with pytest.raises(ValueError, match=f"budget of {MIB} bytes is below {2 * FLOOR_BYTES}"):
        plan([fleet("a", 1), fleet("b", 1)], MIB)
