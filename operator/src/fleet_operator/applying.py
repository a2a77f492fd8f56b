"""A fleet's objects in the cluster as they should be; nothing is sent when they are."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fleet_operator.drift import covers, owner_uid, projected
from fleet_operator.kinds import (
    CONFIG_MAP,
    SECRET,
    STATEFUL_SET,
    Document,
    ObjectKey,
    annotation,
    is_ours,
    part,
)
from fleet_operator.kube import Kube, KubeRefusedError
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.store import Store, digest, version_of
from fleet_operator.workloads import HASH_ANNOTATION, Owner, Wanted, keys_of, stateful_set_key

_log = logging.getLogger(__name__)

_ASKED_AGAIN_SECONDS: Final = 15.0
"""What the API server refused is asked again as soon as it is another, or after so long."""
_CONFLICT: Final = 409
_ENVIRONMENT: Final = frozenset({CONFIG_MAP, SECRET})


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What was refused, at which version of the live object, until when, and why."""

    asked: tuple[str, int]
    until: float
    message: str
    status: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one look at a fleet's objects did.

    `notes`: (reason, message) for Events. `refused`: objects that the API server will not
    take, or that belong to somebody else, and why.
    """

    notes: tuple[tuple[str, str], ...]
    refused: tuple[str, ...]


_NOTHING: Final = Outcome((), ())


class Objects:
    """Applies. What the API server makes of a field (a default, another spelling) is learnt."""

    def __init__(self, kube: Kube, store: Store, metrics: OperatorMetrics) -> None:
        self._kube = kube
        self._store = store
        self._metrics = metrics
        self._accepted: dict[ObjectKey, tuple[str, str]] = {}
        """By object: what was applied last, and what the API server made of it; digests."""
        self._settled: dict[str, tuple[object, ...]] = {}
        """By fleet: what was looked at last and found right."""
        self._refused: dict[ObjectKey, _Refusal] = {}

    async def bring(
        self, owner: Owner, made_from: tuple[object, ...], make: Callable[[], Sequence[Wanted]]
    ) -> Outcome:
        """Apply what differs, delete what should not be. Raises KubeError.

        `make` gives what should be; it is asked only when what it is made from, or an object,
        is not the same as when all was found right.
        """
        signature = self._signature(owner, made_from)
        if self._settled.get(owner.uid) == signature:
            return _NOTHING
        wanted = make()
        notes: list[tuple[str, str]] = []
        refused: list[str] = []
        foreign_environment = False
        for one in wanted:
            # Its pods would start with variables that are somebody else's, or with none.
            if foreign_environment and self._is_new_stateful_set(one.key):
                continue
            try:
                note = await self._bring(owner, one)
            except KubeRefusedError as error:
                refused.append(str(error))
                foreign_environment |= one.key.kind in _ENVIRONMENT
                continue
            if note is not None:
                notes.append(note)
        names = {one.key for one in wanted}
        for key in keys_of(owner):
            live = self._store.get(key)
            if key not in names and live is not None and owner_uid(live) == owner.uid:
                await self._kube.delete(key)
                self._metrics.writes.labels(key.kind.kind, "deleted").inc()
                notes.append(("Deleted", f"{key} is not needed any more"))
        if not notes and not refused:
            self._settled[owner.uid] = signature
        return Outcome(tuple(notes), tuple(refused))

    async def scale(self, owner: Owner, replicas: int) -> None:
        """Only the number of the fleet's pods, if it has any. Raises KubeError.

        For a fleet of which nothing else is made: it goes, or what it asks is not known.
        """
        key = stateful_set_key(owner)
        live = self._store.get(key)
        if live is None or not may_take(live, owner):
            return
        before = part(live, "spec").get("replicas", 1)
        if before == replicas:
            return
        # Not another one that has its name by now.
        patch = {"metadata": {"uid": live["metadata"]["uid"]}, "spec": {"replicas": replicas}}
        self._store.take(STATEFUL_SET, await self._kube.merge(key, patch))
        self._metrics.writes.labels(STATEFUL_SET.kind, "changed").inc()
        _log.info("scaled", extra={"object": str(key), "before": before, "replicas": replicas})

    def forget(self, owner: Owner) -> None:
        """The fleet has gone."""
        self._settled.pop(owner.uid, None)
        for key in keys_of(owner):
            self._accepted.pop(key, None)
            self._refused.pop(key, None)

    def _signature(self, owner: Owner, made_from: tuple[object, ...]) -> tuple[object, ...]:
        versions = [
            version_of(live) if (live := self._store.get(key)) is not None else None
            for key in keys_of(owner)
        ]
        return (*made_from, *versions)

    async def _bring(self, owner: Owner, one: Wanted) -> tuple[str, str] | None:
        live = self._store.get(one.key)
        if live is not None and self._stands(live, one):
            return None
        if live is not None and not may_take(live, owner):
            raise _foreign(one.key)
        reason, words = _why(live, one)
        after = self._store.take(one.key.kind, await self._apply(owner, one, live))
        self._accepted[one.key] = (one.hash, _seen(after, one.document))
        unchanged = live is not None and version_of(after) == version_of(live)
        if unchanged:
            return None
        self._metrics.writes.labels(one.key.kind.kind, reason.lower()).inc()
        _log.info("object applied", extra={"object": str(one.key), "reason": reason})
        return reason, f"{one.key.kind.kind} {one.key.name} {words}"

    def _is_new_stateful_set(self, key: ObjectKey) -> bool:
        return key.kind is STATEFUL_SET and self._store.get(key) is None

    async def _apply(self, owner: Owner, one: Wanted, live: Document | None) -> Document:
        """Ask the API server, unless it refused the same a moment ago."""
        asked = (one.hash, 0 if live is None else version_of(live))
        before = self._refused.get(one.key)
        if before is not None and before.asked == asked and time.monotonic() < before.until:
            raise KubeRefusedError(before.message, before.status)
        try:
            if live is None and one.key.kind.labelled is not None:
                # Not told of is not absent: what lacks the label is no more than not listed.
                found = await self._kube.get(one.key)
                if found is not None and not may_take(found, owner):
                    raise _foreign(one.key)
            after = await self._kube.apply(one.key, one.document)
        except KubeRefusedError as error:
            until = time.monotonic() + _ASKED_AGAIN_SECONDS
            self._refused[one.key] = _Refusal(asked, until, str(error), error.status)
            raise
        self._refused.pop(one.key, None)
        return after

    def _stands(self, live: Document, one: Wanted) -> bool:
        if annotation(live, HASH_ANNOTATION) != one.hash:
            return False
        if covers(live, one.document):
            return True
        return self._accepted.get(one.key) == (one.hash, _seen(live, one.document))


def _foreign(key: ObjectKey) -> KubeRefusedError:
    return KubeRefusedError(
        f"{key} exists and does not belong to this RouterFleet; remove or rename it", _CONFLICT
    )


def _seen(live: Document, wanted: Document) -> str:
    seen: Any = projected(live, wanted)
    return digest(seen)


def may_take(live: Document, owner: Owner) -> bool:
    """Ours already; or made by the operator for a fleet of this name that is no more."""
    uid = owner_uid(live)
    return uid == owner.uid or (uid is None and is_ours(live))


def _why(live: Document | None, one: Wanted) -> tuple[str, str]:
    if live is None:
        return "Created", "created"
    if annotation(live, HASH_ANNOTATION) == one.hash:
        return "Drifted", "was changed by someone else; it is as planned again"
    return "Changed", _changes(live, one.document)


def _changes(live: Document, wanted: Document) -> str:
    before = part(live, "spec").get("replicas")
    after = part(wanted, "spec").get("replicas")
    if after is not None and before != after:
        return f"scaled from {before} to {after}"
    return "changed"
