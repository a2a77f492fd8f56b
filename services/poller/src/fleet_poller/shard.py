"""All devices of this process: started at their slots, changed while running, stopped in time."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from fleet_common.inventory import DeviceRecord
from fleet_common.liveness import RejectedLogins
from fleet_contracts.subjects import DeviceId
from fleet_poller.device import Device, PollContext
from fleet_poller.load import DeviceCounts, Load, LoadMeter
from fleet_poller.schedule import PassedOver, Schedule, latest_start_ms
from fleet_poller.wake import Wake

_log = logging.getLogger(__name__)

_LONGEST_SLEEP_SECONDS: Final = 1.0
"""The wall clock may be set: look at it at least so often."""
OVERDUE_SECONDS: Final = 30.0
"""A slot this late, or a poll this far over its deadlines, means that work has stopped."""
_LOG_OUT_SECONDS: Final = 1.0
_LAST_POLL_SECONDS: Final = 1.0
"""How long a poll in flight keeps a device that goes to another shard."""
_SHOWN: Final = 200
_SECRETS_TOLD: Final = 10


class Shard:
    """Runs the polls of the devices it is given. One task a poll, none for a waiting device."""

    def __init__(self, context: PollContext) -> None:
        self._context = context
        self._schedule = Schedule()
        self._devices: dict[DeviceId, Device] = {}
        self._polls: dict[asyncio.Task[None], float] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._last_finished = 0.0
        self._missed_seen = 0
        self._stopping = False
        self._wake = Wake()
        self._meter = LoadMeter(cores=context.cores)
        gauge = context.metrics.devices
        gauge.labels("assigned").set_function(lambda: len(self._devices))
        gauge.labels("connected").set_function(self._connected)
        gauge.labels("held_back").set_function(self._held_back)
        gauge.labels("up").set_function(lambda: self._counts().up)
        gauge.labels("down").set_function(lambda: self._counts().down)
        context.metrics.slot_lag.set_function(self._lag)

    def devices(self) -> list[Device]:
        """Those that are this shard's now."""
        return list(self._devices.values())

    # --- what the assignments use ----------------------------------------------------

    def assign(
        self,
        records: Mapping[DeviceId, DeviceRecord],
        done: Mapping[DeviceId, int] | None = None,
    ) -> None:
        """Make the devices be exactly these: added, changed and removed while running.

        `done` has the slots (Unix milliseconds) in which others polled new ones last: they
        go on with the next, and slots that nobody polled are counted and said.
        """
        self.release(self._devices.keys() - records.keys())
        now_ms = self._context.clock.now_ms()
        passed: list[PassedOver] = []
        for device_id, record in records.items():
            known = self._devices.get(device_id)
            if known is None and done is not None and device_id in done:
                self._devices[device_id] = Device(record, self._context)
                over = self._schedule.take_over(
                    device_id, round(record.cadence.interval * 1000), now_ms, done[device_id]
                )
                if over is not None:
                    passed.append(over)
            elif known is None or known.record != record:
                self._put(device_id, record, known, now_ms)
        if passed:
            self._tell_passed_over(passed)
        self._wake.ring()

    def release(self, device_ids: AbstractSet[DeviceId]) -> None:
        """Let go of these; a poll in flight may finish, for a second, before the log-out."""
        for device_id in list(device_ids):
            self._schedule.remove(device_id)
            device = self._devices.pop(device_id)
            self._close_later(self._finish(device))

    async def released(self, timeout_seconds: float) -> bool:
        """Whether, within the time, every session that was let go is closed."""
        if self._closing:
            await asyncio.wait(set(self._closing), timeout=timeout_seconds)
        return not self._closing

    def _tell_passed_over(self, passed: Sequence[PassedOver]) -> None:
        slots = sum(one.slots for one in passed)
        self._context.metrics.slots_missed.labels("unowned").inc(slots)
        shown = {one.device: [one.slots, one.first_ms, one.last_ms] for one in passed[:_SHOWN]}
        _log.warning(
            "slots passed before these devices were taken over; nobody polled them",
            extra={"slots": slots, "devices": len(passed), "slots_first_last": shown},
        )

    def _put(
        self, device_id: DeviceId, record: DeviceRecord, known: Device | None, now_ms: int
    ) -> None:
        if known is not None and _same_router(known.record, record):
            known.record = record
        else:
            self._devices[device_id] = Device(record, self._context)
        interval_ms = round(record.cadence.interval * 1000)
        self._schedule.add(device_id, interval_ms, now_ms)
        if known is not None and known is not self._devices[device_id]:
            self._replace(known, interval_ms, now_ms)

    def _replace(self, device: Device, interval_ms: int, now_ms: int) -> None:
        """End the session with a router that is another one now; no poll is finished for it.

        The slot of a poll that is cut off by that is polled at the new one, or counted.
        """
        cut_off_ms: int | None = None
        if device.polling is None or device.polling.done():
            deadline = asyncio.get_running_loop().time() + _LOG_OUT_SECONDS
            self._close_later(device.close(deadline))
        else:
            cut_off_ms = device.polling_ms
            device.polling.cancel()
            device.drop_session()
        slots = [slot for slot in (cut_off_ms, device.queued_ms) if slot is not None]
        if not slots:
            return
        same_slots = round(device.record.cadence.interval * 1000) == interval_ms
        if same_slots and now_ms - slots[-1] <= latest_start_ms(interval_ms):
            self._start_queued(device.record.device_id, slots.pop())
        self._context.metrics.slots_missed.labels("replaced").inc(len(slots))

    async def _finish(self, device: Device) -> None:
        """Let a poll in flight end (its slot is ours, nobody else's), then log out."""
        if device.polling is not None:
            await asyncio.wait({device.polling}, timeout=_LAST_POLL_SECONDS)
        if device.polling is not None:
            device.polling.cancel()
            device.drop_session()
            return
        await device.close(asyncio.get_running_loop().time() + _LOG_OUT_SECONDS)

    def _close_later(self, closing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(closing, name="log-out")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # --- running ---------------------------------------------------------------------

    async def run(self) -> None:
        """Start polls at their slots until cancelled. Raises what a poll raised: a bug."""
        while not self._stopping:
            now_ms = self._context.clock.now_ms()
            for device_id, slot_ms in self._schedule.pop_due(now_ms):
                self._start(device_id, slot_ms)
            self._count_missed()
            if self._failure is not None:
                raise self._failure
            next_ms = self._schedule.next_ms()
            wait = _LONGEST_SLEEP_SECONDS
            if next_ms is not None:
                wait = min(wait, (next_ms - self._context.clock.now_ms()) / 1000)
            await self._wake.wait(wait)

    def _start(self, device_id: DeviceId, slot_ms: int) -> None:
        device = self._devices[device_id]
        if device.polling is not None:
            if device.catching_up and device.queued_ms is None:
                device.queued_ms = slot_ms
            else:
                self._context.metrics.slots_missed.labels("busy").inc()
            return
        if not device.may_poll(slot_ms):
            self._context.metrics.slots_held_back.inc()
            return
        late_ms = self._context.clock.now_ms() - slot_ms
        device.catching_up = late_ms > device.record.cadence.interval * 1000 / 2
        task = asyncio.create_task(self._poll(device, slot_ms))
        device.polling, device.polling_ms = task, slot_ms
        self._polls[task] = asyncio.get_running_loop().time()

        def done(task: asyncio.Task[None]) -> None:
            device.polling = device.polling_ms = None
            del self._polls[task]
            self._last_finished = asyncio.get_running_loop().time()
            queued_ms, device.queued_ms = device.queued_ms, None
            if queued_ms is not None and self._devices.get(device_id) is device:
                self._start_queued(device_id, queued_ms)
            if not task.cancelled() and (error := task.exception()) is not None:
                self._failure = error
                self._wake.ring()

        task.add_done_callback(done)

    def _start_queued(self, device_id: DeviceId, slot_ms: int) -> None:
        """A slot that came while an earlier one was caught up with, or whose poll was cut off."""
        if not self._stopping and self._failure is None:
            self._start(device_id, slot_ms)

    async def _poll(self, device: Device, slot_ms: int) -> None:
        # The first slot of a new device may be one just past: that is no lag of ours.
        if device.up is not None:
            self._meter.started((self._context.clock.now_ms() - slot_ms) / 1000)
        await device.poll(slot_ms)

    def _count_missed(self) -> None:
        missed = self._schedule.missed - self._missed_seen
        if missed:
            self._missed_seen = self._schedule.missed
            self._context.metrics.slots_missed.labels("late").inc(missed)

    # --- stopping --------------------------------------------------------------------

    async def stop(self, poll_seconds: float) -> None:
        """Start nothing more, let polls in flight finish (at most so long), log out everywhere."""
        self._stopping = True
        self._wake.ring()
        if self._polls:
            await asyncio.wait(self._polls, timeout=poll_seconds)
        for task in list(self._polls):
            task.cancel()
        if self._polls:
            _log.warning("polls cut off at the stop", extra={"polls": len(self._polls)})
            await asyncio.wait(self._polls, timeout=_LOG_OUT_SECONDS)
        deadline = asyncio.get_running_loop().time() + _LOG_OUT_SECONDS
        closing = [device.close(deadline) for device in self._devices.values()]
        await asyncio.gather(*closing, *self._closing)

    def why_unwell(self) -> str | None:
        """None, or in which way polling has stopped."""
        now = asyncio.get_running_loop().time()
        timeouts = self._context.timeouts
        # A lost idle connection is opened anew within a poll: both phases may come twice.
        limit = 2 * (2 * timeouts.connect + timeouts.poll) + OVERDUE_SECONDS
        # Many may wait for a place to log in; as long as some finish, work goes on.
        waiting = now - max(self._last_finished, min(self._polls.values(), default=now))
        if self._polls and waiting > limit:
            return f"no poll finished for {waiting:.0f} s (limit {limit:g} s)"
        late = self._overdue_seconds()
        if not self._stopping and late > OVERDUE_SECONDS:
            return f"a slot is {late:.0f} s overdue (limit {OVERDUE_SECONDS:g} s)"
        return None

    def figures(self) -> tuple[Load, DeviceCounts, tuple[RejectedLogins, ...]]:
        """For the beat: asked once a second."""
        return self._meter.load(self._overdue_seconds()), self._counts(), self._rejected()

    def _lag(self) -> float:
        return self._meter.lag(self._overdue_seconds()) or 0.0

    def _overdue_seconds(self) -> float:
        next_ms = self._schedule.next_ms()
        if next_ms is None:
            return 0.0
        return max(0.0, (self._context.clock.now_ms() - next_ms) / 1000)

    def _counts(self) -> DeviceCounts:
        states = [device.up for device in self._devices.values()]
        up = states.count(True)
        return DeviceCounts(len(states), up, len(states) - up - states.count(None))

    def _rejected(self) -> tuple[RejectedLogins, ...]:
        """By Secret the devices that do not let its user in; the Secrets with most of them."""
        found: dict[str, list[str]] = {}
        for device in self._devices.values():
            if device.rejected:
                found.setdefault(device.record.credentials_secret, []).append(device.record.device)
        most = sorted(found.items(), key=lambda one: (-len(one[1]), one[0]))[:_SECRETS_TOLD]
        return tuple(
            RejectedLogins(secret=secret, devices=len(devices), first=min(devices))
            for secret, devices in most
        )

    def _connected(self) -> int:
        return sum(device.connected for device in self._devices.values())

    def _held_back(self) -> int:
        return sum(device.breaker.open for device in self._devices.values())


def _same_router(before: DeviceRecord, after: DeviceRecord) -> bool:
    """Whether the session may go on: only the cadence differs."""
    return before.model_copy(update={"cadence": after.cadence}) == after
