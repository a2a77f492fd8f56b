"""The outcome of a check."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    """It works, but not as well as it could."""
    FAIL = "fail"
    """Something that was asked for cannot work."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was checked, what was seen, and for anything but OK what to do."""

    name: str
    grade: Grade
    seen: str
    advice: str = ""


def ok(name: str, seen: str) -> Result:
    """All is well."""
    return Result(name, Grade.OK, seen)


def warn(name: str, seen: str, advice: str) -> Result:
    """Works, with a drawback."""
    return Result(name, Grade.WARN, seen, advice)


def fail(name: str, seen: str, advice: str) -> Result:
    """Does not work."""
    return Result(name, Grade.FAIL, seen, advice)


def exit_code(results: Iterable[Result]) -> int:
    """1 when a check failed."""
    return int(any(result.grade is Grade.FAIL for result in results))


def to_json(results: Sequence[Result]) -> dict[str, object]:
    """One object for programs."""
    return {
        "ok": exit_code(results) == 0,
        "checks": [
            {name: str(value) for name, value in asdict(result).items()} for result in results
        ],
    }
