"""Durations and sizes in a custom resource definition: a whole number, or text with units.

Kubernetes has one type for "number or text", int-or-string. What the text may be and its
bounds are one CEL rule, so that one message says all that is allowed. CEL's own durations
know no days and weeks, so the rule adds them. The patterns are short because the API server
estimates a rule's cost as the pattern's length times the longest text a request may hold.
"""

from collections.abc import Mapping
from typing import Any, Final

from fleet_common.fleet_spec.cel import seconds_of
from fleet_common.units import format_duration, format_size

_DURATION_PATTERN: Final = "^([0-9.]+w)?([0-9.]+d)?([0-9.]+(h|m?s|m))*$"
_SIZE_PATTERN: Final = "^[0-9]+([.][0-9]+)? *(B|[kMGT]B|[KMGT]iB?)?$"
_SIZE_UNITS: Final = {
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_OPERATORS: Final = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_WORDS: Final = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def duration_schema(bounds: Mapping[str, float]) -> dict[str, Any]:
    """A duration within bounds (`gt`, `ge`, `lt`, `le`, in seconds)."""
    words = [f"{_WORDS[key]} {_exact(bound)}" for key, bound in bounds.items()]
    rule = _rule(_DURATION_PATTERN, seconds_of("self"), bounds)
    return _int_or_string(rule, "duration", words, "whole seconds or as in 500ms, 60s, 1h30m, 7d")


def size_schema(bounds: Mapping[str, float]) -> dict[str, Any]:
    """A size within bounds (`gt`, `ge`, `lt`, `le`, in bytes)."""
    words = [
        f"{_WORDS[key]} {format_size(bound).replace('.0 ', ' ')}" for key, bound in bounds.items()
    ]
    rule = _rule(_SIZE_PATTERN, _bytes_of("self"), bounds)
    return _int_or_string(rule, "size", words, "whole bytes or as in 64MiB, 128MB, 1Gi")


def _exact(seconds: float) -> str:
    return format_duration(seconds) if seconds else "0"


def _rule(pattern: str, amount: str, bounds: Mapping[str, float]) -> str:
    within = " && ".join(
        f"amount {_OPERATORS[key]} {float(bound)!r}" for key, bound in bounds.items()
    )
    text = f"(type(self) == int || self.matches('{pattern}'))"
    return f"{text} && [{amount}].all(amount, {within})" if within else text


def _bytes_of(field: str) -> str:
    factor = "1.0"
    for unit, bytes_ in _SIZE_UNITS.items():
        ends = f"{field}.endsWith('{unit}')"
        if unit.endswith("i"):
            ends = f"({ends} || {field}.endsWith('{unit}B'))"
        factor = f"{ends} ? {float(bytes_)!r} : {factor}"
    return f"type({field}) == int ? double({field}) : double({field}.find('^[0-9.]+')) * ({factor})"


def _int_or_string(rule: str, what: str, bounds: list[str], examples: str) -> dict[str, Any]:
    within = f", {' and '.join(bounds)}" if bounds else ""
    return {
        # `kubectl explain` shows no type for these: the description says what is taken.
        "description": f"A {what}{within}: {examples}.",
        "x-kubernetes-int-or-string": True,
        "x-kubernetes-validations": [
            {"rule": rule, "message": f"must be a {what}{within}: {examples}"}
        ],
    }
