"""Messages to a batch ready for one transaction: rows, folded states, positions, losses.

One pass; at the first event of an unknown device or sensor, the rest of the batch is
looked through for others, so that all get their keys together. What cannot be decoded
becomes a rejected event.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from fleet_contracts.codec import DecodedEvent, RejectedEventError, decode
from fleet_contracts.gen.fleet.v1.events_pb2 import Event
from fleet_contracts.subjects import Kind, TenantId
from fleet_writer.directory import DeviceEntry, DeviceKey, Directory
from fleet_writer.fold import DeviceState, fold
from fleet_writer.partitions import Partition
from fleet_writer.positions import Position
from fleet_writer.rows import Rows, RowSet, joined
from fleet_writer.sensors import SensorKey, UnknownSensorError

_REASON_CLASS_LENGTH: Final = 60
_YIELD_EVERY: Final = 50
"""Messages after which other tasks get their turn.

The transaction of the batch before is under way meanwhile and needs a turn for each
statement's answer and each piece its COPYs' socket has room for. With too few, the database
waits for this batch and then this one for the database: with batches of 5,000 messages, a
tenth of the time and more at 200, not at all at 50.
"""


class Message(NamedTuple):
    """One message as it came from the stream. Times are Unix nanoseconds."""

    position: Position
    sequence: int
    published_ns: int
    subject: str
    payload: bytes
    reply: bytes
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class LostRange:
    """Sequences that were never delivered; both ends included."""

    from_sequence: int
    to_sequence: int
    after_ns: int | None
    before_ns: int | None
    reason: str

    @property
    def messages(self) -> int:
        """How many."""
        return self.to_sequence - self.from_sequence + 1


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """A message set aside with its reason."""

    message: Message
    reason: str

    @property
    def reason_class(self) -> str:
        """The bounded part of the reason: the field it names, not the value."""
        return self.reason.partition(":")[0][:_REASON_CLASS_LENGTH]


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """A device's state as it is stored and as it is to be."""

    device_id: int
    before: DeviceState
    after: DeviceState


@dataclass(slots=True)
class StreamPart:
    """What one stream adds to a batch."""

    position: Position
    rows: RowSet
    from_sequence: int
    """The stored position this batch continues; the store checks it."""
    to_sequence: int
    last_ns: int | None
    last_reply: bytes = b""
    events: int = 0
    rejected: list[RejectedEvent] = field(default_factory=list[RejectedEvent])
    lost: list[LostRange] = field(default_factory=list[LostRange])
    trims: list[Event] = field(default_factory=list[Event])
    """What the stream says of itself."""

    def add_without_device(self, message: Message, outcome: DecodedEvent | str) -> None:
        """Set a message aside for the reason given, or take a stream's own event."""
        if isinstance(outcome, str):
            self.rejected.append(RejectedEvent(message, outcome))
            return
        self.trims.append(outcome.event)
        self.events += 1


@dataclass(slots=True)
class Batch:
    """One transaction's worth."""

    parts: dict[int, StreamPart] = field(default_factory=dict[int, StreamPart])
    """By position id."""
    devices: list[DeviceChange] = field(default_factory=list[DeviceChange])
    """Each device once."""
    traceparents: list[str] = field(default_factory=list[str])
    messages: int = 0

    def by_partition(self) -> dict[Partition, Rows]:
        """The rows of all streams."""
        together: dict[Partition, list[Rows]] = {}
        for part in self.parts.values():
            for partition, rows in part.rows.by_partition.items():
                together.setdefault(partition, []).append(rows)
        return {partition: joined(parts) for partition, parts in together.items()}


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing is left in the stream up to and including `sequence`."""

    position: Position
    sequence: int


class Lookups(Protocol):
    """The questions that need the database or the broker; all are rare."""

    async def ensure_devices(self, keys: set[DeviceKey]) -> None:
        """Afterwards the directory knows these devices."""
        ...

    async def ensure_sensors(self, keys: set[SensorKey]) -> None:
        """Afterwards the directory knows these sensors."""
        ...

    async def gap_reason(self, position: Position, to_sequence: int) -> str:
        """Why nothing was delivered up to `to_sequence`; raises when that is not certain."""
        ...


class Preparer:
    """Makes batches for one session.

    `condemned` maps (position id, sequence) of messages the database refused to the
    reason it gave.
    """

    def __init__(
        self,
        directory: Directory,
        lookups: Lookups,
        *,
        future_slot_seconds: float,
        condemned: Mapping[tuple[int, int], str],
    ) -> None:
        self._directory = directory
        self._lookups = lookups
        self._future_ms = future_slot_seconds * 1000
        self._condemned = condemned

    async def prepare(
        self, items: Sequence[Message | Skip], oldest_days: Callable[[TenantId], Mapping[str, int]]
    ) -> Batch:
        """Make a batch of items in stream order; moves each position's `prepared_sequence`."""
        batch = Batch()
        latest_ms = time.time() * 1000 + self._future_ms
        touched: dict[int, tuple[DeviceEntry, DeviceState]] = {}
        devices = self._directory.devices
        for number, item in enumerate(items):
            if number % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
            position = item.position
            part = batch.parts.get(position.id) or self._part(batch, position, oldest_days)
            if item.sequence <= position.prepared_sequence:
                continue  # delivered a second time
            if isinstance(item, Skip):
                await self._lose(part, item.sequence, None)
                continue
            if item.sequence > position.prepared_sequence + 1:
                await self._lose(part, item.sequence - 1, item.published_ns)
            position.prepared_sequence = part.to_sequence = item.sequence
            position.prepared_at_ns = part.last_ns = item.published_ns
            part.last_reply = item.reply
            batch.messages += 1
            if item.traceparent is not None:
                batch.traceparents.append(item.traceparent)
            outcome = self._decode(item, latest_ms)
            if isinstance(outcome, str) or outcome.subject.kind is Kind.TRIM:
                part.add_without_device(item, outcome)
                continue
            subject = outcome.subject
            entry = devices.get((subject.tenant, subject.device))
            if entry is None:
                await self._learn(items[number:], latest_ms)
                entry = devices[subject.tenant, subject.device]
            try:
                part.rows.add(entry.id, outcome)
            except UnknownSensorError:
                await self._learn(items[number:], latest_ms)
                part.rows.add(entry.id, outcome)
            part.events += 1
            state = fold(entry.state, outcome)
            if state is not entry.state:
                if entry.id not in touched:
                    touched[entry.id] = (entry, entry.state)
                entry.state = state
        # The entries' states go on with the next batch while this one is stored.
        batch.devices = [
            DeviceChange(entry.id, before, entry.state) for entry, before in touched.values()
        ]
        return batch

    def _part(
        self, batch: Batch, position: Position, oldest_days: Callable[[TenantId], Mapping[str, int]]
    ) -> StreamPart:
        sequence = position.prepared_sequence
        part = StreamPart(
            position,
            RowSet(self._directory.sensors, oldest_days(position.tenant)),
            sequence,
            sequence,
            position.prepared_at_ns,
        )
        batch.parts[position.id] = part
        return part

    async def _learn(self, items: Sequence[Message | Skip], latest_ms: float) -> None:
        """Get keys for every unknown device and sensor among the items, in one go."""
        devices: set[DeviceKey] = set()
        sensors: set[SensorKey] = set()
        for item in items:
            outcome = "" if isinstance(item, Skip) else self._decode(item, latest_ms)
            if isinstance(outcome, str) or outcome.subject.kind is Kind.TRIM:
                continue
            key = (outcome.subject.tenant, outcome.subject.device)
            if key not in self._directory.devices:
                devices.add(key)
            if outcome.subject.kind is Kind.HEALTH:
                sensors.update(self._directory.sensors.unknown(outcome.event.health))
        if devices:
            await self._lookups.ensure_devices(devices)
        if sensors:
            await self._lookups.ensure_sensors(sensors)

    def _decode(self, message: Message, latest_ms: float) -> DecodedEvent | str:
        if self._condemned:
            reason = self._condemned.get((message.position.id, message.sequence))
            if reason is not None:
                return reason
        try:
            decoded = decode(message.subject, message.payload)
        except RejectedEventError as error:
            return error.reason
        if decoded.subject.tenant != message.position.tenant:
            return f"subject: another tenant than its stream's, {message.position.tenant}"
        if decoded.event.slot_unix_ms > latest_ms:
            return f"slot_unix_ms: {decoded.event.slot_unix_ms} is in the future"
        return decoded

    async def _lose(self, part: StreamPart, to_sequence: int, before_ns: int | None) -> None:
        position = part.position
        reason = await self._lookups.gap_reason(position, to_sequence)
        lost = LostRange(
            position.prepared_sequence + 1, to_sequence, part.last_ns, before_ns, reason
        )
        part.lost.append(lost)
        position.prepared_sequence = part.to_sequence = to_sequence
