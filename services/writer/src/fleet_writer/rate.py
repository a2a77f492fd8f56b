"""How long until messages are lost: an estimate from the stream's state and rate."""

import math
from dataclasses import dataclass

from fleet_writer.positions import StreamState


def pending_messages(state: StreamState, stored_sequence: int) -> int:
    """Messages in the stream that are not stored; what it discarded is not pending."""
    return max(0, state.last_sequence - max(stored_sequence, state.first_sequence - 1))


def seconds_until_loss(
    state: StreamState,
    stored_sequence: int,
    stored_age_seconds: float | None,
    messages_per_second: float,
) -> float:
    """Seconds until the oldest message not stored is discarded, if storing stopped now.

    Discarding comes by size (free bytes, then the bytes of stored messages, are used up
    at the present rate) or by age (the oldest message not stored is at most as old as
    the newest stored one). Infinite when neither bound can be reached; 0 when messages
    are being lost.
    """
    by_size = math.inf
    if state.max_bytes > 0 and messages_per_second > 0 and state.messages > 0:
        bytes_per_message = state.bytes / state.messages
        stored = min(state.messages, max(0, stored_sequence - state.first_sequence + 1))
        spare_bytes = max(0, state.max_bytes - state.bytes) + stored * bytes_per_message
        by_size = spare_bytes / (messages_per_second * bytes_per_message)
    by_age = math.inf
    if state.max_age_seconds > 0:
        age = 0.0
        if pending_messages(state, stored_sequence) > 0 and stored_age_seconds is not None:
            age = stored_age_seconds
        by_age = max(0.0, state.max_age_seconds - age)
    return min(by_size, by_age)


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
