"""What went wrong lately, and what follows: isolation of refused messages, health checks."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable

from fleet_common.health import Progress
from fleet_writer.positions import Position

_log = logging.getLogger(__name__)


class Isolation:
    """Finds the one message the database refuses among a batch, across sessions.

    After a refused batch, its streams go one message a transaction until they are past
    it; a message refused alone is condemned: it will be rejected with the database's
    reason instead of stored.
    """

    def __init__(self) -> None:
        self.condemned: dict[tuple[int, int], str] = {}
        self._until: dict[int, int] = {}

    def blame(self, ends: Iterable[tuple[int, int]], messages: int, reason: str) -> None:
        """A batch was refused; `ends` are its (position id, last sequence)."""
        for position_id, sequence in ends:
            if messages == 1:
                self.condemned[position_id, sequence] = reason
            self._until[position_id] = max(sequence, self._until.get(position_id, 0))
        _log.warning(
            "the database refused a message: it is set aside"
            if messages == 1
            else "the database refused a batch: looking for the message, one at a time",
            extra={"messages": messages, "reason": reason},
        )

    def isolating(self, position: Position) -> bool:
        """Whether the stream must go one message at a time."""
        until = self._until.get(position.id)
        if until is None:
            return False
        if position.stored_sequence < until:
            return True
        del self._until[position.id]
        for key in [key for key in self.condemned if key[0] == position.id]:
            del self.condemned[key]
        return False


class RejectionWindow:
    """The share of rejected messages among the last ones.

    One bad message is set aside and counted; a tenth of all messages being bad is a bad
    release, and somebody must look before a whole stream is set aside.
    """

    def __init__(self, messages: int, limit_ratio: float) -> None:
        self._size = messages
        self._limit_ratio = limit_ratio
        self._batches: deque[tuple[int, int]] = deque()
        self._messages = 0
        self._rejected = 0
        self._announced = False

    def add(self, messages: int, rejected: int) -> None:
        """Count a batch."""
        self._batches.append((messages, rejected))
        self._messages += messages
        self._rejected += rejected
        while self._messages - self._batches[0][0] >= self._size:
            old_messages, old_rejected = self._batches.popleft()
            self._messages -= old_messages
            self._rejected -= old_rejected
        reason = self.why_unwell()
        if reason is not None and not self._announced:
            _log.error(
                "too many rejected messages; they are kept in rejected_events",
                extra={"reason": reason},
            )
        self._announced = reason is not None

    def why_unwell(self) -> str | None:
        """None, or the share with the limit."""
        if self._rejected <= self._limit_ratio * self._size:
            return None
        return (
            f"{self._rejected} of the last {self._messages} messages were rejected "
            f"(limit {self._limit_ratio:.0%} of {self._size}); see rejected_events"
        )


class DatabaseFault:
    """The database's present trouble, for /healthz.

    Being away is no fault of this process until work waits (the commit heartbeat tells);
    a full disk, a read-only server or one that refuses us needs a person at once.
    """

    def __init__(self) -> None:
        self.reason: str | None = None

    def why_unwell(self) -> str | None:
        """None, or what the database said last."""
        return self.reason


class Attempts:
    """Whether attempts to store still end, well or not.

    While database or broker is away each ends with an error, and a new process would fare
    no better; when none ends any more, it is this process that hangs.
    """

    def __init__(
        self,
        commits: Progress,
        limit_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._commits = commits
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._failed_at = clock()

    def failed(self) -> None:
        """One ended with an error."""
        self._failed_at = self._clock()

    def why_unwell(self) -> str | None:
        """None, or for how long nothing has ended although work waits."""
        silent = min(self._commits.age_seconds, self._clock() - self._failed_at)
        if self._commits.why_unwell() is None or silent <= self._limit_seconds:
            return None
        return f"neither a commit nor an error for {silent:.0f} s (limit {self._limit_seconds:g} s)"
