"""How many shards each fleet has now, should have, and how many pods that makes."""

import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from fleet_common.assignment import shard_names, shards_wanted
from fleet_common.fleet_spec import RouterFleet
from fleet_common.liveness import State
from fleet_contracts.subjects import DeviceId, TenantId
from fleet_operator.assigning import Ask, Assigning, Found
from fleet_operator.fleets import Known
from fleet_operator.kinds import Document, annotation, part
from fleet_operator.poller_pods import PollerPods
from fleet_operator.scaling import Pace, Saturation, observe, replicas_to_keep, shards_for
from fleet_operator.store import Store
from fleet_operator.surge import Surges
from fleet_operator.workloads import EXTRA_ANNOTATION, stateful_set_key, template_hash


@dataclass(frozen=True, slots=True)
class ShardCount:
    """`wanted` shards are planned; `replicas` pods are asked for; `pods` there are.

    `extra`: those of the wanted that are there for saturation. While the only shard's pod is
    replaced there is one pod more that gets devices, and counts as none here.
    """

    wanted: int
    replicas: int
    pods: int
    ready: int
    extra: int


class Shards:
    """Remembers each fleet's saturation, and whether its pods are being replaced."""

    def __init__(
        self, store: Store, pace: Pace, left_out: Callable[[TenantId], AbstractSet[DeviceId]]
    ) -> None:
        """`left_out`: a tenant's devices without a record, which no shard could poll."""
        self._store = store
        self._pace = pace
        self._left_out = left_out
        self._pods: PollerPods | None = None
        self._surges = Surges()
        self._templates: dict[str, tuple[RouterFleet, PollerPods, str]] = {}
        self._saturation: dict[str, Saturation] = {}
        self._seen_at: dict[str, float] = {}

    def use(self, pods: PollerPods) -> None:
        """What all pods should have from now on."""
        self._pods = pods

    def devices(self, known: Known) -> tuple[DeviceId, ...]:
        """Those that shards can poll: they have a record."""
        left_out = self._left_out(known.tenant)
        if not left_out:
            return known.devices
        return tuple(one for one in known.devices if one not in left_out)

    def ask(self, known: Known) -> Ask:
        """What the assigner is asked for; nothing for a fleet that is suspended or goes."""
        return Ask(self.devices(known) if self._wanted(known) else (), self._names(known))

    def count(self, known: Known, assigning: Assigning) -> ShardCount:
        """As of now; takes the loads that the last step saw into account."""
        found = assigning.found(known.tenant)
        self._observe(known, found)
        wanted = self._wanted(known)
        surge = self._surge(known, wanted)
        live = self._live(known)
        spec: Mapping[str, int] = part(live, "spec")
        status: Mapping[str, int] = part(live, "status")
        states = None if found is None or surge else found.step.states
        holding = found.holding if found is not None and found.ask == self.ask(known) else None
        return ShardCount(
            wanted=wanted,
            replicas=replicas_to_keep(wanted + surge, spec.get("replicas"), holding),
            pods=status.get("replicas", 0),
            ready=polling(status, wanted, states),
            extra=self._extra(known),
        )

    def turns(self, known: Known, assigning: Assigning) -> bool:
        """Takes the loads of the last step into account; whether they change the count."""
        found = assigning.found(known.tenant)
        if found is None or self._seen_at.get(known.owner.uid) == found.at:
            return False
        before = self._extra(known)
        self._observe(known, found)
        return self._extra(known) != before

    def forget(self, uid: str) -> None:
        """The fleet has gone."""
        self._saturation.pop(uid, None)
        self._seen_at.pop(uid, None)
        self._surges.forget(uid)
        self._templates.pop(uid, None)

    def _names(self, known: Known) -> tuple[str, ...]:
        wanted = self._wanted(known)
        return tuple(shard_names(wanted + self._surge(known, wanted)))

    def _surge(self, known: Known, wanted: int) -> int:
        if self._pods is None or known.fleet is None:
            return 0
        uid = known.owner.uid
        made = self._templates.get(uid)
        if made is None or made[0] is not known.fleet or made[1] is not self._pods:
            hashed = template_hash(known.owner, known.fleet, self._pods)
            made = self._templates[uid] = (known.fleet, self._pods, hashed)
        return self._surges.shards(uid, self._live(known), made[2], wanted)

    def _wanted(self, known: Known) -> int:
        fleet = known.fleet
        if fleet is None or fleet.spec.suspend or known.deleted_at is not None:
            return 0
        return shards_for(fleet.spec.shards, len(fleet.spec.devices), self._extra(known))

    def _extra(self, known: Known) -> int:
        state = self._saturation.get(known.owner.uid)
        if state is None:
            state = self._saturation[known.owner.uid] = Saturation(extra=self._remembered(known))
        return state.extra

    def _remembered(self, known: Known) -> int:
        """What an earlier run of the operator had come to."""
        live = self._live(known)
        text = (None if live is None else annotation(live, EXTRA_ANNOTATION)) or "0"
        return int(text) if text.isdecimal() else 0

    def _observe(self, known: Known, found: Found | None) -> None:
        fleet, uid = known.fleet, known.owner.uid
        if fleet is None or found is None or self._seen_at.get(uid) == found.at:
            return
        self._seen_at[uid] = found.at
        before = self._saturation.get(uid) or Saturation(extra=self._extra(known))
        spec, devices = fleet.spec.shards, len(fleet.spec.devices)
        base = shards_wanted(spec, devices)
        # A shard that was added a moment ago has no load to speak of yet.
        loads = list(found.loads.values())
        settled = len(loads) >= base + before.extra
        self._saturation[uid] = observe(
            before,
            spec,
            devices,
            loads if settled else (),
            now=time.monotonic(),
            pace=self._pace,
        )

    def _live(self, known: Known) -> Document | None:
        return self._store.get(stateful_set_key(known.owner))


def polling(status: Mapping[str, int], wanted: int, states: Mapping[str, State] | None) -> int:
    """How many of the wanted shards poll, as the StatefulSet's status and signs of life say.

    The status counts pods, whichever: while there are more than are wanted, one that leaves must
    not stand for one that is down. `states`: by shard; None when they say nothing of that.
    """
    ready = min(status.get("readyReplicas", 0), wanted)
    if states is None or status.get("replicas", 0) <= wanted:
        return ready
    return min(ready, sum(states.get(name) is not State.DEAD for name in shard_names(wanted)))
