"""Bounds how many logins begin within a second, however fast or slow routers answer them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

PERIOD_SECONDS: Final = 1.0


class LoginGate:
    """A number of places; each is taken for one period, however soon or late the login ends.

    So no more than `places` logins begin within any period: those that end at once let no
    further ones in, and those that hang keep none out.
    """

    def __init__(self, places: int, period_seconds: float = PERIOD_SECONDS) -> None:
        self._places = asyncio.Semaphore(places)
        self._period_seconds = period_seconds

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        """Wait for a place and take it; time alone gives it back, not the end of the login."""
        await self._places.acquire()
        asyncio.get_running_loop().call_later(self._period_seconds, self._places.release)
        yield


class LoginGates:
    """A gate for devices that answered last time, another for those that did not."""

    def __init__(self, places: int) -> None:
        self._sound = LoginGate(places)
        self._suspect = LoginGate(places)

    def of(self, *, suspect: bool) -> LoginGate:
        """The gate for a device."""
        return self._suspect if suspect else self._sound
