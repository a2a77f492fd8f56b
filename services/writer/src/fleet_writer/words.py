"""Enum numbers of the contracts as the words the tables hold.

A number this release does not know yet becomes its digits: evolution is additive, and
an unknown word is better than a refused event.
"""

from collections.abc import Iterable
from functools import cache

from fleet_contracts.gen.fleet.v1.events_pb2 import (
    ErrorClass,
    SensorUnit,
    Verdict,
    WirelessPackage,
)


def error_class_word(number: int) -> str:
    """Such as `timeout` or `login_rejected`."""
    return _error_classes().get(number) or str(number)


def verdict_word(number: int) -> str:
    """Such as `up_to_date` or `upgrade_available`."""
    return _verdicts().get(number) or str(number)


def wireless_package_word(number: int) -> str:
    """Such as `wifi` or `capsman`."""
    return _packages().get(number) or str(number)


def sensor_unit_word(number: int) -> str:
    """Such as `celsius`; empty where the router gives no unit."""
    return (_units().get(number) or str(number)) if number else ""


@cache
def _error_classes() -> dict[int, str]:
    return _words(ErrorClass.items(), "ERROR_CLASS_")


@cache
def _verdicts() -> dict[int, str]:
    return _words(Verdict.items(), "VERDICT_")


@cache
def _packages() -> dict[int, str]:
    return _words(WirelessPackage.items(), "WIRELESS_PACKAGE_")


@cache
def _units() -> dict[int, str]:
    return _words(SensorUnit.items(), "SENSOR_UNIT_")


def _words(items: Iterable[tuple[str, int]], prefix: str) -> dict[int, str]:
    return {number: name.removeprefix(prefix).lower() for name, number in items}
