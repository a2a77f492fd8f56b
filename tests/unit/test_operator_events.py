"""Events are bounded: the same words rarely, and so many of a fleet at once."""

from fleet_operator.announcing import BURST, REFILL_SECONDS, REPEAT_SECONDS, EventLimiter


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_same_words_are_said_again_only_after_a_while() -> None:
    clock = Clock()
    limiter = EventLimiter(clock)
    assert limiter.allows("a", "Drifted", "x")
    assert not limiter.allows("a", "Drifted", "x")
    assert limiter.allows("a", "Drifted", "y")
    assert limiter.allows("b", "Drifted", "x")
    clock.now += REPEAT_SECONDS
    assert limiter.allows("a", "Drifted", "x")


def test_a_fleet_that_changes_all_the_time_is_cut_short_and_costs_others_nothing() -> None:
    clock = Clock()
    limiter = EventLimiter(clock)
    said = sum(limiter.allows("a", "Changed", str(n)) for n in range(1000))
    assert said == int(BURST)
    assert limiter.allows("b", "Changed", "0")
    clock.now += REFILL_SECONDS
    assert limiter.allows("a", "Changed", "later")
    assert not limiter.allows("a", "Changed", "later still")
