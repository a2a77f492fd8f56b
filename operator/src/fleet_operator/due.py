"""When the controller passes next though nothing rang, and how thorough that pass is.

Everything that changes rings, or shows in what is looked at here. A pass in which there is
nothing of that costs as much for a hundred fleets at rest as one that has much to do, so it is
made for the sake of what nobody thought of, and seldom.
"""

import time
from collections.abc import Callable
from typing import Final

from fleet_operator.identity import identical
from fleet_operator.parts import Parts

_TICK_SECONDS: Final = 2.0
"""While there is something to do, or there are shards that may become too few."""
_WHOLE_SECONDS: Final = 10.0
"""So often every fleet is looked at while one is not ready."""
_READY_SECONDS: Final = 30.0
"""And so often while all are, at most as often as figures are told."""
_LEVEL_SECONDS: Final = 120.0
"""And so often when nothing has changed at all."""


class Due:
    """Told of whole passes: `begun`, then `all_ready` if it found that they are."""

    def __init__(
        self, parts: Parts, *, most_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`most_seconds`: no pause is longer, or the controller would seem to hang."""
        self._parts = parts
        self._most_seconds = most_seconds
        self._clock = clock
        self._whole_at = 0.0
        self._level_at = 0.0
        self._seen: tuple[object, ...] = ()
        """What the last whole pass began with."""

    def begun(self) -> None:
        """A whole pass begins."""
        self._whole_at = self._level_at = self._clock() + _WHOLE_SECONDS
        self._seen = self._now()

    def all_ready(self) -> None:
        """It ended, and every fleet is ready."""
        now, figures = self._clock(), self._parts.reporter.figures_seconds
        self._whole_at = now + max(_WHOLE_SECONDS, min(_READY_SECONDS, figures))
        self._level_at = now + _LEVEL_SECONDS

    def pause(self, *, settled: bool) -> float:
        """Seconds until the next pass. `settled`: the last one left nothing to do."""
        if not settled or self._parts.assigning.busy:
            return _TICK_SECONDS
        left = min(self._whole_at, self._parts.broker.due_at) - self._clock()
        return max(_TICK_SECONDS, min(left, self._most_seconds))

    def whole(self) -> bool:
        """Whether the next pass has to look at every fleet."""
        now = self._clock()
        if now < self._whole_at:
            return False
        changed = not identical(self._now(), self._seen)
        if changed or now >= self._level_at or not self._parts.reporter.all_told:
            return True
        self._whole_at = min(now + _READY_SECONDS, self._level_at)
        return False

    def _now(self) -> tuple[object, ...]:
        """What a fleet's figures and conditions follow from, without ringing."""
        parts = self._parts
        return parts.broker.state.seen, parts.assigning.steps, parts.pods.now()
