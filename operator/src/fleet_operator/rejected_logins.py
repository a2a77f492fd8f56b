"""Which Secrets' logins routers reject, as the shards say; told in a status now and then."""

import math
import time
from collections.abc import Callable
from typing import Final

from fleet_common.liveness import RejectedLogins
from fleet_operator.assigning import Found

_NEVER: Final = (-math.inf, ())


class TellingLogins:
    """Remembers what was told of each fleet: counts that only grow or shrink wait for a while."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._told: dict[str, tuple[float, tuple[RejectedLogins, ...]]] = {}

    def tell(self, uid: str, found: Found | None) -> tuple[RejectedLogins, ...]:
        """What to say of a fleet; `found`: its last step, None while nobody knows."""
        at, told = self._told.get(uid, _NEVER)
        if found is not None and not found.ask.shards:
            # Nobody is to poll, so nobody will ever say that a login is taken again.
            self.forget(uid)
            return ()
        if found is None or not found.step.shares:
            return told
        same = [one.secret for one in found.rejected] == [one.secret for one in told]
        now = self._now()
        if same and now - at < self._seconds:
            return told
        self._told[uid] = (now, found.rejected)
        return found.rejected

    def forget(self, uid: str) -> None:
        """The fleet has gone."""
        self._told.pop(uid, None)
