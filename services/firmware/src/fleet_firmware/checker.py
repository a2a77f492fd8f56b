"""Sees that the stream holds the advice that each device's newest firmware facts call for.

Level-triggered: whatever happens (an event, a channel that changed, advice that the
stream has discarded, a publish that failed) ends in `_check`, which compares the advice
that should be there with the one that is, and publishes only a difference.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from fleet_common.errors import TransientError
from fleet_contracts.gen.fleet.v1.events_pb2 import Event
from fleet_contracts.subjects import DeviceId, EventSubject, Kind, TenantId
from fleet_firmware.advice import Advice, FirmwareFacts, advise
from fleet_firmware.channels import ChannelKey, ChannelReader
from fleet_firmware.metrics import FirmwareMetrics
from fleet_firmware.store import ConflictError, EventStore, Newest, StoredEvent

_log = logging.getLogger(__name__)

_CONCURRENT_CHECKS: Final = 64
_ATTEMPTS: Final = 5
_MAX_UINT32: Final = 2**32 - 1


class Outcome(StrEnum):
    """How a check ended (metric label)."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    WAITING = "waiting"
    SUPERSEDED = "superseded"
    FAILED = "failed"


@dataclass(slots=True)
class _Device:
    """One device. `on_stream` means something only while `stream_known`."""

    subject: EventSubject
    facts: FirmwareFacts
    facts_sequence: int
    facts_slot_ms: int
    stream_known: bool = False
    on_stream: Advice | None = None
    on_stream_sequence: int = 0
    last_slot_ms: int = 0
    settled: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Checker:
    """All devices of all tenants; bounded by the fleet and `forget_seconds`."""

    def __init__(
        self,
        channels: ChannelReader,
        store: EventStore,
        metrics: FirmwareMetrics,
        forget_seconds: float,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._channels = channels
        self._store = store
        self._metrics = metrics
        self._forget_ms = forget_seconds * 1000
        self._wall_clock = wall_clock
        self._tenants: dict[TenantId, dict[DeviceId, _Device]] = {}

    async def restore(self, tenant: TenantId) -> None:
        """Take each device's newest facts and advice from the stream, in place of what was known.

        Raises TransientError and then has changed nothing.
        """
        devices: dict[DeviceId, _Device] = {}
        async for stored in self._store.newest(tenant, Kind.FIRMWARE):
            device = _device_of(stored)
            devices[device.subject.device] = device
        async for stored in self._store.newest(tenant, Kind.FIRMWARE_ADVICE):
            known = devices.get(stored.decoded.subject.device)
            if known is not None:
                _remember_newest(known, Newest(stored.decoded, stored.sequence))
        for device in devices.values():
            device.stream_known = True
        self._tenants[tenant] = devices
        self._drop_forgotten(devices)
        self._count_devices()

    def forget(self, tenant: TenantId) -> None:
        """The tenant's stream is gone."""
        self._tenants.pop(tenant, None)
        self._count_devices()

    async def observe(self, stored: StoredEvent, headers: Mapping[str, str] | None) -> Outcome:
        """Take one firmware event and answer it.

        Raises TransientError when the broker does not take the advice; the event should
        then be delivered again. `headers` carry a sampled event's trace to its advice.
        """
        subject = stored.decoded.subject
        devices = self._tenants.setdefault(subject.tenant, {})
        device = devices.get(subject.device)
        if device is None:
            device = devices[subject.device] = _device_of(stored)
            self._count_devices()
        elif stored.sequence < device.facts_sequence:
            self._metrics.checks.labels(Outcome.SUPERSEDED).inc()
            return Outcome.SUPERSEDED
        else:
            _remember_facts(device, stored)
        return await self._check(device, headers)

    async def recheck(self, key: ChannelKey) -> None:
        """The channel says something new: answer all its devices anew."""
        for device in self._all_devices():
            if device.facts.channel_key == key:
                device.settled = False
        for tenant in tuple(self._tenants):
            await self.settle(tenant)

    async def sweep(self, tenant: TenantId, first_sequence: int) -> None:
        """Mend what has come apart since the last sweep.

        Advice the stream has discarded is published again, because a reader that starts
        now must find it; what failed is repeated; devices long silent are forgotten.
        `first_sequence` is the oldest message the stream still holds.
        """
        devices = self._tenants.get(tenant)
        if devices is None:
            return
        self._drop_forgotten(devices)
        self._count_devices()
        for device in devices.values():
            if device.on_stream is not None and device.on_stream_sequence < first_sequence:
                device.on_stream = None
                device.on_stream_sequence = 0
                device.settled = False
        await self.settle(tenant)

    def unsettled(self, tenant: TenantId) -> int:
        """Devices whose advice could not be brought to the stream so far."""
        return sum(not device.settled for device in self._tenants.get(tenant, {}).values())

    async def settle(self, tenant: TenantId) -> None:
        """Check the tenant's devices that are not settled.

        Stops at the first failure of the broker and leaves the rest for the next sweep.
        """
        open_checks = [
            device for device in self._tenants.get(tenant, {}).values() if not device.settled
        ]
        for batch in itertools.batched(open_checks, _CONCURRENT_CHECKS):
            results = await asyncio.gather(
                *(self._check(device, None) for device in batch), return_exceptions=True
            )
            failures = [result for result in results if isinstance(result, BaseException)]
            for failure in failures:
                if not isinstance(failure, TransientError):
                    raise failure
            if failures:
                _log.warning(
                    "advice not published; trying again",
                    extra={"tenant": tenant, "reason": str(failures[0])},
                )
                return

    async def _check(self, device: _Device, headers: Mapping[str, str] | None) -> Outcome:
        async with device.lock:
            device.settled = False
            try:
                outcome = await self._bring_to_stream(device, headers)
            except TransientError:
                self._metrics.checks.labels(Outcome.FAILED).inc()
                raise
            device.settled = True
            self._metrics.checks.labels(outcome).inc()
            return outcome

    async def _bring_to_stream(self, device: _Device, headers: Mapping[str, str] | None) -> Outcome:
        for _ in range(_ATTEMPTS):
            key = device.facts.channel_key
            advice = advise(device.facts, None if key is None else self._channels.reading(key))
            if advice is None:
                return Outcome.WAITING
            if not device.stream_known:
                await self._look(device)
                continue
            if advice.says_the_same_as(device.on_stream):
                return Outcome.UNCHANGED
            with contextlib.suppress(ConflictError):  # another checker was faster: look again
                await self._publish(device, advice, headers)
                return Outcome.PUBLISHED
        raise TransientError(f"{device.subject}: its newest advice keeps changing")

    async def _look(self, device: _Device) -> None:
        """Read what the stream holds of the device: another checker may have been at work."""
        subject = device.subject
        firmware = EventSubject(subject.tenant, subject.device, Kind.FIRMWARE)
        facts = await self._store.newest_of(firmware)
        if facts.event is not None and facts.sequence > device.facts_sequence:
            _remember_facts(device, StoredEvent(facts.event, facts.sequence))
        _remember_newest(device, await self._store.newest_of(subject))

    async def _publish(
        self, device: _Device, advice: Advice, headers: Mapping[str, str] | None
    ) -> None:
        slot, observed_after = self._slot(device)
        event = Event(
            slot_unix_ms=slot,
            observed_after_slot_ms=observed_after,
            firmware_advice=advice.to_message(),
        )
        # Until the answer is there it is unknown what the stream holds.
        device.stream_known = False
        sequence = await self._store.publish(
            device.subject, event, device.on_stream_sequence, headers
        )
        device.stream_known = True
        device.on_stream = advice
        device.on_stream_sequence = sequence
        device.last_slot_ms = slot
        self._metrics.published.labels(advice.judgement.label).inc()

    def _slot(self, device: _Device) -> tuple[int, int]:
        """The advice's slot and the milliseconds from it until now.

        The slot of the event it answers; when advice was given for that event before, the
        present time: (device, kind, slot) identifies an event, so it is never used twice.
        """
        now = round(self._wall_clock() * 1000)
        if device.facts_slot_ms > device.last_slot_ms:
            return device.facts_slot_ms, min(max(0, now - device.facts_slot_ms), _MAX_UINT32)
        return max(now, device.last_slot_ms + 1), 0

    def _drop_forgotten(self, devices: dict[DeviceId, _Device]) -> None:
        oldest = self._wall_clock() * 1000 - self._forget_ms
        for device in [d for d in devices.values() if d.facts_slot_ms < oldest]:
            del devices[device.subject.device]

    def _all_devices(self) -> Iterator[_Device]:
        return itertools.chain.from_iterable(devices.values() for devices in self._tenants.values())

    def _count_devices(self) -> None:
        self._metrics.devices.set(sum(map(len, self._tenants.values())))


def _device_of(stored: StoredEvent) -> _Device:
    subject = stored.decoded.subject
    return _Device(
        subject=EventSubject(subject.tenant, subject.device, Kind.FIRMWARE_ADVICE),
        facts=FirmwareFacts.of(stored.decoded.event.firmware),
        facts_sequence=stored.sequence,
        facts_slot_ms=stored.decoded.event.slot_unix_ms,
    )


def _remember_facts(device: _Device, stored: StoredEvent) -> None:
    device.facts = FirmwareFacts.of(stored.decoded.event.firmware)
    device.facts_sequence = stored.sequence
    device.facts_slot_ms = stored.decoded.event.slot_unix_ms


def _remember_newest(device: _Device, newest: Newest) -> None:
    device.stream_known = True
    device.on_stream_sequence = newest.sequence
    device.on_stream = None
    if newest.event is not None:
        device.on_stream = Advice.of(newest.event.event.firmware_advice)
        device.last_slot_ms = max(device.last_slot_ms, newest.event.event.slot_unix_ms)
