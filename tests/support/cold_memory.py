"""What a machine makes of memory that was left alone for a while.

A process that rests does little but touch again what nobody touched for seconds. Where a
hypervisor or a kernel looks which pages are in use (working-set estimation, DAMON, KSM), each
first touch may be trapped, which counts as the process's own time: up to a hundred times as
much as a touch, and another figure every hour. It stands beside figures of processes at rest.
"""

import mmap
import statistics
import time
from dataclasses import dataclass

_PAGES = 2_000
_REST_SECONDS = 1.0
_LOOKS = 5


@dataclass(frozen=True, slots=True)
class TouchCost:
    """Microseconds of a thread's time to touch a page: after a second of rest, and at once."""

    cold: float
    warm: float

    def __str__(self) -> str:
        return f"a page costs {self.cold:.1f} us after a second of rest, {self.warm:.2f} us at once"


def touch_cost() -> TouchCost:
    """Measured now, with 8 MB, within six seconds."""
    memory = bytearray(_PAGES * mmap.PAGESIZE)

    def touch() -> float:
        began = time.thread_time_ns()
        for at in range(0, len(memory), mmap.PAGESIZE):
            memory[at] = 1
        return (time.thread_time_ns() - began) / 1000 / _PAGES

    touch()
    pairs: list[tuple[float, float]] = []
    for _ in range(_LOOKS):
        time.sleep(_REST_SECONDS)
        pairs.append((touch(), touch()))
    cold, warm = (statistics.median(one) for one in zip(*pairs, strict=True))
    return TouchCost(cold, warm)
