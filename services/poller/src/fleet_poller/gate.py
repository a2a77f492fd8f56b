"""Bounds the logins under way, without letting routers that hang hold up the others."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

PATIENCE_SECONDS: Final = 1.0
"""A login that takes longer goes on, but its place is given to the next."""


class LoginGate:
    """A number of places; each is held for as long as a login takes, at most for the patience.

    So `places` bounds how many logins begin within a second, whatever the routers do.
    """

    def __init__(self, places: int, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._places = asyncio.Semaphore(places)
        self._patience_seconds = patience_seconds

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        """Wait for a place and hold it around a login."""
        await self._places.acquire()
        held = True

        def give_up() -> None:
            nonlocal held
            if held:
                held = False
                self._places.release()

        patience = asyncio.get_running_loop().call_later(self._patience_seconds, give_up)
        try:
            yield
        finally:
            patience.cancel()
            give_up()


class LoginGates:
    """A gate for devices that answered last time, another for those that did not."""

    def __init__(self, places: int) -> None:
        self._sound = LoginGate(places)
        self._suspect = LoginGate(places)

    def of(self, *, suspect: bool) -> LoginGate:
        """The gate for a device."""
        return self._suspect if suspect else self._sound
