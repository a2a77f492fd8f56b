"""Whether the broker still answers, and for how long it has stored nothing.

The two are not the same. A broker that answers and stores nothing (no stream, no leader, no
room) is waited for: a new process could not publish either, and would lose what waits. Only
a connection that counts as up and answers nothing at all is a reason to begin anew.
"""

import time
from collections.abc import Callable
from typing import Final

from nats.aio.client import Client

from fleet_common.broker import HUNG_SECONDS, hangs

STALLED_SECONDS: Final = 120.0
"""Something to send, and nothing stored for so long: stalled."""
ASK_SECONDS: Final = 30.0
"""No answer to an event for so long: the server is asked for a sign of life, this often."""

type Clock = Callable[[], float]
"""Seconds of any clock that only goes forward."""


class BrokerWatch:
    """Follows the publisher: `busy` while events wait, `idle` when all of them are stored."""

    def __init__(self, client: Client, clock: Clock = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._idle = True
        self._heard_at = self._stored_at = self._asked_at = clock()

    def busy(self) -> None:
        """There is something to send from now on."""
        if self._idle:
            self._idle = False
            self._heard_at = self._stored_at = self._clock()

    def idle(self) -> None:
        """Nothing waits: silence is no fault."""
        self._idle = True

    def heard(self) -> None:
        """The broker answered, be it to refuse; or it is known to be away."""
        self._heard_at = self._clock()

    def stored(self) -> None:
        """The broker has stored an event."""
        self._stored_at = self._clock()

    async def ask(self) -> None:
        """Have the server answer a ping when it answers no event. Takes seconds at most."""
        now = self._clock()
        if self._idle or now - max(self._heard_at, self._asked_at) < ASK_SECONDS:
            return
        self._asked_at = now
        if not await hangs(self._client):
            self.heard()

    def stalled_seconds(self) -> float:
        """For how long events have waited since one was stored last; 0 while none waits."""
        return 0.0 if self._idle else self._clock() - self._stored_at

    def why_stalled(self) -> str | None:
        """None, or for how long nothing was stored; whether a new process could is not said."""
        age = self.stalled_seconds()
        return (
            None if age <= STALLED_SECONDS else f"no event stored for {age:.0f} s while some wait"
        )

    def why_unwell(self) -> str | None:
        """None, or for how long the broker has answered nothing although it is connected."""
        if self._idle or not self._client.is_connected:
            return None
        age = self._clock() - self._heard_at
        if age <= HUNG_SECONDS:
            return None
        return f"connected to the broker, and no answer from it for {age:.0f} s while events wait"
