"""Waiting for events with a deadline."""

import asyncio
from collections.abc import Sequence


async def wait_for_any(events: Sequence[asyncio.Event], seconds: float) -> None:
    """Return when one of the events is set, or after so many seconds."""
    if any(event.is_set() for event in events):
        return
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def wait_for_stop(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but not beyond the stop."""
    await wait_for_any((stop,), seconds)
