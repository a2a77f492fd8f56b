"""When each device is polled. Pure: time comes in, due slots come out.

A device's slots are the multiples of its interval plus a phase hashed from its name:
the fleet spreads over the interval, every process gives a device the same slots, and
a slot is what identifies an event. All times are Unix milliseconds.
"""

import heapq
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple

from fleet_contracts.subjects import DeviceId

_JUST_PAST_MS: Final = 10_000
_LONG_PAST_MS: Final = 30_000


class DueSlot(NamedTuple):
    """A device to poll now, and the scheduled time it is for."""

    device: DeviceId
    slot_ms: int


def phase_ms(device: DeviceId, interval_ms: int) -> int:
    """The device's place within the interval, the same in every process and version."""
    return int.from_bytes(blake2b(device.encode(), digest_size=8).digest()) % interval_ms


def latest_slot(now_ms: int, interval_ms: int, phase: int) -> int:
    """The last slot at or before `now_ms`."""
    return (now_ms - phase) // interval_ms * interval_ms + phase


def latest_start_ms(interval_ms: int) -> int:
    """How long after its time a slot may still be polled.

    Half the interval (later it is nearly the next one), but always 10 s, so that a short
    pause costs none, and never more than 30 s: a reading of now under an old slot would
    be a lie.
    """
    return max(_JUST_PAST_MS, min(interval_ms // 2, _LONG_PAST_MS))


class PassedOver(NamedTuple):
    """Slots of a device that nobody polled: how many, the first and the last of them."""

    device: DeviceId
    slots: int
    first_ms: int
    last_ms: int


@dataclass(slots=True)
class _Entry:
    """A scheduled device; `next_ms` is its one entry in the heap that counts."""

    interval_ms: int
    phase: int
    next_ms: int


class Schedule:
    """The next slot of every device, in a heap.

    A slot is given out at most once while the clock moves forward, never later than
    `latest_start_ms`, and what is passed over is counted in `missed`.
    """

    def __init__(self) -> None:
        self._entries: dict[DeviceId, _Entry] = {}
        self._heap: list[tuple[int, DeviceId]] = []
        self._last_now_ms = 0
        self.missed = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, device: DeviceId, interval_ms: int, now_ms: int) -> None:
        """Schedule a device, or change its interval.

        A new device's first slot is the one just past, when that was at most 10 s and half
        an interval ago: a slot that falls into the handover from another shard is not
        skipped (done twice, it is the same event).
        """
        known = self._entries.get(device)
        if known is not None and known.interval_ms == interval_ms:
            return
        phase = phase_ms(device, interval_ms)
        first = latest_slot(now_ms, interval_ms, phase)
        if known is not None or now_ms - first > min(_JUST_PAST_MS, interval_ms // 2):
            first += interval_ms
        entry = _Entry(interval_ms, phase, first)
        self._entries[device] = entry
        heapq.heappush(self._heap, (first, device))

    def take_over(
        self, device: DeviceId, interval_ms: int, now_ms: int, done_ms: int
    ) -> PassedOver | None:
        """Schedule a device that another shard polled last in the slot `done_ms`.

        Goes on with the slot after it. Of slots that are past only the newest is still
        polled, until `latest_start_ms`; returns the others, which nobody polled.
        """
        phase = phase_ms(device, interval_ms)
        latest = latest_slot(now_ms, interval_ms, phase)
        # A clock behind ours may have done a slot that we think is to come, not many.
        wanted = min(latest_slot(done_ms, interval_ms, phase), latest + interval_ms) + interval_ms
        first = wanted
        if wanted <= latest:
            pollable = now_ms - latest <= latest_start_ms(interval_ms)
            first = latest if pollable else latest + interval_ms
        self._entries[device] = _Entry(interval_ms, phase, first)
        heapq.heappush(self._heap, (first, device))
        count = (first - wanted) // interval_ms
        return PassedOver(device, count, wanted, first - interval_ms) if count > 0 else None

    def remove(self, device: DeviceId) -> None:
        """Forget a device; its entry in the heap is passed over later."""
        self._entries.pop(device, None)

    def pop_due(self, now_ms: int) -> list[DueSlot]:
        """The slots that are due, each device at most once, earliest first."""
        if now_ms < self._last_now_ms:
            self._clock_went_back(now_ms)
        self._last_now_ms = now_ms
        due: list[DueSlot] = []
        heap = self._heap
        while heap and heap[0][0] <= now_ms:
            slot_ms, device = heapq.heappop(heap)
            entry = self._entries.get(device)
            if entry is None or entry.next_ms != slot_ms:
                continue
            latest = latest_slot(now_ms, entry.interval_ms, entry.phase)
            self.missed += (latest - slot_ms) // entry.interval_ms
            if now_ms - latest <= latest_start_ms(entry.interval_ms):
                due.append(DueSlot(device, latest))
            else:
                self.missed += 1
            entry.next_ms = latest + entry.interval_ms
            heapq.heappush(heap, (entry.next_ms, device))
        return due

    def next_ms(self) -> int | None:
        """When the next slot is due; None without devices."""
        heap = self._heap
        while heap:
            slot_ms, device = heap[0]
            entry = self._entries.get(device)
            if entry is not None and entry.next_ms == slot_ms:
                return slot_ms
            heapq.heappop(heap)
        return None

    def _clock_went_back(self, now_ms: int) -> None:
        """Wait out a small step; after a large one start anew rather than fall silent."""
        for device, entry in self._entries.items():
            if entry.next_ms - now_ms > 2 * entry.interval_ms:
                entry.next_ms = latest_slot(now_ms, entry.interval_ms, entry.phase)
                entry.next_ms += entry.interval_ms
                heapq.heappush(self._heap, (entry.next_ms, device))
