"""When a process that ended is started again: a pure function of its past."""

from dataclasses import dataclass, replace
from enum import StrEnum

BAD_SETTINGS_EXIT_CODE = 2
"""What every service returns when its settings cannot work."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Delays in seconds: the first, then doubled up to the longest."""

    first_delay: float = 0.2
    longest_delay: float = 15.0
    healthy_after: float = 20.0
    """A process that ran this long begins with a clean slate."""
    failures_to_report: int = 3
    """After so many failures in a row the last log lines are shown."""


class Trouble(StrEnum):
    """What a person should hear about an end."""

    NONE = "none"
    """It is started again; a line in the log suffices."""
    KEEPS_FAILING = "keeps failing"
    """It fails again and again: show why."""
    BAD_SETTINGS = "bad settings"
    """It says itself that it cannot work like this: show why at once."""


@dataclass(frozen=True, slots=True)
class RestartHistory:
    """What is known of one process."""

    restarts: int = 0
    failures_in_a_row: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from an end. `delay` in seconds."""

    history: RestartHistory
    delay: float
    trouble: Trouble


def after_end(
    policy: RestartPolicy, history: RestartHistory, ran_seconds: float, exit_code: int
) -> Verdict:
    """A process ended by itself after `ran_seconds`; say when to start it and whom to tell.

    An exit code of 0 counts as a failure too: nobody asked it to stop.
    """
    in_a_row = 1 if ran_seconds >= policy.healthy_after else history.failures_in_a_row + 1
    updated = replace(history, restarts=history.restarts + 1, failures_in_a_row=in_a_row)
    if exit_code == BAD_SETTINGS_EXIT_CODE:
        return Verdict(updated, policy.longest_delay, Trouble.BAD_SETTINGS)
    delay = min(policy.longest_delay, policy.first_delay * 2 ** (in_a_row - 1))
    report = in_a_row % policy.failures_to_report == 0
    return Verdict(updated, delay, Trouble.KEEPS_FAILING if report else Trouble.NONE)
