"""When a router last booted: a seeded calendar of rare reboots, and those asked for."""

from fleet_simulator.world.noise import between, recurrence

_DAY = 86_400.0
_SALT = 0xB007


class Boots:
    """Boot times of one router. A pure function of time, but for `reboot`."""

    __slots__ = ("_asked", "_period", "_seed")

    def __init__(self, seed: int) -> None:
        self._seed = seed ^ _SALT
        self._period = between(self._seed, -1, 20 * _DAY, 120 * _DAY)
        self._asked: list[float] | None = None

    def last(self, now: float) -> float:
        """Unix seconds of the last boot at or before `now`."""
        _, scheduled = recurrence(self._seed, now, self._period)
        if self._asked is None:
            return scheduled
        return max([scheduled, *(boot for boot in self._asked if boot <= now)])

    def reboot(self, now: float) -> None:
        """A boot at `now`, on top of the calendar."""
        if self._asked is None:
            self._asked = []
        self._asked.append(now)
