import random

from fleet_poller.breaker import Breaker, BreakerPolicy

MINUTE = 60_000


def breaker(seed: int = 1) -> Breaker:
    return Breaker(BreakerPolicy(3, MINUTE, 5 * MINUTE), random.Random(seed))  # noqa: S311 - repeatable, no secret


def waits(one: Breaker, failures: int) -> list[int]:
    found: list[int] = []
    slot = 0
    for _ in range(failures):
        one.failed(slot)
        if one.retry_at_ms is not None:
            found.append(one.retry_at_ms - slot)
            slot = one.retry_at_ms
    return found


def test_it_stays_closed_below_the_limit() -> None:
    one = breaker()
    one.failed(0)
    one.failed(MINUTE)

    assert not one.open
    assert one.allows(2 * MINUTE)


def test_what_lasts_opens_at_once_and_waits_ever_longer() -> None:
    one, slot, waited = breaker(), 0, list[int]()
    for _ in range(5):
        one.failed(slot, lasting=True)
        assert one.retry_at_ms is not None
        waited.append(one.retry_at_ms - slot)
        slot = one.retry_at_ms

    for wait, most in zip(waited, (1, 2, 4, 5, 5), strict=True):
        assert most * MINUTE / 2 <= wait <= most * MINUTE


def test_it_opens_and_lets_one_probe_through_after_the_wait() -> None:
    one = breaker()
    for slot in range(3):
        one.failed(slot * MINUTE)

    assert one.open
    assert one.retry_at_ms is not None
    assert not one.allows(one.retry_at_ms - 1)
    assert one.allows(one.retry_at_ms)


def test_waits_double_are_jittered_and_bounded() -> None:
    found = waits(breaker(), 12)

    for wait, nominal in zip(found, [1, 2, 4, 5, 5, 5, 5, 5, 5, 5], strict=True):
        assert nominal * MINUTE // 2 <= wait <= nominal * MINUTE
    assert waits(breaker(1), 8) != waits(breaker(2), 8), "devices must not come back together"


def test_success_closes_it_and_forgets() -> None:
    one = breaker()
    waits(one, 6)
    one.succeeded()

    assert not one.open
    assert one.failures == 0
    one.failed(0)
    assert not one.open


def test_what_never_reached_the_router_does_not_open_it_nor_lengthen_its_waits() -> None:
    one = breaker()
    for _ in range(20):
        one.not_tried()
    one.failed(0)

    assert one.failures == 21
    assert not one.open
    one.failed(MINUTE)
    one.failed(2 * MINUTE)
    assert one.retry_at_ms is not None
    assert one.retry_at_ms - 2 * MINUTE <= MINUTE, "the first wait, not the longest"


def test_a_clock_set_back_far_does_not_hold_a_device_back() -> None:
    one, slot = breaker(), 10_000 * MINUTE
    for _ in range(8):
        one.failed(slot)
    assert not one.allows(slot)

    assert one.allows(slot - 24 * 60 * MINUTE)
