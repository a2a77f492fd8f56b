"""Telling errors that a person can act on from bugs."""

from typing import cast

from fleet_common.errors import FleetError


def expected_errors(error: Exception) -> list[FleetError] | None:
    """The errors inside, when all of them are expected ones; None when one is a bug."""
    if isinstance(error, FleetError):
        return [error]
    if not isinstance(error, ExceptionGroup):
        return None
    group = cast("ExceptionGroup[Exception]", error)
    found: list[FleetError] = []
    for inner in group.exceptions:
        expected = expected_errors(inner)
        if expected is None:
            return None
        found += expected
    return found
