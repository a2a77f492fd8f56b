"""Which part of each fleet's devices answers: as living shards say, else from the stream.

A shard's sign of life counts its devices. Those of no living shard (dead, just started, or
there is none) are counted by the newest status event of each: slowly, one fleet after
another, and only when the stream has new events, since it costs the broker a message a device.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from nats.aio.client import Client

from fleet_common.direct import last_of_subjects
from fleet_common.errors import TransientError
from fleet_contracts.codec import RejectedEventError, decode
from fleet_contracts.gen.fleet.v1.events_pb2 import REACHABILITY_UP
from fleet_contracts.subjects import DeviceId, EventSubject, Kind, TenantId, stream_name
from fleet_operator.wake import Wake

_log = logging.getLogger(__name__)

_DEVICES_A_SECOND: Final = 300
"""The pace: some hundredths of a core while every fleet is busy."""
_ROUND_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Devices by their newest poll; one that was never polled is neither."""

    up: int = 0
    down: int = 0


@dataclass(frozen=True, slots=True)
class Polled:
    """A fleet whose devices are counted: `told` by its shards, the rest is `untold`.

    `last_sequence` is its stream's; 0 when it is empty, or nothing has to be read of it.
    """

    told: Counts
    untold: tuple[DeviceId, ...]
    last_sequence: int


def polled(
    devices: tuple[DeviceId, ...],
    shares: Mapping[str, tuple[DeviceId, ...]],
    told: Mapping[str, Counts],
    last_sequence: int,
) -> Polled:
    """What there is to count. `shares`: devices by shard; `told`: what living shards say. Pure."""
    sums = Counts(sum(one.up for one in told.values()), sum(one.down for one in told.values()))
    known = sum(len(shares.get(shard, ())) for shard in told)
    if not known:
        return Polled(sums, devices, last_sequence)
    if known >= len(devices):
        return Polled(sums, (), 0)
    counted = {device for shard in told for device in shares.get(shard, ())}
    return Polled(sums, tuple(one for one in devices if one not in counted), last_sequence)


@dataclass(frozen=True, slots=True)
class _Counted:
    asked: Polled
    counts: Counts


class DevicesUp:
    """`counts` answers at once from what `run` found last; `changed` is called at a change.

    `ask` gives the same object as long as it is the same.
    """

    def __init__(
        self,
        client: Client,
        ask: Callable[[], Mapping[TenantId, Polled]],
        changed: Callable[[], None],
    ) -> None:
        self._client = client
        self._ask = ask
        self._changed = changed
        self._counted: dict[TenantId, _Counted] = {}
        self._wake = Wake()

    def counts(self, tenant: TenantId) -> tuple[int, int] | None:
        """Devices up and down; None while nobody knows."""
        counted = self._counted.get(tenant)
        return None if counted is None else (counted.counts.up, counted.counts.down)

    def look(self) -> None:
        """There may be something else to count."""
        self._wake.ring()

    async def run(self) -> None:
        """Count until cancelled, after each `look`, but at most every few seconds."""
        before: Mapping[TenantId, Polled] | None = None
        while True:
            began = time.monotonic()
            asked = self._ask()
            if asked is not before:
                self._counted = {one: kept for one, kept in self._counted.items() if one in asked}
                looks = [await self._look(tenant, fleet) for tenant, fleet in asked.items()]
                before = asked if all(looks) else None
            again = _ROUND_SECONDS if before is None else None
            await self._wake.wait(again)
            left = _ROUND_SECONDS - (time.monotonic() - began)
            if left > 0:
                await asyncio.sleep(left)

    async def _look(self, tenant: TenantId, fleet: Polled) -> bool:
        """Whether it is counted."""
        known = self._counted.get(tenant)
        if known is not None and known.asked == fleet:
            return True
        reads = bool(fleet.untold and fleet.last_sequence)
        try:
            counts = await self._read(tenant, fleet) if reads else fleet.told
        except TransientError as error:
            _log.debug("not counted", extra={"tenant": tenant, "reason": str(error)})
            counts = None
        else:
            self._counted[tenant] = _Counted(fleet, counts)
            if known is None or known.counts != counts:
                self._changed()
        if reads:
            await asyncio.sleep(len(fleet.untold) / _DEVICES_A_SECOND)
        return counts is not None

    async def _read(self, tenant: TenantId, fleet: Polled) -> Counts:
        up, down = fleet.told.up, fleet.told.down
        subjects = [str(EventSubject(tenant, device, Kind.STATUS)) for device in fleet.untold]
        async for message in last_of_subjects(self._client, stream_name(tenant), subjects):
            try:
                event = decode(message.subject, message.payload)
            except RejectedEventError:
                continue
            if event.event.status.reachability == REACHABILITY_UP:
                up += 1
            else:
                down += 1
        return Counts(up, down)
