"""Ends a PostgreSQL that stays in a shutdown, so that the supervisor starts it again.

Seen with 18.4: asked for a fast shutdown while it recovers from the death of a child, the
server refuses everybody ("the database system is shutting down") and never ends.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from fleet_cli.database import is_shutting_down
from fleet_cli.postgres_process import NAME
from fleet_cli.supervisor import Supervisor

SHUTDOWN_SECONDS: Final = 30.0
"""How long a shutdown may take: the grace that the runner itself gives it."""
_LOOK_SECONDS: Final = 2.0


class PostgresWatch:
    """Looks at one supervised server until cancelled."""

    def __init__(
        self,
        supervisor: Supervisor,
        url: str,
        warn: Callable[[str], None],
        *,
        limit_seconds: float = SHUTDOWN_SECONDS,
    ) -> None:
        self._supervisor = supervisor
        self._url = url
        self._warn = warn
        self._limit_seconds = limit_seconds
        self._since: tuple[int, float] | None = None
        """The process that is shutting down, and since when it is known."""

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(min(_LOOK_SECONDS, self._limit_seconds / 2))
            await self._look()

    async def _look(self) -> None:
        pid = self._supervisor.pid(NAME)
        if pid is None or not await is_shutting_down(self._url):
            self._since = None
            return
        now = time.monotonic()
        if self._since is None or self._since[0] != pid:
            self._since = pid, now
        elif now - self._since[1] >= self._limit_seconds and self._supervisor.pid(NAME) == pid:
            self._since = None
            self._warn(
                f"{NAME} has been shutting down for {self._limit_seconds:g} s, though nobody "
                "here asked for it; ending it, to start it again"
            )
            await self._supervisor.kill(NAME)
