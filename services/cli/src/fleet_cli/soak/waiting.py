"""Waiting for something that nobody announces, with a deadline."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

_LOOK_SECONDS: Final = 0.05


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Look at it again and again; False when it did not come within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        await asyncio.sleep(_LOOK_SECONDS)
    return condition()
