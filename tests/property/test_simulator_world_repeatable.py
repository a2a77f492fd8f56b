"""The world is a function of (seed, device, time): same questions, same rows, in any order."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_simulator.tables import Row
from fleet_simulator.world import PERSONALITIES, SimulatedRouter, build_router
from fleet_simulator.world.activity import Activity
from fleet_simulator.world.formats import duration, duration_ms
from fleet_simulator.world.menus.index import MENUS
from fleet_simulator.world.noise import recurrence, seed_of, smooth, staircase, unit

BEGIN, END = 1_767_225_600.0, 1_830_297_600.0
times = st.floats(BEGIN, END, allow_nan=False)
seeds = st.integers(0, 2**63)
UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}


def everything(router: SimulatedRouter, now: float) -> dict[str, list[Row]]:
    menus = ((path, router.menu(path)) for path in MENUS)
    return {
        path: list(menu.rows(now))
        for path, menu in menus
        if menu is not None and "print" in menu.commands
    }


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(sorted(PERSONALITIES)),
    seed=st.integers(0, 2**32),
    now=times,
    elsewhere=st.lists(times, max_size=3),
)
def test_the_same_question_gets_the_same_rows_whatever_was_asked_before(
    kind: str, seed: int, now: float, elsewhere: list[float]
) -> None:
    first = build_router(seed, "r", personality=kind, interfaces=None)
    second = build_router(seed, "r", personality=kind, interfaces=None)
    for other in elsewhere:
        everything(second, other)
    assert everything(first, now) == everything(second, now)


@given(seed=seeds, position=st.floats(0, 1e8), step=st.floats(1e-3, 1e4))
def test_a_staircase_rises_and_stays_near_its_mean(seed: int, position: float, step: float) -> None:
    assert staircase(seed, position) < staircase(seed, position + step)
    assert position <= staircase(seed, position) + 1e-6
    assert staircase(seed, position) <= position + 1 + 1e-6


@given(seed=seeds, now=times, period=st.floats(30, 1e7))
def test_the_last_event_is_the_last(seed: int, now: float, period: float) -> None:
    index, moment = recurrence(seed, now, period)
    following = recurrence(seed, moment + 2 * period, period)
    assert moment <= now
    assert following[0] > index
    assert recurrence(seed, moment, period) == (index, moment)


@given(offset=st.integers(-43_200, 43_200), now=times, step=st.floats(1e-3, 1e6))
def test_activity_adds_up_to_its_integral(offset: int, now: float, step: float) -> None:
    site = Activity(offset, 0.0)
    grown = site.integral(now + step) - site.integral(now)
    assert 0.15 * (step - 0.002) <= grown <= 1.85 * (step + 0.002)
    assert 0.15 <= site.level(now) <= 1.85


@given(seed=seeds, index=st.integers(-(2**40), 2**40), now=times)
def test_noise_stays_in_its_range(seed: int, index: int, now: float) -> None:
    assert 0.0 <= unit(seed, index) < 1.0
    assert 0.0 <= smooth(seed, now, 60.0) <= 1.0


@given(seconds=st.integers(0, 10**9))
def test_a_duration_reads_back(seconds: int) -> None:
    total, digits = 0, ""
    for letter in duration(seconds).decode():
        if letter.isdigit():
            digits += letter
        else:
            total, digits = total + int(digits) * UNITS[letter], ""
    assert total == seconds
    assert not digits


@given(milliseconds=st.integers(0, 59_999))
def test_a_short_duration_has_milliseconds_at_its_end(milliseconds: int) -> None:
    found = re.fullmatch(rb"(?:(\d+)s)?(?:(\d+)ms)?", duration_ms(milliseconds / 1000 + 1e-7))
    assert found is not None
    assert int(found[1] or 0) * 1000 + int(found[2] or 0) == milliseconds


def test_seeds_differ_by_every_part_of_a_name() -> None:
    names = [(1, "a", "b"), (1, "ab"), (11, "b"), (1, "a\x1e", "b"), (2, "a", "b")]
    assert len({seed_of(*name) for name in names}) == len(names)
