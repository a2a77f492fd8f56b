"""What is kept of a device for its metrics: the newest event of each kind, as published.

The encoded events are the smallest form there is (a few hundred bytes each), and a metric
made from them can never say anything else than what is on the stream.
"""

from collections.abc import Collection, Iterable

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_contracts.subjects import Kind
from fleet_poller.events import OutgoingEvent
from fleet_poller.exposition.description import Description


class HeldEvents:
    """The newest event of each wanted kind; of the inventory what a scrape has made of it."""

    __slots__ = ("_description", "_wanted", "last_seen_ms", "payloads")

    def __init__(self, wanted: frozenset[Kind]) -> None:
        self._wanted = wanted
        self._description: Description | None = None
        self.payloads: dict[Kind, bytes] = {}
        self.last_seen_ms = 0
        """When the newest successful reading was complete, Unix milliseconds; 0: never."""

    def read(self, events: Iterable[OutgoingEvent], due: Collection[Kind], seen_ms: int) -> None:
        """A poll succeeded. A kind that was due and has no event is not there any more."""
        payloads, wanted = self.payloads, self._wanted
        if not wanted:
            return
        self.last_seen_ms = seen_ms
        for kind in due:
            payloads.pop(kind, None)
        for kind, payload in events:
            if kind in wanted:
                payloads[kind] = payload

    def failed(self, event: OutgoingEvent) -> None:
        """A poll failed. What was read before stays, and is not shown until the next success.

        Nothing outdated is shown then: what is older than its cadence is read anew by the
        first poll that succeeds.
        """
        if self._wanted:
            self.payloads[event.kind] = event.payload

    def description(self, labels: str) -> Description | None:
        """Of the newest inventory; None before the first. `labels` are the device's, always."""
        payload = self.payloads.pop(Kind.INVENTORY, None)
        if payload is not None:
            self._description = Description(labels, pb.Event.FromString(payload).inventory)
        return self._description
