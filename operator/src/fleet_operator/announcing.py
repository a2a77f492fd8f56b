"""Kubernetes Events: what the operator did and why, in `kubectl describe`.

Bounded: the same words about the same fleet once in ten minutes, and so many of a fleet at
once. An Event that the API server does not take is dropped; the log has it too.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from fleet_common.errors import TransientError
from fleet_common.fleet_spec import API_VERSION, KIND
from fleet_operator.kinds import EVENT, FIELD_MANAGER, Document
from fleet_operator.kube import Kube
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.workloads import Owner

_log = logging.getLogger(__name__)

REPEAT_SECONDS: Final = 600.0
BURST: Final = 20.0
REFILL_SECONDS: Final = 15.0
"""One more Event of a fleet after so long."""
_MOST_WAITING: Final = 500
_LONGEST_MESSAGE: Final = 1000


@dataclass(slots=True)
class _Allowance:
    tokens: float = BURST
    at: float = 0.0
    said: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])


class EventLimiter:
    """Says whether an Event may go out. `clock` gives seconds that only rise."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_fleet: dict[str, _Allowance] = {}

    def allows(self, uid: str, reason: str, message: str) -> bool:
        """Whether this one may; it counts as said then."""
        now = self._clock()
        allowance = self._by_fleet.setdefault(uid, _Allowance(at=now))
        allowance.said = {
            words: at for words, at in allowance.said.items() if now - at < REPEAT_SECONDS
        }
        refill = (now - allowance.at) / REFILL_SECONDS
        allowance.tokens, allowance.at = min(BURST, allowance.tokens + refill), now
        if (reason, message) in allowance.said or allowance.tokens < 1:
            return False
        allowance.tokens -= 1
        allowance.said[reason, message] = now
        return True

    def forget(self, uid: str) -> None:
        """The fleet has gone."""
        self._by_fleet.pop(uid, None)


class Announcer:
    """`say` returns at once; `run` posts."""

    def __init__(self, kube: Kube, metrics: OperatorMetrics) -> None:
        self._kube = kube
        self._metrics = metrics
        self._limiter = EventLimiter()
        self._waiting: asyncio.Queue[Document] = asyncio.Queue(_MOST_WAITING)
        self._instance = f"{FIELD_MANAGER}-{uuid.uuid4().hex[:6]}"

    def say(self, owner: Owner, reason: str, message: str, *, warning: bool = False) -> None:
        """An Event about a fleet, and a log line. `reason` is one word in CamelCase."""
        level = logging.WARNING if warning else logging.INFO
        if not self._limiter.allows(owner.uid, reason, message):
            _log.debug("event not repeated", extra={"tenant": owner.name, "reason": reason})
            return
        _log.log(
            level,
            "event",
            extra={
                "namespace": owner.namespace,
                "tenant": owner.name,
                "reason": reason,
                "text": message,
            },
        )
        try:
            self._waiting.put_nowait(self._event(owner, reason, message, warning=warning))
        except asyncio.QueueFull:
            _log.warning("too many events wait; this one is in the log alone")

    def forget(self, owner: Owner) -> None:
        """The fleet has gone."""
        self._limiter.forget(owner.uid)

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            await self._post(await self._waiting.get())

    async def flush(self) -> None:
        """Post what waits now."""
        while not self._waiting.empty():
            await self._post(self._waiting.get_nowait())

    async def _post(self, event: Document) -> None:
        try:
            await self._kube.create(EVENT, event)
            self._metrics.writes.labels("Event", "event").inc()
        except TransientError as error:
            self._metrics.failures.labels("kubernetes").inc()
            _log.warning("an event could not be posted", extra={"reason": str(error)})

    def _event(self, owner: Owner, reason: str, message: str, *, warning: bool) -> Document:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "metadata": {
                "name": f"{owner.name}.{uuid.uuid4().hex[:16]}",
                "namespace": owner.namespace,
            },
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": owner.name,
                "namespace": owner.namespace,
                "uid": owner.uid,
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message[:_LONGEST_MESSAGE],
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "reportingInstance": self._instance,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
