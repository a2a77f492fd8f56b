"""The wall clock, in the one form the poller uses."""

import time
from typing import Protocol


class Clock(Protocol):
    """Unix milliseconds."""

    def now_ms(self) -> int:
        """Now."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Now."""
        return time.time_ns() // 1_000_000
