"""How fast a stream grows."""

from dataclasses import dataclass


@dataclass(slots=True)
class RateMeter:
    """Messages per second from readings of a growing sequence; follows within a minute."""

    half_life_seconds: float = 20.0
    rate: float = 0.0
    _sequence: int | None = None
    _moment: float = 0.0

    def read(self, sequence: int, moment: float) -> float:
        """Take a reading at a moment of a monotonic clock; returns the smoothed rate."""
        if self._sequence is None:
            self._sequence, self._moment = sequence, moment
            return self.rate
        elapsed = moment - self._moment
        if elapsed <= 0:
            return self.rate
        seen = max(0, sequence - self._sequence) / elapsed
        keep = 0.5 ** (elapsed / self.half_life_seconds)
        # The first reading stands for what came before it.
        self.rate = seen if self.rate == 0 else self.rate * keep + seen * (1 - keep)
        self._sequence, self._moment = sequence, moment
        return self.rate
