"""A circuit breaker per device: a router that is away is asked ever more rarely. Pure.

closed --failures in a row--> open --back-off passed--> half open: one probe
  ^                            ^                              |
  +------- success ------------+--------- failure ------------+
"""

import random
from dataclasses import dataclass
from typing import Final

_MAX_DOUBLINGS: Final = 16


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to open, and how long to stay away. Times in milliseconds."""

    failures_to_open: int = 3
    first_wait_ms: int = 60_000
    longest_wait_ms: int = 300_000


class Breaker:
    """One device's breaker. `failures` counts failed polls in a row, for whatever reason."""

    __slots__ = ("_policy", "_random", "_tried", "failures", "retry_at_ms")

    def __init__(self, policy: BreakerPolicy, jitter: random.Random) -> None:
        self._policy = policy
        self._random = jitter
        self.failures = 0
        self._tried = 0
        self.retry_at_ms: int | None = None

    @property
    def open(self) -> bool:
        """Whether polls are held back (a probe may be due)."""
        return self.retry_at_ms is not None

    def allows(self, slot_ms: int) -> bool:
        """Whether to poll at this slot; while open this is the half-open probe.

        A wait longer than there is was reckoned by a clock that has been set back since.
        """
        if self.retry_at_ms is None:
            return True
        return not 0 < self.retry_at_ms - slot_ms <= self._policy.longest_wait_ms

    def succeeded(self) -> None:
        """Close."""
        self.failures = self._tried = 0
        self.retry_at_ms = None

    def not_tried(self) -> None:
        """Count a failure before anything was sent: it says nothing about the router.

        Looking again at each slot costs nobody anything.
        """
        self.failures += 1

    def failed(self, slot_ms: int, *, lasting: bool = False) -> None:
        """Count a failure at the router; open, or stay open twice as long, up to the longest wait.

        What is `lasting` opens at once: trying again soon could not help, and may harm.

        The wait is jittered between half and all of it, so that devices that went away
        together do not come back together.
        """
        self.failures += 1
        self._tried += 1
        policy = self._policy
        doublings = self._tried - (1 if lasting else policy.failures_to_open)
        if doublings < 0:
            return
        wait = min(policy.first_wait_ms << min(doublings, _MAX_DOUBLINGS), policy.longest_wait_ms)
        self.retry_at_ms = slot_ms + round(wait * self._random.uniform(0.5, 1.0))
