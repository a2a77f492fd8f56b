"""Which shard polls which device: rendezvous hashing with bounded load. Pure.

Each device ranks the shards by a hash of both names; it goes to the first that has room.
No shard gets more than ceil((1 + epsilon) x devices / shards). Given the assignment in
force, only what must move moves:

* a shard that goes away: its devices, no others;
* one shard more: at most ceil(devices / shards) that prefer it, and what exceeds the new,
  lower bound elsewhere;
* more devices: none of those that are there.

Rendezvous hashing: Thaler and Ravishankar 1998; bounded loads: Mirrokni et al. 2016.
"""

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from hashlib import blake2b
from math import ceil
from typing import Final

from fleet_common.fleet_spec import ShardsSpec
from fleet_common.inventory import Assignment
from fleet_contracts.subjects import DeviceId, TenantId

EPSILON: Final = 0.1
"""How much more than the mean a shard may have."""

type Shares = Mapping[str, Sequence[DeviceId]]
"""Devices by shard; a shard without devices has an empty sequence."""


def shard_names(count: int) -> list[str]:
    """`shard-0`, `shard-1`, …: the names of a StatefulSet's pods end so."""
    return [f"shard-{number}" for number in range(count)]


def shards_wanted(spec: ShardsSpec, devices: int) -> int:
    """How many pollers a fleet should have: `replicas`, or enough within min and max.

    0 only when the spec allows it: `replicas: 0`, or `min: 0` and no devices.
    """
    if spec.replicas is not None:
        return spec.replicas
    return min(max(-(-devices // spec.devices_per_shard), spec.min), spec.max)


def load_bound(devices: int, shards: int, epsilon: float = EPSILON) -> int:
    """The most devices a shard may have."""
    # The decimal as written: 1.1 x 10 / 1 is 11, not a hair more and then 12.
    return ceil((1 + Fraction(str(epsilon))) * devices / shards)


def assign(
    devices: Iterable[DeviceId],
    shards: Iterable[str],
    previous: Shares | None = None,
    epsilon: float = EPSILON,
) -> dict[str, tuple[DeviceId, ...]]:
    """Every device on exactly one shard, every shard a key; devices sorted.

    A function of the sets of names and of `previous`, not of their order. Raises
    ValueError for a name given twice, devices without shards, or a negative epsilon.
    """
    all_devices, all_shards = _distinct(devices, "device"), _distinct(shards, "shard")
    if epsilon < 0:
        raise ValueError(f"epsilon {epsilon} is negative")
    if not all_shards:
        if all_devices:
            raise ValueError(f"{len(all_devices)} devices and no shard to poll them")
        return {}
    placement = _Placement(all_shards, load_bound(len(all_devices), len(all_shards), epsilon))
    before = previous or {}
    homeless = placement.keep(all_devices, before)
    placement.place(homeless)
    fresh = [shard for shard in all_shards if shard not in before]
    if len(fresh) < len(all_shards):
        placement.attract(fresh, -(-len(all_devices) // len(all_shards)), set(homeless))
    return {shard: tuple(sorted(placement.members[shard])) for shard in all_shards}


class _Placement:
    """Who is where while an assignment is worked out."""

    def __init__(self, shards: Sequence[str], bound: int) -> None:
        self.members: dict[str, set[DeviceId]] = {shard: set() for shard in shards}
        self._bound = bound
        # A keyed hash for each shard, its state copied for each device.
        self._hashers = {shard: _hasher(shard) for shard in shards}

    def keep(self, devices: Sequence[DeviceId], before: Shares) -> list[DeviceId]:
        """Leave devices where they are, up to the bound; returns those without a shard."""
        where = {device: shard for shard, theirs in sorted(before.items()) for device in theirs}
        homeless: list[DeviceId] = []
        for device in devices:
            shard = where.get(device)
            if shard in self.members:
                self.members[shard].add(device)
            else:
                homeless.append(device)
        for shard, members in self.members.items():
            excess = len(members) - self._bound
            if excess > 0:
                leaving = heapq.nsmallest(excess, members, lambda d, s=shard: self._order(d, s))
                members.difference_update(leaving)
                homeless.extend(leaving)
        return sorted(homeless)

    def place(self, homeless: Sequence[DeviceId]) -> None:
        """Each on the shard it ranks highest among those with room."""
        for device in homeless:
            open_shards = [
                shard for shard, members in self.members.items() if len(members) < self._bound
            ]
            best = max(open_shards, key=lambda shard, d=device: self._order(d, shard))
            self.members[best].add(device)

    def attract(self, fresh: Sequence[str], share: int, settled: set[DeviceId]) -> None:
        """Give new shards, up to their share, the devices that rank them above their own.

        Those who want it most come first. `settled` ones were placed with the new shard
        before them already.
        """
        candidates: list[tuple[tuple[int, str, str], DeviceId, str]] = []
        old = {shard: members for shard, members in self.members.items() if shard not in fresh}
        for shard, members in old.items():
            for device in members - settled:
                own = self._order(device, shard)
                liked = [rank for other in fresh if (rank := self._order(device, other)) > own]
                candidates.extend((rank, device, shard) for rank in liked)
        moved: set[DeviceId] = set()
        for rank, device, shard in sorted(candidates, reverse=True):
            target = rank[1]
            if device not in moved and len(self.members[target]) < share:
                self.members[shard].discard(device)
                self.members[target].add(device)
                moved.add(device)

    def _order(self, device: DeviceId, shard: str) -> tuple[int, str, str]:
        """How much a device is drawn to a shard; never equal for two pairs."""
        hasher = self._hashers[shard].copy()
        hasher.update(device.encode())
        return int.from_bytes(hasher.digest()), shard, device


def _hasher(shard: str) -> blake2b:
    return blake2b(shard.encode() + b"\0", digest_size=8)


def _distinct[NameT: str](names: Iterable[NameT], what: str) -> list[NameT]:
    ordered = sorted(names)
    twice = [one for one, other in itertools.pairwise(ordered) if one == other]
    if twice:
        raise ValueError(f"{what} names must be unique; twice or more: {', '.join(twice[:5])}")
    return ordered


def next_revision(records: Iterable[Assignment], used: int = -1) -> int:
    """Above those of the records, and above `used`, that of records which are no more."""
    return max(used, *(record.revision for record in records), -1) + 1


def assignment_records(
    tenant: TenantId, shares: Shares, before: Iterable[Assignment], used: int = -1
) -> list[Assignment]:
    """The records to write for all shards, in the order to write them.

    What changes gets one revision above all the tenant's revisions so far (those of `before`,
    and `used`, that of records which are no more); what does not keeps its record. Records that
    only give devices away come first: a device is then for a moment nobody's, which its next
    slot bridges, rather than two shards', which a router would see as two sessions. Records of
    shards that are no more are to be deleted first of all.
    """
    known = {record.shard: record for record in before if record.tenant == tenant}
    revision = next_revision(known.values(), used)
    records: list[Assignment] = []
    for shard, devices in sorted(shares.items()):
        record = known.get(shard)
        if record is None or record.devices != tuple(devices):
            record = Assignment(
                tenant=tenant, shard=shard, revision=revision, devices=tuple(devices)
            )
        records.append(record)
    return sorted(records, key=lambda record: _gains(record, known))


def _gains(record: Assignment, known: Mapping[str, Assignment]) -> bool:
    before = known.get(record.shard)
    return not set(record.devices) <= set(before.devices if before is not None else ())
