"""How fast a stream grows, from readings of its last sequence."""

import pytest

from fleet_writer.rate import RateMeter


def test_the_rate_follows_the_sequence() -> None:
    meter = RateMeter(half_life_seconds=10)

    assert meter.read(100, 0.0) == 0
    assert meter.read(200, 10.0) == pytest.approx(10)
    assert meter.read(200, 20.0) == pytest.approx(5)
    assert meter.read(50, 30.0) == pytest.approx(2.5)  # a stream made anew: no negative rate
