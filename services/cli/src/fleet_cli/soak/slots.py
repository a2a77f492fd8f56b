"""The virtual day: which device is due when. Pure; all times are Unix milliseconds."""

from collections.abc import Sequence
from typing import NamedTuple

from fleet_contracts.subjects import DeviceId
from fleet_poller.schedule import latest_slot, phase_ms


class Due(NamedTuple):
    """A slot, and the number of the device it belongs to."""

    slot_ms: int
    device: int


def slots_between(
    devices: Sequence[DeviceId], interval_ms: int, begin_ms: int, end_ms: int
) -> list[Due]:
    """Every slot in [begin, end) in the order of time: the poller's own phases."""
    due: list[Due] = []
    for number, device in enumerate(devices):
        phase = phase_ms(device, interval_ms)
        first = latest_slot(begin_ms - 1, interval_ms, phase) + interval_ms
        due.extend(Due(slot, number) for slot in range(first, end_ms, interval_ms))
    return sorted(due)


class VirtualClock:
    """The soak's time; only the soak moves it. It is a fleet_poller.clock.Clock, too."""

    def __init__(self, start_ms: int) -> None:
        self.start_ms = start_ms
        self._now_ms = start_ms

    def now_ms(self) -> int:
        """Now."""
        return self._now_ms

    def seconds(self) -> float:
        """Now in Unix seconds, as the simulated world takes it."""
        return self._now_ms / 1000

    def move_to(self, now_ms: int) -> None:
        """Go on; never back."""
        self._now_ms = max(self._now_ms, now_ms)

    @property
    def hours(self) -> float:
        """Simulated hours since the start."""
        return (self._now_ms - self.start_ms) / 3_600_000
