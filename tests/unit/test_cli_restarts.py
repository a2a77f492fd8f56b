"""When a process that ended is started again."""

import pytest

from fleet_cli.restarts import (
    BAD_SETTINGS_EXIT_CODE,
    RestartHistory,
    RestartPolicy,
    Trouble,
    after_end,
)

POLICY = RestartPolicy(first_delay=0.5, longest_delay=4.0, healthy_after=10.0, failures_to_report=3)


def delays(ran_seconds: list[float]) -> list[float]:
    history = RestartHistory()
    found: list[float] = []
    for ran in ran_seconds:
        verdict = after_end(POLICY, history, ran, 1)
        history = verdict.history
        found.append(verdict.delay)
    return found


def test_each_quick_failure_doubles_the_delay_up_to_the_longest() -> None:
    assert delays([0.1] * 6) == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_a_run_that_was_long_enough_begins_with_a_clean_slate() -> None:
    assert delays([0.1, 0.1, 10.0, 0.1]) == [0.5, 1.0, 0.5, 1.0]


def test_every_third_failure_in_a_row_is_reported() -> None:
    history = RestartHistory()
    troubles: list[Trouble] = []
    for _ in range(6):
        verdict = after_end(POLICY, history, 0.1, -9)
        history = verdict.history
        troubles.append(verdict.trouble)
    none, failing = Trouble.NONE, Trouble.KEEPS_FAILING
    assert troubles == [none, none, failing, none, none, failing]


def test_bad_settings_are_reported_at_once_and_not_retried_quickly() -> None:
    verdict = after_end(POLICY, RestartHistory(), 0.1, BAD_SETTINGS_EXIT_CODE)
    assert verdict.trouble is Trouble.BAD_SETTINGS
    assert verdict.delay == POLICY.longest_delay


@pytest.mark.parametrize("exit_code", [0, 1, 2, -9])
def test_every_end_that_nobody_asked_for_counts_as_a_restart(exit_code: int) -> None:
    verdict = after_end(POLICY, RestartHistory(restarts=4), 99.0, exit_code)
    assert verdict.history.restarts == 5
