"""Sleep until a time or until somebody rings: what the two long-running loops wait on."""

import asyncio


class Wake:
    """One sleeper, many ringers; a ring while nobody sleeps is kept for the next wait."""

    def __init__(self) -> None:
        self._rung = False
        self._sleeper: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """End the wait, or the next one at once."""
        self._rung = True
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    async def wait(self, timeout_seconds: float) -> None:
        """Return when rung or when the time has passed."""
        if not self._rung and timeout_seconds > 0:
            loop = asyncio.get_running_loop()
            self._sleeper = loop.create_future()
            timer = loop.call_later(timeout_seconds, self.ring)
            try:
                await self._sleeper
            finally:
                timer.cancel()
                self._sleeper = None
        self._rung = False
