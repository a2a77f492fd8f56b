"""CPU, memory and disk of one router as functions of time."""

import math

from fleet_simulator.world.activity import Activity
from fleet_simulator.world.noise import between, mix, smooth, unit

_SPIKE_PERIOD = 420.0
_SPIKE_CHANCE = 0.12
_CPU_SALT, _SPIKE_SALT, _MEMORY_SALT, _DISK_SALT, _CORE_SALT = 0xC1, 0xC2, 0xC3, 0xC4, 0xC5


class Load:
    """How hard one router works. `mean` is its long-term CPU share, 0 to 1."""

    __slots__ = ("_activity", "_mean", "_seed")

    def __init__(self, seed: int, activity: Activity, mean: float) -> None:
        self._seed = seed
        self._activity = activity
        self._mean = mean * between(seed, 0xC0, 0.6, 1.5)

    def calm(self, now: float) -> float:
        """CPU share without noise and spikes: what the daily rhythm alone asks for."""
        return self._mean * self._activity.level(now)

    def cpu(self, now: float) -> float:
        """CPU share over the second `now` lies in, 0 to 1."""
        noise = 0.75 + 0.35 * smooth(self._seed ^ _CPU_SALT, now, 45.0)
        noise += 0.3 * (unit(self._seed ^ _CPU_SALT, -math.floor(now)) - 0.5)
        return min(max(self.calm(now) * noise + self._spike(now), 0.0), 1.0)

    def core(self, now: float, index: int) -> float:
        """CPU share of core `index`; the cores' mean is about `cpu`."""
        tilt = unit(self._seed ^ _CORE_SALT, math.floor(now) * 64 + index)
        fixed = unit(self._seed ^ _CORE_SALT, -1 - index)
        return min(self.cpu(now) * (0.4 + 0.6 * tilt + 0.6 * fixed), 1.0)

    def heat(self, now: float) -> float:
        """What temperatures follow, 0 to 1: the load some minutes ago, spikes rounded off."""
        lagged = self.calm(now - 900.0)
        warmth = 0.0
        index = math.floor(now / _SPIKE_PERIOD)
        for number in (index, index - 1):
            start, length, height = self._spike_in(number)
            if height and now > start:
                charge = 1.0 - math.exp(-min(now - start, length) / 120.0)
                warmth += height * charge * math.exp(-max(now - start - length, 0.0) / 120.0)
        wander = 0.08 * (smooth(self._seed ^ _CPU_SALT, now, 1700.0) - 0.5)
        return min(max(1.4 * lagged + warmth + wander, 0.0), 1.0)

    def memory_used(self, now: float, boot: float) -> float:
        """Share of memory in use: a slow leak since boot, levelling off, under a daily swing."""
        seed = self._seed ^ _MEMORY_SALT
        age = (now - boot) / 86_400.0
        base = between(seed, -1, 0.14, 0.34)
        leak = between(seed, -2, 0.02, 0.22) * (1.0 - math.exp(-age / 45.0))
        swing = 0.03 * self._activity.level(now) + 0.012 * smooth(seed, now, 300.0)
        return min(base + leak + swing, 0.95)

    def disk_used(self, now: float) -> float:
        """Share of the disk in use: files gather over weeks and are cleaned away."""
        seed = self._seed ^ _DISK_SALT
        period = between(seed, -1, 15.0, 60.0) * 86_400.0
        return between(seed, -2, 0.18, 0.55) + 0.12 * (now / period % 1.0)

    def sectors_written(self, since: float, now: float) -> int:
        """Disk sectors written between two times."""
        rate = between(self._seed ^ _DISK_SALT, -3, 0.002, 0.03)
        return int(rate * (now - since))

    def _spike(self, now: float) -> float:
        start, length, height = self._spike_in(math.floor(now / _SPIKE_PERIOD))
        return height if start <= now < start + length else 0.0

    def _spike_in(self, number: int) -> tuple[float, float, float]:
        """Start, length in seconds and height of the spike in period `number`; height 0: none."""
        bits = mix(self._seed ^ _SPIKE_SALT, number)
        if (bits & 0xFFFF) / 65_536.0 >= _SPIKE_CHANCE:
            return 0.0, 0.0, 0.0
        start = number * _SPIKE_PERIOD + (bits >> 16 & 0xFF)
        return start, 5.0 + (bits >> 24 & 0x3F), 0.2 + (bits >> 32 & 0xFF) / 512.0
