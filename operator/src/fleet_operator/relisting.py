"""Full lists every now and then: what no watch told is known by then."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from fleet_common.errors import TransientError
from fleet_operator.kinds import (
    CONFIG_MAP,
    ROUTER_FLEET,
    SECRET,
    TENANT_LABEL,
    WATCHED,
    ObjectKind,
)
from fleet_operator.kube import Kube
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.store import Store, trimmed

_log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 2.0
_DEAF_ROUNDS: Final = 3
"""One list may be ahead of a watch by moments; so many in a row say that nobody listens."""
_EVERYTHING: Final = frozenset({ROUTER_FLEET, CONFIG_MAP, SECRET})
"""Kinds of which objects without our labels matter."""


class Relisting:
    """Fills the store. `first` returns when everything was listed once."""

    def __init__(
        self, kube: Kube, store: Store, metrics: OperatorMetrics, resync_seconds: float
    ) -> None:
        self._rounds_with_news = 0
        self._kube = kube
        self._store = store
        self._metrics = metrics
        self._resync_seconds = resync_seconds
        self._trouble: dict[ObjectKind, str] = {}

    async def first(self) -> None:
        """Wait until the API server gave everything; says what it waits for."""
        while True:
            if await self._round(count=False):
                self._rounds_with_news = 0
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def run(self, deaf: Callable[[], None]) -> None:
        """Until cancelled. `deaf` is called when list after list finds what no watch told."""
        while True:
            await asyncio.sleep(self._resync_seconds)
            await self._round(count=True)
            if self._rounds_with_news >= _DEAF_ROUNDS:
                self._rounds_with_news = 0
                deaf()

    async def _round(self, *, count: bool) -> bool:
        complete, found = True, 0
        for kind in WATCHED:
            labels = None if kind in _EVERYTHING else {TENANT_LABEL: None}
            try:
                listing = await self._kube.list(kind, labels)
            except TransientError as error:
                complete = False
                self._note(kind, str(error))
                continue
            self._trouble.pop(kind, None)
            documents = [trimmed(kind, one) for one in listing.documents]
            news = self._store.replace(kind, documents, listing.version)
            found += news
            if count and news:
                self._metrics.missed.inc(news)
                _log.info("a full list had news", extra={"kind": kind.kind, "objects": news})
        self._rounds_with_news = self._rounds_with_news + 1 if found else 0
        return complete

    def _note(self, kind: ObjectKind, reason: str) -> None:
        if self._trouble.get(kind) == reason:
            return
        self._trouble[kind] = reason
        self._metrics.failures.labels("kubernetes").inc()
        what = "is the CRD installed?" if kind is ROUTER_FLEET else "does the role allow it?"
        _log.warning(
            "objects cannot be listed; trying again",
            extra={"kind": kind.kind, "reason": reason, "hint": what},
        )
