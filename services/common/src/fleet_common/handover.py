"""How devices change their shard: what is written in which order, and who is waited for. Pure.

A device that moves is let go first: its old shard gets a record without it, and says with a
beat that the record is in force; only then another shard's record names it. Between the two
the one who assigns may fail or be replaced. So who has not yet said that its record is in
force is known from the records and the beats, not from what was done last.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fleet_common.assignment import Shares, assignment_records, next_revision
from fleet_common.inventory import Assignment
from fleet_common.liveness import Liveness, State
from fleet_contracts.subjects import TenantId


@dataclass(frozen=True, slots=True)
class Handover:
    """What to write, in this order: releases, then (once acknowledged) grants, then removals."""

    releases: tuple[Assignment, ...]
    grants: tuple[Assignment, ...]
    removals: tuple[str, ...]
    """Shards whose record is deleted."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.releases or self.grants or self.removals)


def plan_handover(
    tenant: TenantId, shares: Shares, before: Iterable[Assignment], used: int = -1
) -> Handover:
    """From the records in force to these shares, letting go before giving. Pure.

    `used`: the greatest revision that others than these records may have had.
    """
    known = {record.shard: record for record in before}
    revision = next_revision(known.values(), used)
    releases: list[Assignment] = []
    for shard, record in sorted(known.items()):
        target = set(shares.get(shard, ()))
        kept = tuple(device for device in record.devices if device in target)
        if len(kept) < len(record.devices):
            change = {"devices": kept, "revision": revision}
            releases.append(record.model_copy(update=change))
    middle = known | {record.shard: record for record in releases}
    grants = [
        record
        for record in assignment_records(tenant, shares, middle.values(), used)
        if record != middle.get(record.shard)
    ]
    removals = [shard for shard in sorted(known) if shard not in shares]
    return Handover(tuple(releases), tuple(grants), tuple(removals))


class Unconfirmed:
    """Shards that may still poll what their record no longer names.

    Each is in it from when its release is about to be written (or its record is found as
    somebody else wrote it) until its beat has the record's revision or its process was ended.
    One that lives and does not say so in time is waited for no longer, but stays in it: should
    it fall silent, it must be ended.
    """

    def __init__(self) -> None:
        self._revisions: dict[str, int] = {}
        self._overdue: set[str] = set()

    def releasing(self, record: Assignment) -> None:
        """This is about to be written; whether it was is not known when that fails."""
        self._revisions[record.shard] = record.revision
        self._overdue.discard(record.shard)

    def found(self, records: Mapping[str, Assignment], known: Mapping[str, Assignment]) -> None:
        """Take the records as they were read, `known` being what we wrote ourselves."""
        for shard in self._revisions.keys() - records.keys():
            self.forget(shard)
        for shard, record in records.items():
            if shard in self._revisions or record != known.get(shard):
                self._revisions[shard] = record.revision

    def looked(self, liveness: Liveness) -> None:
        """Drop who has confirmed, and who never gave a sign: that one polls nothing yet."""
        for shard, revision in list(self._revisions.items()):
            if not liveness.has_sign(shard) or liveness.revision(shard) >= revision:
                self.forget(shard)

    def forget(self, shard: str) -> None:
        """Its process was ended, or its record is no more."""
        self._revisions.pop(shard, None)
        self._overdue.discard(shard)

    def overdue(self, shards: Iterable[str]) -> None:
        """These live and did not confirm in time: they hold up nobody any more."""
        self._overdue.update(shards)

    def awaited(self, liveness: Liveness) -> dict[str, State]:
        """Who must confirm, or be ended, before anybody gets a device."""
        return {
            shard: state
            for shard in sorted(self._revisions)
            if (state := liveness.state(shard)) is State.DEAD or shard not in self._overdue
        }

    def __contains__(self, shard: str) -> bool:
        return shard in self._revisions
