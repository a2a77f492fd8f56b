"""When a router last booted: a seeded calendar of rare reboots, and those asked for."""

import math
from collections import deque

from fleet_simulator.world.noise import between, moment_of, recurrence

_DAY = 86_400.0
_SALT = 0xB007
_ASKED_KEPT = 256


class Boots:
    """Boot times of one router. A pure function of time, but for `reboot`."""

    __slots__ = ("_asked", "_from", "_period", "_seed", "_until")

    def __init__(self, seed: int) -> None:
        self._seed = seed ^ _SALT
        self._period = between(self._seed, -1, 20 * _DAY, 120 * _DAY)
        self._asked: deque[float] | None = None
        # The boot last asked for and when it ends, as most questions are about one uptime.
        self._from = self._until = -math.inf

    def last(self, now: float) -> float:
        """Unix seconds of the last boot at or before `now`."""
        if not self._from <= now < self._until:
            self._find(now)
        return self._from

    def next(self, now: float) -> float:
        """Unix seconds of the next boot in the calendar after `now`."""
        self.last(now)
        return self._until

    def reboot(self, now: float) -> None:
        """A boot at `now`, on top of the calendar."""
        if self._asked is None:
            self._asked = deque(maxlen=_ASKED_KEPT)
        self._asked.append(now)
        self._from = self._until = -math.inf

    def _find(self, now: float) -> None:
        number, last = recurrence(self._seed, now, self._period)
        following = moment_of(self._seed, number + 1, self._period)
        for boot in self._asked or ():
            if last < boot <= now:
                last = boot
            elif now < boot < following:
                following = boot
        self._from, self._until = last, following
