"""RouterOS version numbers and their order.

Grammar as printed by routers and channel files: `MAJOR.MINOR[.PATCH][alphaN|betaN|rcN]`,
in `/system/resource` followed by the channel in brackets (`7.16.1 (stable)`).
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_GRAMMAR: Final = re.compile(
    r"(?P<major>\d{1,4})\.(?P<minor>\d{1,6})(?:\.(?P<patch>\d{1,6}))?"
    r"(?:(?P<stage>alpha|beta|rc)(?P<number>\d{1,6}))?"
    r"(?: \([a-z][a-z-]*\))?",
    re.ASCII,
)


class BadVersionError(ValueError):
    """Text that is not a RouterOS version."""


class Stage(IntEnum):
    """How far a build is from its release, in rising order."""

    ALPHA = 0
    BETA = 1
    RC = 2
    STABLE = 3


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """One version; ordered by number, then stage (stable > rc > beta > alpha), then build.

    A missing patch is 0: 7.20 and 7.20.0 are the same version.
    """

    major: int
    minor: int
    patch: int = 0
    stage: Stage = Stage.STABLE
    stage_number: int = 0

    def __str__(self) -> str:
        patch = f".{self.patch}" if self.patch else ""
        stage = (
            "" if self.stage is Stage.STABLE else f"{self.stage.name.lower()}{self.stage_number}"
        )
        return f"{self.major}.{self.minor}{patch}{stage}"


def parse_version(text: str) -> Version:
    """Read a version; raises BadVersionError when the text is not one."""
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise BadVersionError(
            f"{text[:64]!r} is not a RouterOS version (MAJOR.MINOR[.PATCH][alphaN|betaN|rcN])"
        )
    stage = match["stage"]
    return Version(
        major=int(match["major"]),
        minor=int(match["minor"]),
        patch=int(match["patch"] or 0),
        stage=Stage[stage.upper()] if stage else Stage.STABLE,
        stage_number=int(match["number"] or 0),
    )
