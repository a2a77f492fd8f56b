"""One event in the gateway's memory, rendered once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import override

import orjson
from opentelemetry.context import Context

from fleet_contracts.codec import decode
from fleet_contracts.subjects import DeviceId, Kind, TenantId
from fleet_contracts.view import event_view
from fleet_gateway.frames import event_frame, frame_data
from fleet_gateway.positions import Mark, render_mark


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as the broker gives it. `published_unix` in seconds, the broker's clock."""

    subject: str
    payload: bytes
    seq: int
    published_unix: float
    headers: Mapping[str, str] | None = None


class Trace:
    """The producer's trace of a sampled event; the first delivery takes it, no other."""

    def __init__(self, parent: Context) -> None:
        self._parent: Context | None = parent

    def take(self) -> Context | None:
        """The parent context, once."""
        parent, self._parent = self._parent, None
        return parent


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """An event with its place in the stream. `mark` and `frame` are shared by all clients."""

    tenant: TenantId
    device: DeviceId
    kind: Kind
    seq: int
    epoch: str
    mark: bytes
    frame: bytes
    published_unix: float
    trace: Trace | None = None

    @property
    def data(self) -> bytes:
        """The event's JSON."""
        return frame_data(self.kind, self.frame)

    @property
    def size_bytes(self) -> int:
        """What the entry holds in memory, its own objects included."""
        return len(self.frame) + len(self.mark) + _OBJECTS_BYTES

    @override
    def __repr__(self) -> str:
        return f"Entry({self.tenant}.{self.device}.{self.kind.value}#{self.seq})"


# The entry, its two bytes objects and its places in the ring's lists, measured with
# sys.getsizeof on CPython 3.13.
_OBJECTS_BYTES = 280


def render_entry(message: RawMessage, epoch: str, parent: Context | None = None) -> Entry:
    """Decode and render one message; raises RejectedEventError when it is not a valid event."""
    decoded = decode(message.subject, message.payload)
    subject = decoded.subject
    return Entry(
        tenant=subject.tenant,
        device=subject.device,
        kind=subject.kind,
        seq=message.seq,
        epoch=epoch,
        mark=render_mark(subject.tenant, Mark(message.seq, epoch)),
        frame=event_frame(subject.kind, orjson.dumps(event_view(decoded))),
        published_unix=message.published_unix,
        trace=Trace(parent) if parent is not None else None,
    )
