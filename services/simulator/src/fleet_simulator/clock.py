"""The simulator's time: it may run faster than the world's, and can be moved forward."""

import time
from collections.abc import Callable


class VirtualClock:
    """Unix seconds that pass `scale` times as fast as real ones, from `started` on."""

    def __init__(
        self,
        started: float,
        scale: float = 1.0,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if scale <= 0:
            raise ValueError("the time scale must be above 0")
        self._monotonic = monotonic
        self._base = started
        self._origin = monotonic()
        self._scale = scale

    @property
    def scale(self) -> float:
        """Virtual seconds per real second."""
        return self._scale

    def now(self) -> float:
        """The virtual time in Unix seconds; never runs backwards."""
        return self._base + (self._monotonic() - self._origin) * self._scale

    def advance(self, seconds: float) -> None:
        """Jump forward by `seconds` of virtual time. ValueError when negative."""
        if seconds < 0:
            raise ValueError("virtual time cannot run backwards")
        self._base += seconds

    def set_scale(self, scale: float) -> None:
        """Go on from the present moment at another speed. ValueError unless above 0."""
        if scale <= 0:
            raise ValueError("the time scale must be above 0")
        present = self.now()
        self._base, self._origin, self._scale = present, self._monotonic(), scale
