"""One tenant's events in memory: a bounded ring of the newest, and the state folded from all.

The ring is contiguous: it holds every valid event after `base` up to `head`. What lies at or
before `base` is still on the stream, or gone.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from fleet_contracts.subjects import TenantId
from fleet_gateway.entries import Entry
from fleet_gateway.positions import ANY_EPOCH, Mark
from fleet_gateway.state import FleetState


@dataclass(frozen=True, slots=True)
class RingLimits:
    """Bounds of one tenant's ring; the oldest entries go first."""

    max_bytes: int
    max_entries: int


class Standing(Enum):
    """What a client's mark means to this log now."""

    IN_RING = auto()
    """All that came after it is in memory."""
    BEFORE_RING = auto()
    """What came after it must be read from the stream."""
    AHEAD = auto()
    """The stream is further than this log has read."""
    OTHER_EPOCH = auto()
    """The stream it belongs to no longer exists."""


class NotContiguousError(RuntimeError):
    """An entry that does not follow the head: a bug or a hole, never to be stored."""


class TenantLog:
    """The ring and the state of one tenant. Not thread safe; all calls are synchronous."""

    def __init__(self, tenant: TenantId, limits: RingLimits) -> None:
        self.tenant = tenant
        self.state = FleetState(tenant)
        self.epoch = ANY_EPOCH
        self.base = 0
        self.head = 0
        self.ring_bytes = 0
        self._limits = limits
        self._entries: deque[Entry] = deque()

    def restart(self, epoch: str, head: int, state: Iterable[Entry]) -> None:
        """Begin anew at `head` with the latest event of each (device, kind) and an empty ring."""
        self.state = FleetState(self.tenant)
        for entry in state:
            self.state.apply(entry)
        self.epoch = epoch
        self.base = self.head = head
        self._entries.clear()
        self.ring_bytes = 0

    def append(self, entry: Entry) -> None:
        """Take the next event; raises NotContiguousError unless its sequence is head + 1."""
        self.skip(entry.seq)
        self._entries.append(entry)
        self.ring_bytes += entry.size_bytes
        self.state.apply(entry)
        self._trim()

    def skip(self, seq: int) -> None:
        """Pass over the next sequence, which holds no valid event."""
        if seq != self.head + 1:
            raise NotContiguousError(f"{self.tenant}: sequence {seq} after {self.head}")
        self.head = seq

    def _trim(self) -> None:
        entries, limits = self._entries, self._limits
        while entries and (self.ring_bytes > limits.max_bytes or len(entries) > limits.max_entries):
            oldest = entries.popleft()
            self.ring_bytes -= oldest.size_bytes
            self.base = oldest.seq

    @property
    def mark(self) -> Mark:
        """The head, as a client would hold it."""
        return Mark(self.head, self.epoch)

    @property
    def ring_entries(self) -> int:
        """How many events are in memory besides the state."""
        return len(self._entries)

    def standing(self, mark: Mark) -> Standing:
        """What a client at `mark` needs."""
        if mark.epoch not in {ANY_EPOCH, self.epoch}:
            return Standing.OTHER_EPOCH
        if mark.seq > self.head:
            return Standing.AHEAD
        return Standing.IN_RING if mark.seq >= self.base else Standing.BEFORE_RING

    def since(self, seq: int) -> Sequence[Entry]:
        """All events after `seq`, oldest first; only for a mark whose standing is IN_RING."""
        if not self.base <= seq <= self.head:
            raise NotContiguousError(f"{self.tenant}: {seq} is not in {self.base}..{self.head}")
        newest_first: list[Entry] = []
        for entry in reversed(self._entries):
            if entry.seq <= seq:
                break
            newest_first.append(entry)
        newest_first.reverse()
        return newest_first
