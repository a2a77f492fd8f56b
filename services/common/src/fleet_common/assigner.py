"""Keeps a tenant's devices assigned to living shards: signs of life in, assignments out.

The decision is pure (liveness, assignment, handover); `Assigner` reads and writes the
buckets. Used by whoever owns the shards: the local runner or the operator. One at a time for
a tenant.

A device that moves is let go first: its old shard gets a record without it, and says with
its next beat that its sessions are closed; then the new shard gets it. So a router never
sees two sessions while the old shard lives, and one that does not answer is fenced (its
process ended) before its devices are given away; also when a step fails in between, or
another assigner goes on from there. The new shard goes on after the last slot that the
stream holds of the device, so nothing is polled twice or left out unsaid.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from nats.js.errors import KeyDeletedError, KeyNotFoundError
from nats.js.kv import KeyValue
from pydantic import BaseModel, ValidationError

from fleet_common.assignment import Shares, assign
from fleet_common.handover import Handover, Unconfirmed, plan_handover
from fleet_common.inventory import Assignment, assignment_key, keys_under, put_if_changed
from fleet_common.liveness import Beat, Liveness, State, eligible
from fleet_contracts.subjects import DeviceId, TenantId

_log = logging.getLogger(__name__)

RELEASE_SECONDS: Final = 2.0
"""How long a living shard may take to let devices go; after it they are given away anyway."""
_LOOK_SECONDS: Final = 0.05
_RELOAD_SECONDS: Final = 30.0
"""How often records are read anew: a change made by hand is put right by then."""

_FENCE_AGAIN_SECONDS: Final = 20.0
"""How long a process that was ended may take to come back before it is ended again."""

type Fence = Callable[[str], Awaitable[None]]
"""Ends the process of a shard that gives no sign any more; returns once it polls no more."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one look at a tenant found and did. `moved` devices changed their shard.

    `shares` are the devices by shard as far as they could be given; a shard is in it as long as it
    has a record. `settled`: they are as they should be, nothing is left for a later step.
    """

    states: dict[str, State]
    shares: dict[str, tuple[DeviceId, ...]]
    moved: int
    settled: bool = True


class Assigner:
    """One tenant's assignments. `step` is called again and again, once a second or so."""

    def __init__(
        self,
        tenant: TenantId,
        assignments: KeyValue,
        shards: KeyValue,
        fence: Fence,
        *,
        liveness: Liveness | None = None,
    ) -> None:
        self._tenant = tenant
        self._assignments = assignments
        self._shards = shards
        self._fence = fence
        self._liveness = liveness or Liveness()
        self._records: dict[str, Assignment] = {}
        self._unconfirmed = Unconfirmed()
        self._lost = -1
        """The greatest revision that records which cannot be read any more may have had."""
        self._loaded_at: float | None = None
        self._fenced_at: dict[str, float] = {}

    async def step(self, devices: Sequence[DeviceId], wanted: Sequence[str]) -> Step:
        """Look once and bring the assignments to what they should be.

        Raises nats errors when the broker is away: nothing is known then, and the next
        step blames no shard for it. Takes up to RELEASE_SECONDS when devices move. While it is not
        known whether a shard that may still poll some lives, nobody gets any: that is for a
        later step, and no shard that is not wanted any more should be ended before.
        """
        try:
            await self._load(wanted)
            await self._look(wanted)
            states = {shard: self._liveness.state(shard) for shard in wanted}
            leaving = {shard for shard in wanted if self._liveness.leaving(shard)}
            pods = eligible(wanted, states, self._records, leaving)
            previous = self._in_force()
            shares = assign(devices, pods, previous) if pods else {}
            used = max(self._lost, *map(self._liveness.revision, {*wanted, *self._records}), -1)
            handover = plan_handover(self._tenant, shares, self._records.values(), used)
            await self._fence_silent(handover)
            carried_out = handover.empty or await self._carry_out(handover, wanted)
        except BaseException:
            self._loaded_at = None  # some of it may have been written
            raise
        if not carried_out:
            return Step(states, self._in_force(), 0, settled=False)
        moved = _moved(previous, shares)
        if moved:
            _log.info(
                "devices moved",
                extra={"tenant": self._tenant, "devices": moved, "shards": len(shares)},
            )
        return Step(states, shares, moved)

    def _in_force(self) -> dict[str, tuple[DeviceId, ...]]:
        """The devices that each shard's record names."""
        return {
            shard: tuple(map(DeviceId, record.devices)) for shard, record in self._records.items()
        }

    async def _load(self, wanted: Sequence[str]) -> None:
        if self._loaded_at is not None and time.monotonic() - self._loaded_at < _RELOAD_SECONDS:
            return
        records: dict[str, Assignment] = {}
        for key in await keys_under(self._assignments, self._tenant):
            shard = key.removeprefix(f"{self._tenant}.")
            found = await _read(self._assignments, key, Assignment)
            if found is None:
                self._lost = max(self._lost, await _writes(self._assignments, key))
            # An unreadable one owns nothing that anybody knows of: it is written anew.
            records[shard] = found or Assignment(
                tenant=self._tenant, shard=shard, revision=-1, devices=()
            )
        for shard in set(wanted) - records.keys():
            key = assignment_key(self._tenant, shard)
            self._lost = max(self._lost, await _writes(self._assignments, key))
        self._unconfirmed.found(records, self._records)
        self._records = records
        self._loaded_at = time.monotonic()

    async def _look(self, wanted: Sequence[str]) -> None:
        beats = {
            shard: await _read(self._shards, assignment_key(self._tenant, shard), Beat)
            for shard in sorted({*wanted, *self._records})
        }
        self._liveness.observe(time.monotonic(), beats)
        self._unconfirmed.looked(self._liveness)

    async def _fence_silent(self, handover: Handover) -> None:
        """Those whose devices go or went to others; one that hangs, though nobody takes over."""
        giving = {record.shard for record in handover.releases}
        for shard, record in list(self._records.items()):
            if self._liveness.state(shard) is not State.DEAD:
                continue
            lately = time.monotonic() - self._fenced_at.get(shard, -math.inf) < _FENCE_AGAIN_SECONDS
            hangs = self._liveness.fell_silent(shard) and (
                shard in self._unconfirmed or (record.devices and not lately)
            )
            if shard in giving or hangs:
                await self._end(shard, devices_move=shard in giving)

    async def _end(self, shard: str, *, devices_move: bool) -> None:
        _log.warning(
            "shard gives no sign of life; ending it",
            extra={"tenant": self._tenant, "shard": shard, "devices_move": devices_move},
        )
        self._fenced_at[shard] = time.monotonic()
        await self._fence(shard)
        self._unconfirmed.forget(shard)

    async def _carry_out(self, handover: Handover, wanted: Sequence[str]) -> bool:
        """False: the releases are written, the rest is for a later step."""
        for record in handover.releases:
            if self._liveness.state(record.shard) is not State.DEAD:  # else it was ended just now
                self._unconfirmed.releasing(record)
            await self._put(record)
        if not await self._released(wanted):
            return False
        for record in handover.grants:
            await self._put(record)
        for shard in handover.removals:
            await self._assignments.delete(assignment_key(self._tenant, shard))
            await self._shards.delete(assignment_key(self._tenant, shard))
            self._records.pop(shard, None)
            self._unconfirmed.forget(shard)
        return True

    async def _released(self, wanted: Sequence[str]) -> bool:
        """True once nobody polls what is not its own, as far as it can be had in time.

        Silent shards are ended. A living one is waited for, but not for ever; one of which it
        is not known yet whether it lives decides nothing: False.
        """
        deadline = time.monotonic() + RELEASE_SECONDS
        while True:
            awaited = self._unconfirmed.awaited(self._liveness)
            for shard in [one for one, state in awaited.items() if state is State.DEAD]:
                await self._end(shard, devices_move=True)
                del awaited[shard]
            if not awaited:
                return True
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(_LOOK_SECONDS)
            await self._look(wanted)
        if State.STARTING in awaited.values():
            return False
        _log.warning(
            "shards did not let devices go in time; they are given away all the same",
            extra={"tenant": self._tenant, "shards": list(awaited)},
        )
        self._unconfirmed.overdue(awaited)
        return True

    async def _put(self, record: Assignment) -> None:
        await put_if_changed(self._assignments, record.key(), record)
        self._records[record.shard] = record


async def _read[RecordT: BaseModel](
    bucket: KeyValue, key: str, record_class: type[RecordT]
) -> RecordT | None:
    """The record; None when there is none, or none that can be read."""
    try:
        entry = await bucket.get(key)
    except (KeyNotFoundError, KeyDeletedError):
        return None
    try:
        return record_class.model_validate_json(entry.value or b"")
    except ValidationError:
        _log.warning("record cannot be read", extra={"key": key})
        return None


async def _writes(bucket: KeyValue, key: str) -> int:
    """How many writes to the bucket there were until the key's last; -1 when it never had one.

    No revision of a record that is gone was above it: each took a write at least. A shard
    must not be taken to have acknowledged a record by what it said of one before.
    """
    entry: KeyValue.Entry | None
    try:
        entry = await bucket.get(key)
    except (KeyNotFoundError, KeyDeletedError) as error:
        entry = cast("KeyValue.Entry | None", error.entry)  # pyright: ignore[reportUnknownMemberType] - nats-py leaves it untyped: the deletion, if there was one
    return -1 if entry is None or entry.revision is None else entry.revision


def _moved(before: Shares, after: Shares) -> int:
    was = {device: shard for shard, theirs in before.items() for device in theirs}
    return sum(
        1 for shard, theirs in after.items() for device in theirs if was.get(device, shard) != shard
    )
