"""Status of every RouterFleet: conditions at once, figures every now and then."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

from fleet_contracts.subjects import TenantId
from fleet_operator.announcing import Announcer
from fleet_operator.assigning import Assigning
from fleet_operator.broker_side import BrokerSide
from fleet_operator.conditions import stream_status
from fleet_operator.devices_up import DevicesUp
from fleet_operator.fleets import Fleets, Known
from fleet_operator.kinds import ROUTER_FLEET, Document, part
from fleet_operator.kube import Kube
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.rejected_logins import TellingLogins
from fleet_operator.resolve import secret_problems
from fleet_operator.shards import ShardCount
from fleet_operator.status import (
    ConditionStatus,
    ConditionType,
    DevicesStatus,
    Findings,
    ShardsStatus,
    StreamStatus,
    Verdict,
    merge_status,
    read_status,
    stream_summary,
)
from fleet_operator.store import Store
from fleet_operator.verdicts import OBJECT_REFUSED, Situation, conflict_verdicts, verdicts
from fleet_operator.workloads import selector

_FIRST_FIGURES_SECONDS: Final = 5.0
_STATES: Final = ("ready", "not_ready", "conflict", "deleting")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a status comes from and goes to."""

    kube: Kube
    store: Store
    fleets: Fleets
    broker: BrokerSide
    assigning: Assigning
    up: DevicesUp
    announcer: Announcer
    metrics: OperatorMetrics


class Reporter:
    """Writes a status only when it says something new."""

    def __init__(self, sources: Sources, figures_seconds: float) -> None:
        self._kube = sources.kube
        self._store = sources.store
        self._fleets = sources.fleets
        self._broker = sources.broker
        self._assigning = sources.assigning
        self._up = sources.up
        self._announcer = sources.announcer
        self._metrics = sources.metrics
        self._figures_seconds = figures_seconds
        self._figures_at: dict[str, tuple[float, object]] = {}
        self._uncounted: set[str] = set()
        self._untold: set[str] = set()
        self._logins = TellingLogins(figures_seconds)
        self._said: dict[str, tuple[Situation, Document, bool]] = {}

    @property
    def figures_seconds(self) -> float:
        """How often there may be figures to tell."""
        return _FIRST_FIGURES_SECONDS if self._uncounted else self._figures_seconds

    @property
    def all_told(self) -> bool:
        """Whether every status has its fleet's figures as they are."""
        return not self._untold and not self._uncounted

    async def report(self, known: Known, shards: ShardCount | None, refused: list[str]) -> bool:
        """One fleet's status; True when the fleet is ready. Raises KubeError."""
        situation = self._situation(known, shards, refused)
        said = self._said.get(known.owner.uid)
        figures = self._figures_due(known)
        if not figures and said is not None and said[0] == situation and said[1] is known.body:
            return said[2]
        found = self._findings(known, situation, shards, figures=figures)
        old = known.body.get("status")
        document = merge_status(old, found, datetime.now(UTC))
        ready = any(
            one.type is ConditionType.READY and one.status is ConditionStatus.TRUE
            for one in found.verdicts
        )
        if document is not None:
            self._say_what_changed(known, found)
            after = await self._kube.merge_status(known.key, _patch(old, document))
            self._store.take(ROUTER_FLEET, after)
            self._metrics.writes.labels("RouterFleet", "status").inc()
        self._said[known.owner.uid] = (situation, known.body, ready)
        return ready

    def forget(self, uid: str) -> None:
        """The fleet has gone."""
        self._said.pop(uid, None)
        self._figures_at.pop(uid, None)
        self._uncounted.discard(uid)
        self._untold.discard(uid)
        self._logins.forget(uid)

    def count(self, states: Mapping[str, int]) -> None:
        """Fleets by state."""
        for state in _STATES:
            self._metrics.fleets.labels(state).set(states.get(state, 0))

    def _situation(self, known: Known, shards: ShardCount | None, refused: list[str]) -> Situation:
        tenant = known.tenant
        state = self._broker.state
        seen = state.seen.get(tenant)
        return Situation(
            known=known,
            secret_problems=secret_problems(
                known.needs, self._fleets.secret_keys(known), self._fleets.bad_cas(known)
            ),
            rejected=self._logins.tell(known.owner.uid, self._assigning.found(tenant)),
            plan=state.plans.get(tenant),
            live_max_bytes=None if seen is None else seen.state.max_bytes,
            stream_trouble=state.trouble_of(tenant, known.fleet),
            shards_wanted=0 if shards is None else shards.wanted,
            shards_ready=0 if shards is None else shards.ready,
            shards_there=0 if shards is None else shards.pods,
            refused=tuple(refused),
            left_out=0 if (none := state.left_out.get(tenant)) is None else none.count,
            assigning_trouble=self._assigning.failing(tenant),
        )

    def _findings(
        self, known: Known, situation: Situation, shards: ShardCount | None, *, figures: bool
    ) -> Findings:
        if known.rival is not None:
            return Findings(known.generation, conflict_verdicts(known.rival))
        return Findings(
            generation=known.generation,
            verdicts=verdicts(situation),
            devices=self._devices(known, figures=figures),
            stream=self._stream(known, figures=figures),
            shards=None if shards is None else _shards(known.tenant, shards),
        )

    def _figures_due(self, known: Known) -> bool:
        """Every now and then; soon while the first figures are still to come."""
        now, uid = time.monotonic(), known.owner.uid
        last = self._figures_at.get(uid)
        wait = self._figures_seconds
        status = part(known.body, "status")
        up = part(status, "devices").get("up")
        # Never counted, or its shards are there and nothing answers yet.
        if up is None or (not up and part(status, "shards").get("ready")):
            wait = min(wait, _FIRST_FIGURES_SECONDS)
            self._uncounted.add(uid)
        else:
            self._uncounted.discard(uid)
        seen = self._broker.state.seen.get(known.tenant)
        figures = (
            None if seen is None else (seen.state.last_sequence, seen.state.first_sequence),
            self._up.counts(known.tenant),
        )
        same = last is not None and last[1] == figures
        if last is not None and now - last[0] < wait:
            if not same:
                self._untold.add(uid)
            return False
        self._untold.discard(uid)
        self._figures_at[uid] = (now, figures)
        return not same

    def _devices(self, known: Known, *, figures: bool) -> DevicesStatus | None:
        if known.fleet is None:
            return None
        before = read_status(known.body.get("status")).devices
        up = None if before is None else before.up
        down = None if before is None else before.down
        if figures and (counts := self._up.counts(known.tenant)) is not None:
            up, down = counts
        return DevicesStatus(
            total=len(known.fleet.spec.devices),
            up=up,
            down=down,
            suspended=known.suspended,
            invalid=known.resolution.invalid,
        )

    def _stream(self, known: Known, *, figures: bool) -> StreamStatus | None:
        state = self._broker.state
        plan, seen = state.plans.get(known.tenant), state.seen.get(known.tenant)
        if plan is None:
            return None
        before = read_status(known.body.get("status")).stream
        now = stream_status(plan, None if seen is None else seen.state, time.time())
        if figures or before is None or before.bytes is None or seen is None:
            return now
        return now.model_copy(
            update={
                "bytes": before.bytes,
                "messages": before.messages,
                "window_now": before.window_now,
                "summary": stream_summary(before.bytes, plan.max_bytes),
            }
        )

    def _say_what_changed(self, known: Known, found: Findings) -> None:
        before = read_status(known.body.get("status"))
        for verdict in found.verdicts:
            old = before.condition(verdict.type)
            if old is not None and old.status == verdict.status and old.reason == verdict.reason:
                continue
            bad = _is_bad(verdict)
            if not bad and (old is None or not _was_bad(verdict.type, old.status)):
                continue
            self._announcer.say(known.owner, verdict.reason, verdict.message, warning=bad)


def _is_bad(verdict: Verdict) -> bool:
    if verdict.type is ConditionType.SHARDS_READY and verdict.reason == OBJECT_REFUSED:
        return True
    return _was_bad(verdict.type, verdict.status.value)


def _was_bad(kind: ConditionType, status: str) -> bool:
    if kind in {ConditionType.TENANT_CONFLICT, ConditionType.REPLAY_WINDOW_REDUCED}:
        return status == "True"
    # Ready follows from the others, and shards take a moment to start: no news of their own.
    if kind in {ConditionType.READY, ConditionType.SHARDS_READY}:
        return False
    return status != "True"


def _shards(tenant: TenantId, shards: ShardCount) -> ShardsStatus:
    return ShardsStatus(
        wanted=shards.wanted,
        replicas=shards.pods,
        ready=shards.ready,
        summary=f"{shards.ready}/{shards.wanted}",
        selector=",".join(f"{name}={value}" for name, value in selector(tenant).items()),
    )


def _patch(old: object, document: dict[str, object]) -> dict[str, object]:
    """As a merge patch: what is no more has to be said to be null, at every depth."""
    if not isinstance(old, Mapping):
        return document
    before = cast("Mapping[str, object]", old)
    patch: dict[str, object] = {name: None for name in before if name not in document}
    for name, value in document.items():
        there = before.get(name)
        if isinstance(value, dict) and isinstance(there, Mapping):
            patch[name] = _patch(there, cast("dict[str, object]", value))  # pyright: ignore[reportUnknownArgumentType] - JSON
        elif value != there:
            patch[name] = value
    return patch
