"""What a live stream holds, and what would become of it: losses foretold, trims estimated.

Estimates take messages as equally large and evenly spread in time between the first and
the last: all that a stream's state tells without reading it.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream's state and limits. Bytes, Unix seconds; None: no message, or no limit.

    `stored_sequence` is what the slowest durable consumer has stored (its acknowledgement
    floor, or the position in its database); None when there is no such consumer.
    """

    first_sequence: int
    last_sequence: int
    messages: int
    bytes: int
    first_time: float | None = None
    last_time: float | None = None
    max_bytes: int | None = None
    max_age_seconds: float | None = None
    stored_sequence: int | None = None

    def __post_init__(self) -> None:
        if self.messages and self.last_sequence < self.first_sequence:
            raise ValueError(
                f"{self.messages} messages from sequence {self.first_sequence} "
                f"to {self.last_sequence} is no stream's state"
            )

    @property
    def size_bytes(self) -> int:
        """The room the stream has now; without a limit, what it holds."""
        return self.bytes if self.max_bytes is None else self.max_bytes

    @property
    def unstored_sequences(self) -> int:
        """Sequences still in the stream that the slowest consumer has not stored."""
        if self.stored_sequence is None or not self.messages:
            return 0
        return self.last_sequence - max(self.stored_sequence, self.first_sequence - 1)

    @property
    def unstored_bytes(self) -> int:
        """Bytes of those."""
        return math.ceil(self.bytes * self._part(self.unstored_sequences))

    @property
    def unstored_messages(self) -> int:
        """Messages of those; fewer than the sequences when some were deleted by hand."""
        return math.ceil(self.messages * self._part(self.unstored_sequences))

    @property
    def lost_before_stored(self) -> int:
        """Sequences that were discarded before the slowest consumer stored them."""
        if self.stored_sequence is None:
            return 0
        return max(0, self.first_sequence - 1 - self.stored_sequence)

    def time_at(self, sequence: int) -> float | None:
        """About when a message was published, Unix seconds."""
        if self.first_time is None or self.last_time is None or not self.messages:
            return None
        span = self.last_sequence - self.first_sequence
        at = min(max(sequence, self.first_sequence), self.last_sequence) - self.first_sequence
        return self.first_time + (self.last_time - self.first_time) * (at / span if span else 0)

    @property
    def oldest_unstored_time(self) -> float | None:
        """When the oldest message that is not stored was published, Unix seconds."""
        if not self.unstored_sequences:
            return None
        return self.time_at(self.last_sequence - self.unstored_sequences + 1)

    def _part(self, sequences: int) -> float:
        """A number of sequences as a share of the stream's."""
        if not self.messages:
            return 0.0
        return min(1.0, sequences / (self.last_sequence - self.first_sequence + 1))


@dataclass(frozen=True, slots=True)
class TrimEstimate:
    """What shrinking a stream to `to_bytes` drops, oldest first; zeros when nothing."""

    to_bytes: int
    bytes: int
    messages: int
    from_sequence: int | None = None
    to_sequence: int | None = None
    from_time: float | None = None
    to_time: float | None = None
    unstored_bytes: int = 0
    unstored_messages: int = 0


def estimate_trim(state: StreamState, to_bytes: int) -> TrimEstimate:
    """What the broker will discard at once when the stream's max_bytes becomes `to_bytes`."""
    dropped = state.bytes - to_bytes
    if dropped <= 0 or not state.messages:
        return TrimEstimate(to_bytes, 0, 0)
    share = dropped / state.bytes
    sequences = math.ceil((state.last_sequence - state.first_sequence + 1) * share)
    last = state.first_sequence + sequences - 1
    stored_sequences = state.last_sequence - state.first_sequence + 1 - state.unstored_sequences
    lost_sequences = max(0, sequences - stored_sequences)
    lost = lost_sequences / sequences
    return TrimEstimate(
        to_bytes=to_bytes,
        bytes=dropped,
        messages=math.ceil(state.messages * share),
        from_sequence=state.first_sequence,
        to_sequence=last,
        from_time=state.time_at(state.first_sequence),
        to_time=state.time_at(last),
        unstored_bytes=math.ceil(dropped * lost),
        unstored_messages=math.ceil(state.messages * share * lost),
    )


def seconds_until_loss(state: StreamState, bytes_per_second: float, now: float) -> float | None:
    """Seconds until a consumer that stores nothing from now on begins to lose; None: never.

    0 when what it needs next is already gone. Two clocks run: new events push the old ones
    out at max_bytes, and the oldest that is not stored reaches max_age.
    """
    if state.stored_sequence is None:
        return None
    if state.lost_before_stored:
        return 0.0
    limits: list[float] = []
    if state.max_bytes is not None and bytes_per_second > 0:
        limits.append(max(0, state.max_bytes - state.unstored_bytes) / bytes_per_second)
    if state.max_age_seconds is not None and (state.unstored_sequences or bytes_per_second > 0):
        oldest = state.oldest_unstored_time
        age = 0.0 if oldest is None else now - oldest
        limits.append(max(0.0, state.max_age_seconds - age))
    return min(limits, default=None)
