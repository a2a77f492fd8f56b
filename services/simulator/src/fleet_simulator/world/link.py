"""When a link goes down and comes back: a seeded series of flaps, one in every period."""

import math
from typing import NamedTuple

from fleet_simulator.world.noise import moment_of, recurrence, unit

_FLAP_SALT, _BREAK_SALT = 0xF1A9, 0xB4EA


class Link(NamedTuple):
    """A link's state since boot: `down` is None when it has not been down; Unix seconds."""

    running: bool
    downs: int
    down: float | None
    up: float


class Flap(NamedTuple):
    """Break `number`: it lasts from `down` to `up`, the next begins at `following`."""

    number: int
    down: float
    up: float
    following: float


NEVER = Flap(0, math.inf, math.inf, -math.inf)
"""No break: never current."""


def flap_at(seed: int, now: float, period: float) -> Flap:
    """The last break that began at or before `now`; `period` is the mean time between breaks."""
    number, down = recurrence(seed ^ _FLAP_SALT, now, period)
    following = moment_of(seed ^ _FLAP_SALT, number + 1, period)
    return Flap(number, down, flap_end(seed, number, period), following)


def flaps_before(seed: int, now: float, period: float) -> int:
    """Number of the last break that began at or before `now`."""
    return recurrence(seed ^ _FLAP_SALT, now, period)[0]


def flap_end(seed: int, number: int, period: float) -> float:
    """When break `number` ends: after seconds mostly, after minutes rarely.

    Always within the fifth of a period that is the least distance between two breaks.
    """
    down = moment_of(seed ^ _FLAP_SALT, number, period)
    longest = min(0.02 * period, 1200.0)
    return down + 2.0 + longest * unit(seed ^ _BREAK_SALT, number) ** 6
