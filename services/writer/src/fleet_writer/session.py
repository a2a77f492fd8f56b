"""A session: one database connection, the streams it owns, and what is in flight.

Three tasks: own (take streams over, notice those that ended), prepare (messages to a
batch), commit (one transaction a batch, while the next is being prepared).
Any database error ends the session: everything in memory is dropped, the connection
closed and its locks with it, and the next session starts from the stored positions.
There is no other way to recover, so it is used every day.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from nats.js import JetStreamContext
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from fleet_common.errors import FleetError
from fleet_common.health import Progress
from fleet_common.raw_client import RawClient
from fleet_common.tracing import Tracing
from fleet_contracts.subjects import TenantId, stream_name
from fleet_writer.batch import Batch, Message, Preparer, Skip
from fleet_writer.database import Connection
from fleet_writer.directory import DeviceKey, Directory
from fleet_writer.errors import BrokerAwayError, PassedOverError, RefusedRowsError
from fleet_writer.faults import Isolation, RejectionWindow
from fleet_writer.metrics import WriterMetrics
from fleet_writer.partitions import Partitions
from fleet_writer.positions import Position, open_position, release, try_own
from fleet_writer.retention import Retention
from fleet_writer.sensors import SensorKey
from fleet_writer.settings import WriterSettings
from fleet_writer.source import Mailbox, Source
from fleet_writer.store import Committed, Store
from fleet_writer.streams import fleet_streams, next_sequence, published_at, stream_state
from fleet_writer.waiting import wait_for_any, wait_for_stop
from fleet_writer.watch import Watch

_log = logging.getLogger(__name__)

_ENDED_CHECK_SECONDS: Final = 0.1
_IDLE_SECONDS: Final = 5.0
_SMALLEST_SHARE: Final = 100


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What outlives a session."""

    settings: WriterSettings
    client: RawClient
    js: JetStreamContext
    partitions: Partitions
    retention: Retention
    metrics: WriterMetrics
    tracing: Tracing
    watch: Watch
    progress: Progress
    isolation: Isolation
    rejections: RejectionWindow
    database_well: Callable[[], None]
    """Called when the database took a batch."""
    stop: asyncio.Event


class Session:
    """Runs until `stop`, or until an error; then it is over."""

    def __init__(self, around: Surroundings, connection: Connection) -> None:
        self._around = around
        self._connection = connection
        self._directory = Directory()
        self._mailbox = Mailbox(around.settings.writer.batch_messages)
        self._sources: dict[TenantId, Source] = {}
        self._tasks: dict[TenantId, asyncio.Task[None]] = {}
        self._batches: asyncio.Queue[Batch | None] = asyncio.Queue(maxsize=1)
        self._foreign: set[TenantId] = set()
        self._tried_all = False
        self._turn = 0
        self._preparer = Preparer(
            self._directory,
            self,
            future_slot_seconds=around.settings.writer.future_slot_seconds,
            condemned=around.isolation.condemned,
        )
        self._store = Store(
            connection,
            around.partitions,
            self._directory.tenant_of,
            rejected_payload_bytes=around.settings.writer.rejected_payload_bytes,
        )

    async def run(self) -> None:
        """Own, prepare, commit. Raises the FleetError that ended it, or a group of bugs."""
        expected: BaseExceptionGroup[FleetError] | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._own(tasks), name="own")
                tasks.create_task(self._prepare(), name="prepare")
                tasks.create_task(self._commit(), name="commit")
        except* FleetError as group:
            expected = group
        finally:
            self._around.watch.session_ended()
            self._around.metrics.owned.set(0)
        if expected is not None:
            raise _first(expected)

    async def _own(self, tasks: asyncio.TaskGroup) -> None:
        writer = self._around.settings.writer
        stop = self._around.stop
        while not stop.is_set():
            try:
                await self._take_over(tasks)
            except BrokerAwayError as error:
                _log.warning("cannot look for streams; trying again", extra={"reason": str(error)})
            pause = writer.takeover_seconds if self._foreign else writer.discovery_seconds
            await wait_for_stop(stop, min(pause, _ENDED_CHECK_SECONDS) if self._ended() else pause)
        for task in self._tasks.values():
            task.cancel()

    def _ended(self) -> list[TenantId]:
        return [tenant for tenant, source in self._sources.items() if source.ended.is_set()]

    async def _take_over(self, tasks: asyncio.TaskGroup) -> None:
        await self._drop_ended()
        async with self._connection.lock:
            # With nothing to write, this is how a lost connection, and so a lost lock, shows.
            await self._connection.execute("SELECT 1")
        settings = self._around.settings
        wanted = {tenant: stream_name(tenant) for tenant in settings.writer.tenant_ids}
        if not wanted:
            timeout = settings.nats.request_timeout_seconds
            wanted = await fleet_streams(self._around.client, timeout)
        foreign: set[TenantId] = set()
        tried_all = True
        for tenant, stream in wanted.items():
            if tenant in self._sources:
                continue
            async with self._connection.lock:
                owned = await try_own(self._connection, stream)
            if not owned:
                foreign.add(tenant)
            elif not await self._open_source(tasks, tenant, stream):
                tried_all = False
        if foreign != self._foreign:
            self._foreign = foreign
            if foreign:
                _log.info(
                    "standby: another writer holds these streams",
                    extra={"tenants": sorted(foreign)},
                )
        self._tried_all = self._tried_all or tried_all
        if self._tried_all:
            self._around.watch.owns(self._sources)
        self._around.metrics.standby.set(len(foreign))
        self._around.metrics.owned.set(len(self._sources))

    async def _open_source(self, tasks: asyncio.TaskGroup, tenant: TenantId, stream: str) -> bool:
        """Read a stream that is locked now; False when the broker says nothing of it.

        Its leader may be away while others have theirs: they are not kept waiting.
        """
        try:
            position = await self._position(tenant, stream)
        except BrokerAwayError as error:
            _log.warning(
                "cannot open a stream; trying again",
                extra={"stream": stream, "reason": str(error)},
            )
            await self._release(stream)
            return False
        if position is None:
            await self._release(stream)
            return True
        source = Source(
            self._around.client,
            self._around.js,
            position,
            self._mailbox,
            request_bytes=self._around.settings.writer.batch_bytes,
            timeout_seconds=self._around.settings.nats.request_timeout_seconds,
        )
        self._sources[tenant] = source
        self._share_buffer()
        self._tasks[tenant] = tasks.create_task(source.run(), name=f"source-{tenant}")
        _log.info(
            "writing a stream",
            extra={"stream": stream, "from_sequence": position.stored_sequence + 1},
        )
        return True

    async def _position(self, tenant: TenantId, stream: str) -> Position | None:
        """Where to go on, the tenant's devices loaded; None when there is no such stream."""
        around = self._around
        timeout = around.settings.nats.request_timeout_seconds
        published = partial(published_at, around.client, stream, timeout)
        state = await stream_state(around.js, stream)
        if state is None:
            return None
        async with self._connection.lock:
            tenant_key = await self._directory.load(self._connection, tenant)
            return await open_position(self._connection, tenant, tenant_key, state, published)

    async def _drop_ended(self) -> None:
        """Let go of streams that are gone, once what they delivered is stored."""
        for tenant in self._ended():
            source = self._sources[tenant]
            if source.buffer or source.position.prepared_sequence > source.position.stored_sequence:
                continue
            self._tasks.pop(tenant).cancel()
            del self._sources[tenant]
            self._share_buffer()
            await self._release(source.position.stream)
            _log.info(
                "the stream ended",
                extra={
                    "stream": source.position.stream,
                    "stored_sequence": source.position.stored_sequence,
                },
            )

    async def _release(self, stream: str) -> None:
        async with self._connection.lock:
            await release(self._connection, stream)

    def _share_buffer(self) -> None:
        share = self._around.settings.writer.buffer_messages // max(1, len(self._sources))
        for source in self._sources.values():
            source.limit = max(_SMALLEST_SHARE, share)

    async def _prepare(self) -> None:
        stop = self._around.stop
        while await self._mail_or_stop(stop):
            items = self._take()
            try:
                batch = await self._preparer.prepare(items, self._around.retention.oldest_days)
            except RefusedRowsError as error:
                ends = [(item.position.id, item.sequence) for item in items]
                self._around.isolation.blame(ends, len(items), str(error))
                raise
            await self._batches.put(batch)
        await self._batches.put(None)

    async def _mail_or_stop(self, stop: asyncio.Event) -> bool:
        """Wait until there is mail and it has lingered; False when it is time to stop."""
        mailbox = self._mailbox
        while not mailbox.some.is_set():
            if stop.is_set():
                return False
            await wait_for_any((mailbox.some, stop), _IDLE_SECONDS)
        if not stop.is_set():
            await wait_for_any((mailbox.full, stop), self._around.settings.writer.linger_seconds)
        # What is still in memory at the stop stays in the stream for the next start.
        return not stop.is_set()

    def _take(self) -> list[Message | Skip]:
        """A batch's items, a fair share of each stream; another one begins each time.

        A stream that is being isolated has a batch of one message to itself in its turn.
        """
        writer = self._around.settings.writer
        room, room_bytes = writer.batch_messages, writer.batch_bytes
        sources = [source for source in self._sources.values() if source.buffer]
        self._turn = (self._turn + 1) % max(1, len(sources))
        sources = sources[self._turn :] + sources[: self._turn]
        items: list[Message | Skip] = []
        for number, source in enumerate(sources):
            if self._around.isolation.isolating(source.position):
                if items:
                    continue
                items, _ = source.take(1, room_bytes)
                source.refill()
                break
            share = max(1, room // (len(sources) - number))
            taken, size = source.take(share, max(1, room_bytes // (len(sources) - number)))
            source.refill()
            items += taken
            room -= len(taken)
            room_bytes -= size
            if room <= 0 or room_bytes <= 0:
                break
        return items

    async def _commit(self) -> None:
        while (batch := await self._batches.get()) is not None:
            try:
                with self._around.tracing.span(
                    "write batch",
                    kind=SpanKind.CONSUMER,
                    links=self._links(batch),
                    attributes={"messages": batch.messages},
                ):
                    committed = await self._store.commit(batch)
            except RefusedRowsError as error:
                ends = [(part.position.id, part.to_sequence) for part in batch.parts.values()]
                self._around.isolation.blame(ends, batch.messages, str(error))
                raise
            self._acknowledge(batch)
            self._count(batch, committed)
            self._around.progress.beat()
            self._around.database_well()

    def _links(self, batch: Batch) -> list[Context]:
        parents = (
            self._around.tracing.parent({"traceparent": value}) for value in batch.traceparents
        )
        return [parent for parent in parents if parent is not None]

    def _acknowledge(self, batch: Batch) -> None:
        for part in batch.parts.values():
            source = self._sources.get(part.position.tenant)
            if source is not None and source.position is part.position:
                source.acknowledge(part.last_reply)

    def _count(self, batch: Batch, committed: Committed) -> None:
        metrics = self._around.metrics
        metrics.batches.labels("staging" if committed.staged else "copy").inc()
        metrics.commit_seconds.observe(committed.seconds)
        for table, rows in committed.rows_by_table.items():
            metrics.rows.labels(table).inc(rows)
        for table, rows in committed.duplicates_by_table.items():
            metrics.duplicates.labels(table).inc(rows)
        rejected = 0
        for part in batch.parts.values():
            tenant = part.position.tenant
            metrics.events.labels(tenant).inc(part.events)
            metrics.expired.labels(tenant).inc(part.rows.counts()[1])
            rejected += len(part.rejected)
            for event in part.rejected:
                metrics.rejected.labels(event.reason_class).inc()
            for lost in part.lost:
                metrics.lost.labels(tenant, lost.reason).inc(lost.messages)
                _log.warning(
                    "messages were gone before they were stored",
                    extra={
                        "stream": part.position.stream,
                        "from_sequence": lost.from_sequence,
                        "to_sequence": lost.to_sequence,
                        "reason": lost.reason,
                    },
                )
        self._around.rejections.add(batch.messages, rejected)

    async def ensure_devices(self, keys: set[DeviceKey]) -> None:
        """See batch.Lookups."""
        async with self._connection.lock:
            await self._directory.ensure_devices(self._connection, keys)

    async def ensure_sensors(self, keys: set[SensorKey]) -> None:
        """See batch.Lookups."""
        async with self._connection.lock:
            await self._directory.ensure_sensors(self._connection, keys)

    async def gap_reason(self, position: Position, to_sequence: int) -> str:
        """See batch.Lookups: `discarded`, `deleted`, or `unknown` when the stream is another one.

        A consumer's word alone makes no loss: right after a change of leader, one with a start
        sequence was seen to skip messages that the stream holds (three nats-servers 2.15).
        Raises PassedOverError then, and BrokerAwayError; either way the next session begins
        where this gap does.
        """
        js, stream = self._around.js, position.stream
        state = await stream_state(js, stream)
        if state is None or state.created != position.created:
            return "unknown"
        if state.first_sequence > to_sequence:
            return "discarded"
        start = max(position.prepared_sequence + 1, state.first_sequence)
        held = await next_sequence(js, stream, start)
        if held is not None and held <= to_sequence:
            raise PassedOverError(
                f"the broker delivered {stream} from {to_sequence + 1} on, but it holds {held} too"
            )
        return "deleted"


def _first(group: BaseExceptionGroup[FleetError]) -> FleetError:
    """The first of the errors, which made the other tasks end."""
    for error in group.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    raise ValueError("an exception group without exceptions")
