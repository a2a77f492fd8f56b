"""One pass after another over all RouterFleets: what should be is compared with what is.

Nothing is remembered that a pass could not find again: it may fail at any point, and the
next one goes on from what is there.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from fleet_common.errors import TransientError
from fleet_common.fleet_spec import RouterFleet
from fleet_common.health import Progress
from fleet_contracts.subjects import TenantId
from fleet_operator.applying import Outcome
from fleet_operator.assigning import Ask
from fleet_operator.broker_state import Asked
from fleet_operator.due import Due
from fleet_operator.fleets import Known
from fleet_operator.identity import identical
from fleet_operator.kinds import WATCHED
from fleet_operator.parts import Parts
from fleet_operator.poller_pods import PollerPods
from fleet_operator.shards import ShardCount
from fleet_operator.wake import Wake
from fleet_operator.workloads import workloads

_log = logging.getLogger(__name__)

_TOGETHER: Final = 8
_SETTLE_SECONDS: Final = 0.1
"""Changes come in bursts: act once on a burst."""


class Controller:
    """`run` passes at every change, and whenever something is due.

    A pass in which nothing rang and the broker has nothing new ends there: all fleets stand
    as the last one left them. While there is something to do, or there are shards that may
    become too few, it passes every two seconds.
    """

    def __init__(self, parts: Parts, wake: Wake, progress: Progress) -> None:
        self._parts = parts
        self._wake = wake
        self._progress = progress
        self._last: tuple[Known, ...] = ()
        self._records: tuple[tuple[object, ...], dict[str, bytes]] = ((), {})
        self._trouble: dict[str, str] = {}
        self._pods: PollerPods = parts.pods.now()
        self._settled: tuple[Sequence[Known], Asked] | None = None
        """What the last pass came to; None when it left something to do."""
        self._polled: tuple[Known, ...] = ()
        """Those that have shards, which may be too few."""
        self._due = Due(parts, most_seconds=progress.limit_seconds / 3)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            rang = await self._wake.wait(self._due.pause(settled=self._settled is not None))
            if rang:
                await asyncio.sleep(_SETTLE_SECONDS)
            if not all(self._parts.store.complete(kind) for kind in WATCHED):
                self._settled = None
                continue
            if rang or self._due.whole():
                self._settled = None
            began = time.perf_counter()
            well = await self._rests() or await self._pass()
            metrics = self._parts.metrics
            metrics.reconcile_seconds.observe(time.perf_counter() - began)
            metrics.reconciles.labels("done" if well else "failed").inc()
            self._progress.beat()
            self._parts.up.look()

    async def _rests(self) -> bool:
        """Whether all is as the last pass left it; what is due at the broker is done."""
        if self._settled is None:
            return False
        everyone, asked = self._settled
        broker = self._parts.broker
        before = broker.state.findings()
        notes = await broker.reconcile(asked)
        for tenant, line in notes:
            self._tell(everyone, tenant, line)
        after = broker.state.findings()
        shards, assigning = self._parts.shards, self._parts.assigning
        if any(shards.turns(known, assigning) for known in self._polled):
            return False
        return not notes and identical(before, after)

    async def _pass(self) -> bool:
        parts = self._parts
        self._settled = None
        self._due.begun()
        self._pods = parts.pods.now()
        parts.shards.use(self._pods)
        everyone = parts.fleets.read()
        self._forget_gone(everyone)
        mine = [known for known in everyone if known.rival is None]
        well = await self._finalizers(mine)
        asked = self._asked(mine)
        for tenant, line in await parts.broker.reconcile(asked):
            self._tell(mine, tenant, line)
        # Records come before assignments: a poller reads a device's when it is assigned.
        asks = self._asks(mine)
        self._polled = tuple(one for one in mine if one.tenant in asks and asks[one.tenant].shards)
        if parts.broker.state.settled is asked:
            tenants = {known.tenant for known in mine} if asked.all_known else None
            parts.assigning.want(asks, tenants)
        states = await self._together(everyone, self._fleet)
        parts.reporter.count(Counter(state or "not_ready" for state in states))
        well = well and None not in states
        if well and parts.broker.state.settled is asked and "deleting" not in states:
            self._settled = (everyone, asked)
        if set(states) <= {"ready"}:
            self._due.all_ready()
        return well

    async def _together[ResultT](
        self, fleets: Iterable[Known], work: Callable[[Known], Awaitable[ResultT]]
    ) -> list[ResultT]:
        """For each fleet, some at a time: a hundred new ones need a thousand requests."""
        gate = asyncio.Semaphore(_TOGETHER)

        async def one(known: Known) -> ResultT:
            async with gate:
                result = await work(known)
                self._progress.beat()
                return result

        return await asyncio.gather(*(one(known) for known in fleets))

    async def _fleet(self, known: Known) -> str | None:
        """One fleet's objects and status; its state, None when something failed."""
        parts = self._parts
        try:
            if known.deleted_at is not None:
                await self._delete(known)
                return "deleting"
            if known.rival is not None:
                await parts.reporter.report(known, None, [])
                return "conflict"
            shards, refused = await self._workloads(known)
            ready = await parts.reporter.report(known, shards, refused)
        except TransientError as error:
            self._failed(known, error)
            return None
        self._trouble.pop(known.owner.uid, None)
        return "ready" if ready else "not_ready"

    async def _workloads(self, known: Known) -> tuple[ShardCount | None, list[str]]:
        parts = self._parts
        if known.fleet is None and not known.rests:
            # How many shards it should have is not known: those that are there go on.
            return None, []
        shards = parts.shards.count(known, parts.assigning)
        if known.fleet is None:
            await parts.objects.scale(known.owner, shards.replicas)
            return shards, []
        outcome = await self._bring(known, known.fleet, shards.replicas, shards.extra)
        for reason, message in outcome.notes:
            parts.announcer.say(known.owner, reason, message)
        await parts.secrets.look(known)
        return shards, list(outcome.refused)

    async def _bring(self, known: Known, fleet: RouterFleet, replicas: int, extra: int) -> Outcome:
        """The fleet's objects; made only when something of them changed."""
        owner, pods = known.owner, self._pods
        return await self._parts.objects.bring(
            owner,
            (fleet, pods, replicas, extra),
            lambda: workloads(owner, fleet, pods, replicas, extra),
        )

    async def _delete(self, known: Known) -> None:
        if not known.holds_finalizer:
            return
        parts = self._parts
        if known.rival is None:
            shards = parts.shards.count(known, parts.assigning)
            # Nothing is made any more: what is there is brought to rest.
            await parts.objects.scale(known.owner, parts.cleanup.replicas(known, shards.replicas))
        await parts.cleanup.advance(known)

    # --- what is asked of others -----------------------------------------------------

    def _asked(self, mine: Iterable[Known]) -> Asked:
        fleets: list[RouterFleet] = []
        untouched: set[TenantId] = set()
        records: list[Known] = []
        for known in mine:
            if known.deleted_at is not None:
                if not self._parts.cleanup.may_remove(known):
                    untouched.add(known.tenant)
            elif known.fleet is None:
                untouched.add(known.tenant)
            else:
                fleets.append(known.fleet)
                records.append(known)
        all_known = not self._parts.store.unread
        return Asked(tuple(fleets), self._merged(records), frozenset(untouched), all_known)

    def _merged(self, fleets: list[Known]) -> dict[str, bytes]:
        """All records in one; the same object as long as no fleet's changed."""
        parts = tuple(id(known.records) for known in fleets)
        if parts != self._records[0] or not self._last:
            merged = {key: value for known in fleets for key, value in known.records.items()}
            self._records = (parts, merged)
        self._last = tuple(fleets)  # keeps the records alive, so that an id stays theirs
        return self._records[1]

    def _asks(self, mine: Iterable[Known]) -> dict[TenantId, Ask]:
        return {
            known.tenant: self._parts.shards.ask(known)
            for known in mine
            if known.fleet is not None or known.rests
        }

    # --- the RouterFleets themselves -------------------------------------------------

    async def _finalizers(self, mine: Iterable[Known]) -> bool:
        """Before anything is made for a fleet, its end is seen to."""
        new = [one for one in mine if not one.holds_finalizer and one.deleted_at is None]
        return all(await self._together(new, self._finalizer))

    async def _finalizer(self, known: Known) -> bool:
        try:
            await self._parts.cleanup.hold(known)
        except TransientError as error:
            self._failed(known, error)
            return False
        return True

    def _forget_gone(self, everyone: Iterable[Known]) -> None:
        uids = {known.owner.uid for known in everyone}
        for known in self._parts.cleanup.gone(uids):
            self._parts.objects.forget(known)
            self._parts.announcer.forget(known)
            self._parts.shards.forget(known.uid)
            self._parts.secrets.forget(known.uid)
            self._parts.reporter.forget(known.uid)
            self._trouble.pop(known.uid, None)
        self._parts.cleanup.note(everyone)

    def _tell(self, mine: Iterable[Known], tenant: TenantId | None, line: str) -> None:
        known = next((one for one in mine if one.tenant == tenant), None)
        if known is None:
            _log.info("stream", extra={"text": line})
        else:
            self._parts.announcer.say(known.owner, "Stream", line)

    def _failed(self, known: Known, error: Exception) -> None:
        reason = str(error)
        if self._trouble.get(known.owner.uid) == reason:
            return
        self._trouble[known.owner.uid] = reason
        self._parts.metrics.failures.labels("kubernetes").inc()
        _log.warning(
            "a fleet could not be brought to what it should be; trying again",
            extra={
                "namespace": known.owner.namespace,
                "tenant": known.owner.name,
                "reason": reason,
            },
        )
