"""Devices that come from another shard go on where it ended, as the stream has it.

The stream is the one record of what was polled that outlives any shard. A device that is
given to this one goes on with the slot after its newest `status` event; what passed in
between was polled by nobody, and is counted and said. An event of the old shard that is
still on its way is polled again and has the same message id: the broker keeps the first.
"""

import asyncio
import contextlib
import logging
from collections.abc import Collection
from typing import Final

from nats.aio.client import Client

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_common.direct import last_of_subjects
from fleet_common.errors import TransientError
from fleet_contracts.codec import RejectedEventError, decode
from fleet_contracts.subjects import DeviceId, EventSubject, Kind, TenantId, stream_name
from fleet_poller.assignments import Share
from fleet_poller.clock import Clock
from fleet_poller.heartbeat import Heartbeat
from fleet_poller.metrics import PollerMetrics
from fleet_poller.shard import Shard

_log = logging.getLogger(__name__)

_READ_SECONDS: Final = 2.0
_RELEASE_SECONDS: Final = 2.0
_FORGOTTEN_MS: Final = 3_600_000
"""A fleet that was polled by nobody for longer was switched off: it begins anew."""


class LastSlots:
    """Which slot of a device was polled last, by anyone."""

    def __init__(
        self, client: Client, tenant: TenantId, failures_to_open: int, clock: Clock
    ) -> None:
        self._client = client
        self._tenant = tenant
        self._failures_to_open = failures_to_open
        self._clock = clock

    async def of(self, devices: Collection[DeviceId]) -> dict[DeviceId, int]:
        """The slots in Unix milliseconds; none for a device that has no recent history.

        Nor for one that is away and asked more rarely: slots without a poll are no loss then.
        """
        subjects = [str(EventSubject(self._tenant, one, Kind.STATUS)) for one in devices]
        done: dict[DeviceId, int] = {}
        try:
            async with asyncio.timeout(_READ_SECONDS):
                async for message in last_of_subjects(
                    self._client,
                    stream_name(self._tenant),
                    subjects,
                    timeout_seconds=_READ_SECONDS,
                ):
                    self._note(message.subject, message.payload, done)
        except (TransientError, TimeoutError) as error:
            _log.warning(
                "the last slots of new devices are not known; each begins with its latest",
                extra={"tenant": self._tenant, "devices": len(devices), "reason": str(error)},
            )
        return done

    def _note(self, subject: str, payload: bytes, done: dict[DeviceId, int]) -> None:
        try:
            decoded = decode(subject, payload)
        except RejectedEventError:
            return
        status, slot_ms = decoded.event.status, decoded.event.slot_unix_ms
        down = status.reachability == pb.REACHABILITY_DOWN
        rejected = status.error_class == pb.ERROR_CLASS_LOGIN_REJECTED
        if down and (rejected or status.consecutive_failures >= self._failures_to_open):
            return
        if slot_ms > self._clock.now_ms() - _FORGOTTEN_MS:
            done[decoded.subject.device] = slot_ms


class Takeover:
    """Brings a share into force: what is not in it is let go, what is new is taken over."""

    def __init__(
        self, slots: LastSlots, shard: Shard, heartbeat: Heartbeat, metrics: PollerMetrics
    ) -> None:
        self._slots = slots
        self._shard = shard
        self._heartbeat = heartbeat
        self._metrics = metrics
        self._names: frozenset[DeviceId] = frozenset()
        self._polled: frozenset[DeviceId] = frozenset()
        self._empty = asyncio.Event()

    async def take(self, share: Share) -> None:
        """Make this the share in force and say so with the next beat. Takes seconds at most."""
        self._shard.release(self._polled - share.devices.keys())
        # One that was ours all the time (suspended until now) has missed nothing.
        gained = share.devices.keys() - self._names
        done = await self._slots.of(gained) if gained else {}
        self._metrics.taken_over.inc(len(done))
        self._shard.assign(share.devices, done)
        self._names, self._polled = share.names, frozenset(share.devices)
        if await self._shard.released(_RELEASE_SECONDS):
            self._heartbeat.in_force(share.revision)
        if not self._names:
            self._empty.set()

    async def leave(self, timeout_seconds: float) -> None:
        """Return when others have been given all devices, or after so long.

        Until then they are polled here, so that no slot is lost between the two.
        """
        if not self._names or timeout_seconds <= 0 or not self._heartbeat.leave():
            return
        self._empty.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._empty.wait()
                await self._heartbeat.told(_RELEASE_SECONDS)
