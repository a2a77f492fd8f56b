"""One pod more while the only shard's pod is replaced, so that somebody polls all the time.

A StatefulSet ends a pod before it makes the new one. With a second pod asked for in the same
write as the new template, it first makes that one and waits until it is ready; then the old
one is told to end, says that it leaves, and its devices go to the second until the first is
back. With two shards or more the others do that.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fleet_operator.kinds import Document, annotation, part
from fleet_operator.workloads import TEMPLATE_ANNOTATION

SURGE_SECONDS: Final = 120.0
"""How long it may take. A cluster without room for one more pod must not keep the old one."""


@dataclass(frozen=True, slots=True)
class _Surge:
    template: str
    since: float


class Surges:
    """Remembers since when each fleet's pods are replaced."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._surges: dict[str, _Surge] = {}

    def shards(self, uid: str, live: Document | None, template: str, wanted: int) -> int:
        """How many shards more than `wanted`; `template`: hash of what the pods should be."""
        surge = self._surges.get(uid)
        begun = surge is not None and surge.template == template
        if wanted != 1 or live is None or not _rolls(live, template, begun=begun):
            self._surges.pop(uid, None)
            return 0
        if surge is None or not begun:
            if not part(live, "status").get("readyReplicas"):
                return 0  # nobody polls now: nothing to be kept going
            surge = self._surges[uid] = _Surge(template, self._now())
        return int(self._now() - surge.since < SURGE_SECONDS)

    def forget(self, uid: str) -> None:
        """The fleet has gone."""
        self._surges.pop(uid, None)


def _rolls(live: Document, template: str, *, begun: bool) -> bool:
    """Whether pods of this StatefulSet are, or will be, replaced by others."""
    applied = annotation(live, TEMPLATE_ANNOTATION)
    if applied is None:
        return False
    if applied != template:
        return True
    status = part(live, "status")
    if status.get("observedGeneration", 0) < live["metadata"].get("generation", 0):
        return begun  # the StatefulSet's controller has not looked yet
    return status.get("updateRevision") != status.get("currentRevision")
