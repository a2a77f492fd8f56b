import pytest

from fleet_simulator.clock import VirtualClock


class Hand:
    """A monotonic clock moved by hand."""

    def __init__(self) -> None:
        self.seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


def test_time_passes_scaled() -> None:
    hand = Hand()
    clock = VirtualClock(1000.0, 60.0, monotonic=hand)

    hand.seconds += 2

    assert clock.now() == 1120.0


def test_changing_the_speed_and_jumping_never_goes_back() -> None:
    hand = Hand()
    clock = VirtualClock(1000.0, 60.0, monotonic=hand)
    hand.seconds += 1

    clock.set_scale(1.0)
    assert clock.now() == 1060.0
    clock.advance(10)
    hand.seconds += 1

    assert clock.now() == 1071.0


def test_standing_still_and_running_backwards_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        VirtualClock(0.0, 0.0)
    clock = VirtualClock(0.0)
    with pytest.raises(ValueError, match="above 0"):
        clock.set_scale(-1)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
