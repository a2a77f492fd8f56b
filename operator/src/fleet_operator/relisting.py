"""Full lists every now and then: what no watch told is known by then.

A namespace that is deleted loses its Role before its RouterFleets have gone, and a namespace
may be named before it is made: where no RouterFleet asks for anything, nothing needs to be
readable, and the other namespaces do not wait for it. Where the RouterFleets themselves may not
be read and none is known, there are none; but what NATS holds of tenants that nobody knows may be
theirs, and stays (`Store.unread`).
"""

import asyncio
import logging
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from fleet_common.errors import TransientError
from fleet_operator.kinds import ROUTER_FLEET, WATCHED, Document, ObjectKey, ObjectKind, key_of
from fleet_operator.kube import ALL_NAMESPACES, Kube, Listing
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.store import Store, trimmed, version_of

_log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 2.0
_DEAF_ROUNDS: Final = 3
"""One list may be ahead of a watch by moments; so many in a row say that nobody listens."""


_NOTHING: Final = -1
"""A version before every other."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """What a list of one kind found.

    `idle`: namespaces that may not be read and need not be. `lacking`: why one that has to be
    read may not be; what is known of it stays.
    """

    news: int
    idle: frozenset[str]
    lacking: str | None


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
        self._not_understood: dict[ObjectKey, int] = {}

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
        forbidden: set[str] = set()
        for kind in WATCHED:
            try:
                listed = await self._list(kind)
            except TransientError as error:
                complete = False
                self._note(kind, str(error))
                continue
            if listed.lacking is None:
                self._trouble.pop(kind, None)
            else:
                complete = False
                self._note(kind, listed.lacking)
            forbidden |= listed.idle
            found += listed.news
            if kind is ROUTER_FLEET:
                self._note_unread(listed.idle)
            if count and listed.news:
                self._metrics.missed.inc(listed.news)
                _log.info("a full list had news", extra={"kind": kind.kind, "objects": listed.news})
        self._rounds_with_news = self._rounds_with_news + 1 if found else 0
        self._note_forbidden(frozenset(forbidden))
        return complete

    async def _list(self, kind: ObjectKind) -> _Listed:
        """All objects of a kind are taken one by one: together they may be more than is kept."""
        store = self._store
        listed: set[ObjectKey] = set()
        news = 0

        def take(document: Document) -> None:
            nonlocal news
            key = key_of(kind, document)
            listed.add(key)
            if not store.knows(kind, document) and (kept := self._trimmed(key, document)):
                news += store.put(kind, kept)

        listing = await self._kube.list(kind, take)
        forbidden = dict(listing.forbidden)
        # That there is not a single RouterFleet is not to be believed of a missing right.
        may_be = self._idle() if listing.versions or kind is not ROUTER_FLEET else frozenset[str]()
        idle = may_be & forbidden.keys()
        lacking = next((why for one, why in forbidden.items() if one not in idle), None)
        if lacking is None or store.complete(kind):
            news += store.settle(kind, listed, _as_of(listing, idle))
        self._not_understood = {
            key: version
            for key, version in self._not_understood.items()
            if key.kind is not kind or key in listed
        }
        return _Listed(news, idle, lacking)

    def _trimmed(self, key: ObjectKey, document: Document) -> Document | None:
        """None for an object that cannot be understood: it stays as it was known, if it was."""
        try:
            kept = trimmed(key.kind, document)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other objects count
            version = version_of(document)
            if self._not_understood.get(key) != version:
                self._not_understood[key] = version
                self._metrics.failures.labels("kubernetes").inc()
                _log.warning(
                    "an object cannot be understood; it stays as it was known",
                    extra={"object": str(key), "reason": f"{type(error).__name__}: {error}"},
                )
            return None
        self._not_understood.pop(key, None)
        return kept

    def _idle(self) -> frozenset[str]:
        """Namespaces named in the settings with no RouterFleet but such as are being deleted."""
        busy = {
            one["metadata"]["namespace"]
            for one in self._store.all(ROUTER_FLEET)
            if "deletionTimestamp" not in one["metadata"]
        }
        return frozenset(self._kube.namespaces) - busy - {ALL_NAMESPACES}

    def _note_forbidden(self, forbidden: frozenset[str]) -> None:
        for namespace in sorted(forbidden - self._forbidden - self._store.unread):
            _log.warning(
                "a namespace without RouterFleets cannot be read; the others are looked after",
                extra={"namespace": namespace, "hint": "is it there, with the operator's Role?"},
            )
        self._forbidden = forbidden

    def _note_unread(self, forbidden: frozenset[str]) -> None:
        unread = forbidden | {
            key.namespace for key in self._not_understood if key.kind is ROUTER_FLEET
        }
        if unread - self._store.unread:
            _log.warning(
                "RouterFleets cannot be read and are taken for none; what NATS holds of tenants "
                "without a RouterFleet is kept meanwhile",
                extra={
                    "namespaces": sorted(unread),
                    "hint": "give the operator its Role there, or name the namespace no more",
                },
            )
        self._store.unread = unread

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


def _as_of(listing: Listing, idle: AbstractSet[str]) -> Callable[[str], int]:
    """What is known of a namespace up to this version goes unless it was listed.

    In an idle namespace that may not be read there is nothing, as of when the others were read.
    """
    newest = max(listing.versions.values(), default=_NOTHING)

    def as_of(namespace: str) -> int:
        version = listing.version(namespace)
        if version is not None:
            return version
        return newest if namespace in idle else _NOTHING

    return as_of
