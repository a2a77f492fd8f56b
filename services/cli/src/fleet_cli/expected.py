"""Telling errors that a person can act on from bugs, and what the command then says."""

import sys
from typing import Final, cast

from nats.errors import Error as NatsError

from fleet_common.errors import ConfigurationError, FleetError

EXIT_FAILED: Final = 1
EXIT_BAD_INPUT: Final = 2


def exit_code_of(error: Exception) -> int:
    """Say on standard error what can be done about; raises `error` again when it is a bug."""
    expected = expected_errors(error)
    if expected is None:
        raise error
    sys.stderr.write("\n".join(map(say, expected)) + "\n")
    bad_input = any(isinstance(one, ConfigurationError) for one in expected)
    return EXIT_BAD_INPUT if bad_input else EXIT_FAILED


def say(error: FleetError | NatsError) -> str:
    """An error in words; what the broker says of itself does not say whose words they are."""
    if isinstance(error, FleetError):
        return str(error)
    return f"the broker: {type(error).__name__}: {error}".rstrip(": ")


def expected_errors(error: Exception) -> list[FleetError | NatsError] | None:
    """The errors inside, when all of them are expected ones; None when one is a bug.

    Expected are our own, and the broker's.
    """
    if isinstance(error, (FleetError, NatsError)):
        return [error]
    if not isinstance(error, ExceptionGroup):
        return None
    group = cast("ExceptionGroup[Exception]", error)
    found: list[FleetError | NatsError] = []
    for inner in group.exceptions:
        expected = expected_errors(inner)
        if expected is None:
            return None
        found += expected
    return found
