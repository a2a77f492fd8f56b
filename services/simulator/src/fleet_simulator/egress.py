"""The way out of a session: back-pressure of the transport, stalls and slow trickles."""

import asyncio
from collections.abc import Callable
from typing import Final

_TRICKLE_TICK: Final = 0.05


class Egress:
    """Writes to a transport and says when to stop; calls `resumed` when writing may go on.

    While `blocked` the session asks its jobs for nothing more, so what waits here is bounded by
    one burst.
    """

    __slots__ = ("_loop", "_paused", "_resumed", "_stalled", "_timer", "_transport", "_trickle")

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        resumed: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._resumed = resumed
        self._paused = False
        self._stalled = False
        self._trickle: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def blocked(self) -> bool:
        """Whether nothing more should be produced now."""
        return self._paused or self._stalled or self._trickle is not None

    def pause(self) -> None:
        """The transport's buffer is full."""
        self._paused = True

    def resume(self) -> None:
        """The transport's buffer has room again."""
        self._paused = False
        if not self.blocked:
            self._resumed()

    def write(self, data: bytes) -> None:
        """Send data, or drop it when the connection is going away."""
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def stall(self, seconds: float | None) -> None:
        """Write nothing for `seconds`, or for ever."""
        self._stalled = True
        if seconds is not None:
            self._timer = self._loop.call_later(seconds, self._end_stall)

    def trickle(self, data: bytes, rate: float) -> None:
        """Send data at `rate` bytes a second."""
        self._trickle = (self._trickle or b"") + data
        if self._timer is None:
            self._drip(max(1, round(rate * _TRICKLE_TICK)))

    def close(self) -> None:
        """Stop the timers; the transport is closed by the session."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_stall(self) -> None:
        self._timer = None
        self._stalled = False
        if not self.blocked:
            self._resumed()

    def _drip(self, portion: int) -> None:
        data = self._trickle or b""
        self.write(data[:portion])
        left = data[portion:]
        if left:
            self._trickle = left
            self._timer = self._loop.call_later(_TRICKLE_TICK, self._drip, portion)
            return
        self._trickle = None
        self._timer = None
        if not self.blocked:
            self._resumed()
