"""How busy this shard is: what whoever assigns devices reads from its beats."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

WINDOW_SECONDS: Final = 30.0
"""What the figures are of."""
_LEAST_SECONDS: Final = 5.0
"""Less CPU time than of so long says nothing."""
_MOST_LAGS: Final = 2048
"""Of a very busy shard the newest polls of the window."""
_QUANTILE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Load:
    """Of the last WINDOW_SECONDS; None: not known (yet). `cpu_ratio`: of what it may use.

    `slot_lag_seconds`: how late polls begin against their slots, the 95th percentile; at
    least what the earliest slot that still waits is late by now.
    """

    cpu_ratio: float | None
    slot_lag_seconds: float | None


@dataclass(frozen=True, slots=True)
class DeviceCounts:
    """Devices of a shard; what is neither up nor down has not been polled yet."""

    devices: int
    up: int
    down: int


class LoadMeter:
    """Takes the lag of every poll; asked once a second. Clocks in seconds."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        cpu_seconds: Callable[[], float] = time.process_time,
        cores: float = 1.0,
    ) -> None:
        """`cores`: how many this process may use; see cpu_limit."""
        self._now = now
        self._cpu_seconds = cpu_seconds
        self._cores = cores
        self._lags: deque[tuple[float, float]] = deque(maxlen=_MOST_LAGS)
        self._samples: deque[tuple[float, float]] = deque()

    def started(self, lag_seconds: float) -> None:
        """A poll begins, so long after its slot."""
        self._lags.append((self._now(), max(0.0, lag_seconds)))

    def load(self, overdue_seconds: float = 0.0) -> Load:
        """The figures for now. `overdue_seconds`: by how much a slot that waits is late."""
        return Load(self._cpu_ratio(self._now()), self.lag(overdue_seconds))

    def lag(self, overdue_seconds: float = 0.0) -> float | None:
        """The lag alone, for those who ask at other times."""
        lags, since = self._lags, self._now() - WINDOW_SECONDS
        while lags and lags[0][0] < since:
            lags.popleft()
        if not lags:
            return overdue_seconds if overdue_seconds > 0 else None
        ordered = sorted(lag for _, lag in lags)
        return max(overdue_seconds, ordered[int((len(ordered) - 1) * _QUANTILE)])

    def _cpu_ratio(self, now: float) -> float | None:
        samples = self._samples
        samples.append((now, self._cpu_seconds()))
        # One that is older than the window stays: it is the other end.
        while len(samples) > 1 and samples[1][0] <= now - WINDOW_SECONDS:
            samples.popleft()
        (began, first), (_, last) = samples[0], samples[-1]
        seconds = now - began
        return (last - first) / seconds / self._cores if seconds >= _LEAST_SECONDS else None
