"""Events as large as the incident's. Pure.

The incident's product sent JSON; ours sends protobuf, a little more than half as large.
To fill the broker as it did, the naive run sends the same five kinds with every poll, each
filled up with a field that no reader knows, until the mean stored message has the
incident's size. Everything else about the events is unchanged: the writer stores them.
"""

from typing import Final

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_contracts.codec import encode
from fleet_contracts.subjects import Kind
from fleet_poller.events import OutgoingEvent

MEMORY_RECORD_BYTES: Final = 16
"""What nats-server counts for a message in a memory stream besides its own bytes."""
_HEADER: Final = len("NATS/1.0\r\nNats-Msg-Id: \r\n\r\n")
_FILLER_TAG: Final = b"\xfa\xff\x3f"
"""Field 131071 of Event, length-delimited: unknown to every reader, so skipped."""
_SMALLEST_FILLER: Final = len(_FILLER_TAG) + 2
_TWO_BYTES: Final = 0x80


def stored_bytes(subject: str, payload: bytes, message_id: str) -> int:
    """What the message takes in a memory stream."""
    return len(subject) + len(payload) + len(message_id) + _HEADER + MEMORY_RECORD_BYTES


def filler(size: int) -> bytes:
    """Exactly `size` bytes that a protobuf parser skips; nothing below the least possible."""
    if size < _SMALLEST_FILLER:
        return b""
    length = size - len(_FILLER_TAG) - 2
    # Two bytes of length even for a short one: the size is what matters.
    return _FILLER_TAG + bytes((length & 0x7F | _TWO_BYTES, length >> 7)) + bytes(length)


class Padder:
    """Fills events up so that their mean stored size is `mean_bytes`.

    What a large event is above the mean, the next ones are filled up less.
    """

    def __init__(self, mean_bytes: float) -> None:
        self._mean_bytes = mean_bytes
        self._balance = 0.0

    def pad(self, subject: str, payload: bytes, message_id: str) -> bytes:
        """The payload, possibly longer."""
        own = stored_bytes(subject, payload, message_id)
        self._balance += self._mean_bytes
        more = filler(min(int(self._balance) - own, 0x3FFF))
        self._balance -= own + len(more)
        return payload + more


def five_events(events: list[OutgoingEvent], slot_ms: int) -> list[OutgoingEvent]:
    """The poll's events, with an empty `wireless` for a router without radios.

    The incident's product sent five messages whatever the router had.
    """
    kinds = {event.kind for event in events}
    if len(kinds) <= 1 or Kind.WIRELESS in kinds:
        return events
    empty = pb.Event(
        slot_unix_ms=slot_ms,
        wireless=pb.Wireless(package=pb.WIRELESS_PACKAGE_WIRELESS),
    )
    return [*events, OutgoingEvent(Kind.WIRELESS, encode(empty))]
