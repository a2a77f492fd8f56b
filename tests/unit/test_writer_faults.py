"""Isolation of refused messages, and the share of rejected ones."""

from fleet_common.health import Progress
from fleet_contracts.subjects import TenantId
from fleet_writer.faults import Attempts, Isolation, RejectionWindow
from fleet_writer.positions import Position


def _position(stored: int) -> Position:
    return Position(7, TenantId("acme"), "FLEET_acme", "now", stored, None, stored, None)


def test_a_refused_batch_is_gone_through_one_message_at_a_time() -> None:
    isolation = Isolation()
    isolation.blame([(7, 120)], 20, "too large")

    assert isolation.isolating(_position(100))
    assert isolation.isolating(_position(119))
    assert not isolation.isolating(_position(120))
    assert not isolation.condemned


def test_a_message_refused_alone_is_condemned_until_it_is_behind() -> None:
    isolation = Isolation()
    isolation.blame([(7, 120)], 20, "too large")
    isolation.blame([(7, 111)], 1, "too large: 2^64")

    assert isolation.condemned == {(7, 111): "too large: 2^64"}
    assert isolation.isolating(_position(111))
    assert not isolation.isolating(_position(120))
    assert not isolation.condemned


def test_a_message_refused_alone_without_a_batch_before_is_forgotten_once_behind() -> None:
    isolation = Isolation()
    isolation.blame([(7, 111)], 1, "too large")

    assert isolation.isolating(_position(110))
    assert not isolation.isolating(_position(111))
    assert not isolation.condemned


def test_another_stream_goes_on_in_batches() -> None:
    isolation = Isolation()
    isolation.blame([(8, 120)], 20, "too large")

    assert not isolation.isolating(_position(0))


def test_a_few_rejected_messages_are_well() -> None:
    window = RejectionWindow(100, 0.1)
    window.add(5, 5)
    window.add(95, 5)

    assert window.why_unwell() is None


def test_a_larger_share_than_the_limit_is_unwell_until_it_has_passed() -> None:
    window = RejectionWindow(100, 0.1)
    window.add(50, 11)

    assert window.why_unwell() == (
        "11 of the last 50 messages were rejected (limit 10% of 100); see rejected_events"
    )
    window.add(60, 0)
    assert window.why_unwell() is not None
    window.add(50, 0)
    assert window.why_unwell() is None


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_attempts_that_fail_are_no_reason_for_a_restart_and_silence_is() -> None:
    clock = Clock()
    commits = Progress(30, clock)
    attempts = Attempts(commits, 120, clock)
    for _ in range(60):
        clock.now += 10
        attempts.failed()
    assert commits.why_unwell() is not None
    assert attempts.why_unwell() is None

    clock.now += 121
    assert attempts.why_unwell() == "neither a commit nor an error for 121 s (limit 120 s)"


def test_nothing_to_store_is_no_silence() -> None:
    clock = Clock()
    commits = Progress(30, clock)
    attempts = Attempts(commits, 120, clock)
    commits.idle()
    clock.now += 1_000
    assert attempts.why_unwell() is None

    commits.expect()
    clock.now += 119
    assert attempts.why_unwell() is None
    clock.now += 2
    assert attempts.why_unwell() is not None
