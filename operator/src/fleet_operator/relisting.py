"""Full lists every now and then: what no watch told is known by then.

A namespace that is deleted loses its Role before its RouterFleets have gone, and a namespace
may be named before it is made: where no RouterFleet asks for anything, nothing needs to be
readable, and the other namespaces do not wait for it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from fleet_common.errors import TransientError
from fleet_operator.kinds import ROUTER_FLEET, WATCHED, Document, ObjectKey, ObjectKind, key_of
from fleet_operator.kube import ALL_NAMESPACES, Kube
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.store import Store, trimmed

_log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 2.0
_DEAF_ROUNDS: Final = 3
"""One list may be ahead of a watch by moments; so many in a row say that nobody listens."""


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
        self._forbidden: frozenset[str] = frozenset()

    @property
    def namespaces(self) -> tuple[str, ...] | None:
        """Those that can be watched; None for all there are."""
        named = tuple(one for one in self._kube.namespaces if one not in self._forbidden)
        return None if ALL_NAMESPACES in named else named

    async def first(self) -> None:
        """Wait until the API server gave everything; says what it waits for."""
        while True:
            if await self._round(count=False):
                self._rounds_with_news = 0
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def run(self, again: Callable[[str], None]) -> None:
        """Until cancelled. `again` is called with a reason to begin the watches anew.

        That is: list after list finds what no watch told, or other namespaces can be read.
        """
        while True:
            await asyncio.sleep(self._resync_seconds)
            before = self.namespaces
            await self._round(count=True)
            if self.namespaces != before:
                again("other namespaces can be read than before")
            elif self._rounds_with_news >= _DEAF_ROUNDS:
                self._rounds_with_news = 0
                again("the watches tell nothing")

    async def _round(self, *, count: bool) -> bool:
        complete, found = True, 0
        idle: frozenset[str] = frozenset()
        forbidden: frozenset[str] = frozenset()
        for kind in WATCHED:
            try:
                news, without = await self._list(kind, idle)
            except TransientError as error:
                complete = False
                self._note(kind, str(error))
                continue
            self._trouble.pop(kind, None)
            forbidden |= without
            found += news
            if kind is ROUTER_FLEET:
                idle = self._idle()
            if count and news:
                self._metrics.missed.inc(news)
                _log.info("a full list had news", extra={"kind": kind.kind, "objects": news})
        self._rounds_with_news = self._rounds_with_news + 1 if found else 0
        self._note_forbidden(forbidden)
        return complete

    async def _list(self, kind: ObjectKind, idle: frozenset[str]) -> tuple[int, frozenset[str]]:
        """News, and the idle namespaces that cannot be read.

        All objects of a kind are taken one by one: together they may be more than all that is kept.
        """
        store = self._store
        listed: set[ObjectKey] = set()
        news = 0

        def take(document: Document) -> None:
            nonlocal news
            listed.add(key_of(kind, document))
            if not store.knows(kind, document):
                news += store.put(kind, trimmed(kind, document))

        listing = await self._kube.list(kind, take, idle)
        return news + store.settle(kind, listed, listing.version), listing.forbidden

    def _idle(self) -> frozenset[str]:
        """Namespaces named in the settings with no RouterFleet but such as are being deleted."""
        busy = {
            one["metadata"]["namespace"]
            for one in self._store.all(ROUTER_FLEET)
            if "deletionTimestamp" not in one["metadata"]
        }
        return frozenset(self._kube.namespaces) - busy - {ALL_NAMESPACES}

    def _note_forbidden(self, forbidden: frozenset[str]) -> None:
        for namespace in sorted(forbidden - self._forbidden):
            _log.warning(
                "a namespace without RouterFleets cannot be read; the others are looked after",
                extra={"namespace": namespace, "hint": "is it there, with the operator's Role?"},
            )
        self._forbidden = forbidden

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
