"""Checks of a broker before anything is declared on it. Pure: values in, errors out."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from fleet_common.planning.errors import ServerTooOldError, SubjectsTakenError
from fleet_contracts.streams import StreamDefinition

MINIMUM_SERVER: Final = (2, 11, 0)
"""Direct get of many messages at once (NATS ADR-31) came with 2.11: pollers that take devices
over, the gateway's replays and the planner's measuring use it. All else we use is older."""
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?")


@dataclass(frozen=True, slots=True)
class ExistingStream:
    """A stream on the broker, ours or not, with what it listens to."""

    name: str
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two subject filters that share subjects; the broker refuses the second stream (10065)."""

    wanted: str
    wanted_subject: str
    existing: str
    existing_subject: str


def check_server_version(version: str) -> None:
    """Raises ServerTooOldError naming the version found and the one needed."""
    needed = ".".join(map(str, MINIMUM_SERVER))
    match = _VERSION.fullmatch(version.strip())
    if match is None:
        raise ServerTooOldError(
            f"nats-server says its version is {version!r}, which is none; {needed} or later is "
            "needed"
        )
    if tuple(map(int, match.groups())) < MINIMUM_SERVER:
        raise ServerTooOldError(
            f"nats-server is {version}; {needed} or later is needed (direct get of many subjects)"
        )


def check_subjects(wanted: Iterable[StreamDefinition], existing: Sequence[ExistingStream]) -> None:
    """Raises SubjectsTakenError naming each foreign stream on the wanted streams' subjects."""
    overlaps = find_overlaps(wanted, existing)
    if overlaps:
        lines = [
            f"stream {one.existing} listens to {one.existing_subject}, "
            f"{one.wanted} needs {one.wanted_subject}"
            for one in overlaps
        ]
        raise SubjectsTakenError(
            f"{'; '.join(lines)}. A subject has one stream: change or delete the other"
        )


def find_overlaps(
    wanted: Iterable[StreamDefinition], existing: Sequence[ExistingStream]
) -> list[Overlap]:
    """Every pair of a wanted stream and another one that share subjects."""
    return [
        Overlap(definition.name, mine, other.name, theirs)
        for definition in wanted
        for other in existing
        if other.name != definition.name
        for mine in definition.subjects
        for theirs in other.subjects
        if subjects_overlap(mine, theirs)
    ]


def subjects_overlap(one: str, other: str) -> bool:
    """Whether any subject matches both filters (`*` is one token, `>` one or more)."""
    mine, theirs = one.split("."), other.split(".")
    for a, b in zip(mine, theirs, strict=False):
        if ">" in {a, b}:
            return True
        if a != b and "*" not in {a, b}:
            return False
    return len(mine) == len(theirs)
