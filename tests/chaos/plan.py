"""What strikes when: a pure function of the seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

SERVICES = ("poller", "writer", "gateway", "firmware")
SERVERS = ("nats", "postgres", "postgres-backend")
COMPONENTS = (*SERVICES, *SERVERS)
"""What is killed; `poller` is each time another one, so is `postgres-backend`."""

_LONGEST_GAP_SECONDS = 2.0
_RESTART_SHARE = 0.15


class Disturbance(StrEnum):
    """What happens besides kills."""

    PAUSE = "pause"
    CUT = "cut"
    TEAR = "tear"
    HOLD = "hold"
    DELAY = "delay"
    FULL_DISK = "full_disk"


@dataclass(frozen=True)
class Kill:
    """After `gap` seconds; `gracefully`: restarted in order instead of killed, not counted."""

    gap: float
    gracefully: bool
    choice: float
    """In 0..1: which of several processes."""


@dataclass(frozen=True)
class Disturb:
    """After `gap` seconds, for `seconds`, at the place that `choice` (0..1) names."""

    gap: float
    what: Disturbance
    seconds: float
    choice: float


def kills(seed: int, run: int, phase: str, component: str, count: int) -> list[Kill]:
    """`count` kills of a component, and some restarts between them."""
    random = Random(f"{seed}/{run}/{phase}/{component}")  # noqa: S311 - repeatable on purpose
    planned: list[Kill] = []
    while count > 0:
        gracefully = random.random() < _RESTART_SHARE
        gap = random.uniform(0, _LONGEST_GAP_SECONDS)
        planned.append(Kill(gap, gracefully, random.random()))
        count -= not gracefully
    return planned


def disturbances(seed: int, run: int, phase: str) -> Iterator[Disturb]:
    """For ever."""
    random = Random(f"{seed}/{run}/{phase}/disturbances")  # noqa: S311 - repeatable on purpose
    kinds = list(Disturbance)
    while True:
        # Each kind comes once before one comes again, so that a short run has them all.
        random.shuffle(kinds)
        for what in kinds:
            yield Disturb(random.uniform(0.2, 1.5), what, random.uniform(0.3, 3.0), random.random())


def share(total: int, parts: int, number: int) -> int:
    """What part `number` (from 0) of `parts` gets of a total."""
    return total * (number + 1) // parts - total * number // parts
