"""Wait for a condition with a deadline; on failure say what was seen last."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import cast


async def eventually[ValueT](
    read: Callable[[], Awaitable[ValueT]] | Callable[[], ValueT],
    holds: Callable[[ValueT], bool],
    *,
    deadline_seconds: float = 15.0,
    every_seconds: float = 0.02,
    what: str = "condition",
) -> ValueT:
    """Read again and again until `holds(value)`; fail with the last value seen."""
    end = time.monotonic() + deadline_seconds
    while True:
        value = read()
        seen = cast("ValueT", await value if isinstance(value, Awaitable) else value)
        if holds(seen):
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not hold within {deadline_seconds} s; last: {seen!r}")
        await asyncio.sleep(every_seconds)  # the one place where tests poll
