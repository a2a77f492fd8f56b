"""What a shard says of itself: CPU time, lateness of polls, devices that answer."""

import pytest

from fleet_common.liveness import Beat
from fleet_poller.load import WINDOW_SECONDS, LoadMeter


class Clocks:
    def __init__(self) -> None:
        self.now = 100.0
        self.cpu = 7.0

    def meter(self) -> LoadMeter:
        return LoadMeter(lambda: self.now, lambda: self.cpu)

    def pass_by(self, seconds: float, cpu: float = 0.0) -> None:
        self.now += seconds
        self.cpu += cpu


def test_cpu_is_a_share_of_a_core_over_the_window_alone() -> None:
    clocks = Clocks()
    meter = clocks.meter()
    assert meter.load().cpu_ratio is None
    for _ in range(60):
        clocks.pass_by(1, cpu=0.9)
        meter.load()
    assert meter.load().cpu_ratio == pytest.approx(0.9)
    for _ in range(round(WINDOW_SECONDS)):
        clocks.pass_by(1, cpu=0.1)
        meter.load()
    assert meter.load().cpu_ratio == pytest.approx(0.1)


def test_a_second_of_cpu_time_says_nothing_yet() -> None:
    clocks = Clocks()
    meter = clocks.meter()
    meter.load()
    clocks.pass_by(1, cpu=1)
    assert meter.load().cpu_ratio is None
    clocks.pass_by(9, cpu=1)
    assert meter.load().cpu_ratio == pytest.approx(0.2)


def test_lag_is_the_95th_percentile_of_the_window() -> None:
    clocks = Clocks()
    meter = clocks.meter()
    assert meter.load().slot_lag_seconds is None
    for number in range(100):
        clocks.pass_by(0.1)
        meter.started(5.0 if number % 10 == 0 else 0.01)
    assert meter.load().slot_lag_seconds == 5.0
    for _ in range(200):
        clocks.pass_by(0.1)
        meter.started(0.01)
    # Ten in three hundred are late: no more than one in twenty.
    assert meter.load().slot_lag_seconds == 0.01
    clocks.pass_by(WINDOW_SECONDS + 1)
    assert meter.load().slot_lag_seconds is None


def test_a_slot_that_still_waits_counts_while_nothing_begins() -> None:
    clocks = Clocks()
    meter = clocks.meter()
    assert meter.load(overdue_seconds=4.0).slot_lag_seconds == 4.0
    meter.started(0.1)
    assert meter.load(overdue_seconds=4.0).slot_lag_seconds == 4.0
    assert meter.load().slot_lag_seconds == 0.1


def test_many_polls_are_no_matter() -> None:
    clocks = Clocks()
    meter = clocks.meter()
    for _ in range(20_000):
        clocks.pass_by(0.001)
        meter.started(1.0)
    for _ in range(2_100):
        clocks.pass_by(0.001)
        meter.started(0.2)
    assert meter.load().slot_lag_seconds == 0.2


def test_a_beat_of_an_older_poller_is_read_and_a_full_one_stays_small() -> None:
    old = '{"tenant":"north","shard":"shard-0","incarnation":"a","count":3,"revision":1}'
    beat = Beat.model_validate_json(old)
    assert (beat.cpu_ratio, beat.slot_lag_seconds, beat.devices_up) == (None, None, None)
    full = beat.model_copy(
        update={
            "tenant": "t" * 40,
            "count": 10**9,
            "cpu_ratio": 0.123,
            "slot_lag_seconds": 12.345,
            "devices": 10_000,
            "devices_up": 9_999,
            "devices_down": 1,
        }
    )
    assert len(full.model_dump_json(exclude_none=True)) < 300
