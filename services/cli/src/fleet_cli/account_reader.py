"""Reads what the accounting compares: the broker's streams, the writer's tables."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nats.js import JetStreamContext

from fleet_cli.accounting import (
    NOTHING_STORED,
    EventKey,
    Readings,
    StoredCounts,
    StreamAccount,
    StreamContent,
    StreamEnds,
    balance,
)
from fleet_cli.database import Position, ReadModel
from fleet_cli.stream_reader import StreamMessage, read_range
from fleet_common.broker import created_at
from fleet_contracts.codec import RejectedEventError, decode
from fleet_contracts.gen.fleet.v1.events_pb2 import REACHABILITY_UP
from fleet_contracts.subjects import Kind, TenantId, stream_name, tenant_subjects


@dataclass(frozen=True, slots=True)
class StreamMark:
    """Where a stream stood when the run began."""

    created: str
    last_sequence: int
    stored: StoredCounts


@dataclass(frozen=True, slots=True)
class StreamReport:
    """The balance of a tenant's stream, and what was read for it."""

    account: StreamAccount
    content: StreamContent


def counts_of(positions: Sequence[Position], stream: str, created: str) -> StoredCounts:
    """The writer's counts of the stream's present life; NOTHING_STORED before its first."""
    lives = [one for one in positions if one.stream == stream and one.created == created]
    if not lives:
        return NOTHING_STORED
    last = max(lives, key=lambda one: one.generation)
    return StoredCounts(
        sequences_from=last.first_sequence,
        sequences_to=last.last_sequence,
        stored=last.events_stored,
        rejected=last.events_rejected,
        lost=last.events_lost,
        rows=last.rows_stored,
        rows_duplicate=last.rows_duplicate,
        rows_expired=last.rows_expired,
    )


async def mark_stream(
    js: JetStreamContext, positions: Sequence[Position], tenant: TenantId
) -> StreamMark:
    """Where a tenant's stream stands now. Raises nats errors."""
    info = await js.stream_info(stream_name(tenant))
    created = created_at(info)
    return StreamMark(
        created, info.state.last_seq, counts_of(positions, stream_name(tenant), created)
    )


async def report_stream(
    js: JetStreamContext,
    model: ReadModel,
    tenant: TenantId,
    mark: StreamMark,
    acknowledged: Mapping[Kind, int],
) -> StreamReport:
    """Read a quiet stream and its rows and compare them.

    Raises TransientError or nats errors when one of them cannot be read.
    """
    stream = stream_name(tenant)
    info = await js.stream_info(stream)
    created = created_at(info)
    if created != mark.created:
        # Made anew during the run: nothing of it is older.
        mark = StreamMark(created, 0, NOTHING_STORED)
    ends = StreamEnds(mark.last_sequence, info.state.first_seq, info.state.last_seq)
    content = await read_content(js, tenant, ends.run_first, ends.last)
    readings = Readings(
        ends=ends,
        before=mark.stored,
        after=counts_of(await model.positions(), stream, created),
        content=content,
        stored_keys=await read_stored_keys(model, tenant, content),
        rejected_sequences=await model.rejected_sequences(stream),
        acknowledged=acknowledged,
    )
    return StreamReport(balance(readings), content)


async def read_content(
    js: JetStreamContext, tenant: TenantId, first: int, last: int
) -> StreamContent:
    """What the stream holds between two sequences, both included."""
    content = StreamContent()
    messages = read_range(js, stream_name(tenant), tenant_subjects(tenant), first, last)
    async with contextlib.aclosing(messages):
        async for message in messages:
            _add(content, message)
    return content


def _add(content: StreamContent, message: StreamMessage) -> None:
    content.saw(message.sequence)
    try:
        decoded = decode(message.subject, message.payload)
    except RejectedEventError:
        content.rejectable.add(message.sequence)
        return
    subject, event = decoded.subject, decoded.event
    has_row = subject.kind is not Kind.INTERFACES or bool(event.interfaces.ids)
    key: EventKey = (subject.device, subject.kind, event.slot_unix_ms)
    content.add(key, message.sequence, has_row=has_row)
    if subject.kind is Kind.STATUS and event.status.reachability == REACHABILITY_UP:
        observed_ms = event.slot_unix_ms + event.observed_after_slot_ms
        content.answered[subject.device, message.sequence] = observed_ms


async def read_stored_keys(
    model: ReadModel, tenant: TenantId, content: StreamContent
) -> set[EventKey]:
    """The keys in the tables, of the kinds and times that the content has."""
    keys: set[EventKey] = set()
    for kind in Kind:
        slots = [slot for _, known, slot in content.keys if known is kind]
        if slots:
            found = await model.stored_keys(tenant, kind, min(slots))
            keys.update((device, kind, slot) for device, slot in found)
    return keys
