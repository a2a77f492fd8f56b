"""Whether a client of the event stream saw each event once and in order, or was told: pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

_SHOWN = 5


@dataclass
class TenantOrder:
    """One tenant's stream as the client saw it. Sequences are the stream's."""

    begin: int
    """What the first snapshot covered; every event after it must come."""
    position: int
    seen: set[int] = field(default_factory=set[int])
    told: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Gaps (first, last) that a reset announced."""


class OrderCheck:
    """Takes what a client gets and keeps what was wrong in `problems`."""

    def __init__(self) -> None:
        self.tenants: dict[str, TenantOrder] = {}
        self.problems: list[str] = []
        self.twice = 0
        self.resets = 0
        self._announced: set[str] = set()

    @property
    def told(self) -> int:
        """Events in whose place a reset came."""
        gaps = (gap for order in self.tenants.values() for gap in order.told)
        return sum(last - first + 1 for first, last in gaps)

    def connected(self) -> None:
        """A new connection: a reset whose snapshot did not come whole was none."""
        self._announced.clear()

    def event(self, tenant: str, sequence: int) -> None:
        """An event of a tenant with its stream sequence."""
        order = self.tenants.get(tenant)
        if order is None:
            self.problems.append(f"{tenant}: event {sequence} before any snapshot")
            return
        if sequence in order.seen:
            self.twice += 1
            self.problems.append(f"{tenant}: event {sequence} twice")
        elif sequence <= order.position:
            self.problems.append(f"{tenant}: event {sequence} after {order.position}")
        order.seen.add(sequence)
        order.position = max(order.position, sequence)

    def reset(self, tenant: str) -> None:
        """The client is told that its position cannot be resumed."""
        self.resets += 1
        self._announced.add(tenant)

    def snapshot(self, tenants: Collection[str], marks: Mapping[str, int]) -> None:
        """A snapshot of these tenants ended; `marks` are their sequences in it."""
        for tenant in tenants:
            mark = marks[tenant]
            order = self.tenants.get(tenant)
            if order is None:
                self.tenants[tenant] = TenantOrder(mark, mark)
                continue
            if tenant not in self._announced:
                self.problems.append(f"{tenant}: a snapshot at {mark} without a reset")
            order.told.append((order.position + 1, mark))
            order.position = max(order.position, mark)
        self._announced.difference_update(tenants)

    def missing(self, tenant: str, sequences: Collection[int]) -> int:
        """Of the stream's sequences, how many the client neither saw nor was told of."""
        order = self.tenants.get(tenant)
        if order is None:
            self.problems.append(f"{tenant}: never seen")
            return len(sequences)
        missing = [
            sequence
            for sequence in sequences
            if sequence > order.begin
            and sequence not in order.seen
            and not any(first <= sequence <= last for first, last in order.told)
        ]
        if missing:
            shown = ", ".join(map(str, missing[:_SHOWN]))
            self.problems.append(f"{tenant}: {len(missing)} events not seen: {shown} …")
        return len(missing)
