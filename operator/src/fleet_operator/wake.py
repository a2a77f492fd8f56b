"""A bell that one task waits for."""

import asyncio
import contextlib


class Wake:
    """Rings while nobody waits are kept as one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiter; from the same loop."""
        self._event.set()

    async def wait(self, seconds: float | None) -> bool:
        """Until it rings, or so long (None: however long); whether it rang."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        rang = self._event.is_set()
        self._event.clear()
        return rang
