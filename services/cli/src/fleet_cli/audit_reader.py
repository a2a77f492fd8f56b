"""Reads what `routerfleet verify` compares: streams, tables, and the simulator's ledger.

The tables are read first, in one snapshot; then each stream: what the position there has
passed is in the stream's past whatever is published and stored meanwhile. The ledger comes
last, so that the routers can only have answered more than was seen recorded.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import httpx
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from fleet_cli.account_reader import counts_of, read_content, read_stored_keys
from fleet_cli.accounting import EventKey, StreamContent
from fleet_cli.audit import (
    Finding,
    Lineage,
    Rows,
    StreamAudit,
    StreamFacts,
    audit,
    audit_gone,
    compare_polls,
)
from fleet_cli.database import Position, ReadModel
from fleet_cli.retention import SHORTEST_DAYS, WORDS, kept_since_ms, surely_kept_since_ms
from fleet_common.broker import created_at
from fleet_common.errors import TransientError
from fleet_common.tenant_streams import tenants_with_streams
from fleet_contracts.subjects import Kind, TenantId, stream_name

_SHORTEST_RETENTION: Final = timedelta(days=SHORTEST_DAYS)


@dataclass(frozen=True, slots=True)
class PollLedger:
    """The simulator's side: polls answered since it started, and those found recorded."""

    answered: int
    recorded: int

    @property
    def not_recorded(self) -> int:
        """Answered, but never published: in flight now, or lost with a poller that was killed."""
        return max(0, self.answered - self.recorded)


@dataclass(frozen=True, slots=True)
class Simulator:
    """Where a simulator's ledger is, and since when it counts."""

    ledger_url: str
    started: datetime


@dataclass(frozen=True, slots=True)
class Audits:
    """Everything that was found. `unread`: what could not be reached, and so was not compared."""

    streams: Mapping[str, StreamAudit]
    gone: Mapping[str, Sequence[Finding]]
    """By stream that has a position but is not there."""
    polls: PollLedger | None
    poll_findings: Sequence[Finding]
    notes: Sequence[str]

    @property
    def unaccounted(self) -> int:
        """Over everything."""
        findings = [*self.poll_findings, *(one for part in self.gone.values() for one in part)]
        return sum(one.unaccounted for one in self.streams.values()) + sum(
            finding.count for finding in findings
        )


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where all is read, and when."""

    js: JetStreamContext
    model: ReadModel
    now: datetime


@dataclass(frozen=True, slots=True)
class _Tables:
    """One tenant's, from the snapshot."""

    lineages: tuple[Lineage, ...]
    rows: Rows
    aging: bool
    """Whether rows can have been dropped by age yet."""
    answered: Mapping[str, int]
    notes: Sequence[str]


def _utc_now() -> datetime:
    return datetime.now(UTC)


async def read_audits(
    client: Client,
    js: JetStreamContext,
    model: ReadModel,
    simulator: Simulator | None,
    wall_clock: Callable[[], datetime] = _utc_now,
) -> Audits:
    """Read and compare every tenant's stream and tables.

    Raises TransientError or nats errors when a part that is there cannot be read.
    """
    sources = _Sources(js, model, wall_clock())
    since = simulator.started if simulator is not None else None
    # Held open: keys and counts are of one moment, however long the streams take to read.
    async with model.snapshot():
        positions = await model.positions()
        tenants = await tenants_with_streams(client) | {TenantId(one.tenant) for one in positions}
        streams: dict[str, StreamAudit] = {}
        gone: dict[str, Sequence[Finding]] = {}
        recorded: dict[str, int] = {}
        notes: list[str] = []
        for tenant in sorted(tenants):
            name = stream_name(tenant)
            tables = await _tables(sources, tenant, positions, since)
            notes += tables.notes
            info = await _info(js, name)
            if info is None:
                gone[name] = audit_gone(tables.lineages, tables.rows)
                content = StreamContent()
            else:
                facts = await _facts(sources, tenant, info, tables)
                streams[name] = audit(facts)
                content = facts.content
            for device, count in _recorded(tables, content, since).items():
                recorded[f"{tenant}/{device}"] = count
    polls, findings, unread = await _compare_with_ledger(simulator, recorded)
    return Audits(streams, gone, polls, findings, [*notes, *unread])


async def _info(js: JetStreamContext, stream: str) -> StreamInfo | None:
    try:
        return await js.stream_info(stream)
    except NotFoundError:
        return None


async def _tables(
    sources: _Sources, tenant: TenantId, positions: Sequence[Position], since: datetime | None
) -> _Tables:
    model = sources.model
    stream = stream_name(tenant)
    own = [one for one in positions if one.stream == stream]
    lost = await model.lost_ranges(stream)
    rejected = await model.rejected_by_position(stream)
    lineages = tuple(
        Lineage(
            created=one.created,
            generation=one.generation,
            counts=counts_of([one], stream, one.created),
            lost=lost.get((one.created, one.generation), []),
            rejected=rejected.get((one.created, one.generation), set()),
        )
        for one in own
    )
    aging = not all(_young(one.created, sources.now) for one in own)
    found, notes = await _count_rows(model, tenant, stream, aging=aging) if own else (0, ())
    rows = Rows(counted=sum(one.rows_stored for one in own), found=found)
    answered = {} if since is None or not own else await model.answered_polls(tenant, since)
    return _Tables(lineages, rows, aging, answered, notes)


async def _count_rows(
    model: ReadModel, tenant: TenantId, stream: str, *, aging: bool
) -> tuple[int | None, Sequence[str]]:
    """The rows and what to say of them; they are many, so only where their number decides."""
    if aging:
        why = f"the stream is older than {SHORTEST_DAYS} d, some may have been dropped by age"
        return None, (f"{stream}: rows not counted: {why}",)
    found = await model.sample_rows(tenant)
    return found, () if found is not None else (f"{stream}: rows not counted: too many",)


def _young(created: str, now: datetime) -> bool:
    """Whether all that a stream ever held is younger than the shortest retention."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return False
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return now - moment < _SHORTEST_RETENTION


async def _facts(
    sources: _Sources, tenant: TenantId, info: StreamInfo, tables: _Tables
) -> StreamFacts:
    state = info.state
    content = await read_content(sources.js, tenant, state.first_seq, state.last_seq)
    after = await _info(sources.js, stream_name(tenant))
    if after is None or created_at(after) != created_at(info):
        raise TransientError(f"stream {stream_name(tenant)} was made anew while it was read")
    stored_keys = await read_stored_keys(sources.model, tenant, content)
    missing = content.keys.keys() - stored_keys if tables.aging else set[EventKey]()
    return StreamFacts(
        created=created_at(info),
        first=state.first_seq,
        last=state.last_seq,
        first_after=after.state.first_seq,
        lineages=tables.lineages,
        content=content,
        stored_keys=stored_keys,
        rows=tables.rows,
        kept_since_ms=await _kept_since_ms(sources, tenant, missing),
    )


async def _kept_since_ms(
    sources: _Sources, tenant: TenantId, missing: AbstractSet[EventKey]
) -> dict[Kind, int]:
    """Of the kinds that lack rows which may have been dropped by age."""
    model, now = sources.model, sources.now
    surely = surely_kept_since_ms(now)
    kinds = {kind for _, kind, slot_ms in missing if kind in WORDS and slot_ms < surely}
    asked = await model.retention_days(tenant) if kinds else {}
    return {
        kind: kept_since_ms(now, asked.get(WORDS[kind]), await model.oldest_slot_ms(tenant, kind))
        for kind in kinds
    }


def _recorded(tables: _Tables, content: StreamContent, since: datetime | None) -> Mapping[str, int]:
    """By device, polls recorded as answered: stored ones, and those the writer has not reached."""
    if since is None:
        return {}
    passed = max((one.counts.sequences_to for one in tables.lineages), default=0)
    begin = since.timestamp() * 1000
    recorded = dict(tables.answered)
    for (device, sequence), observed_ms in content.answered.items():
        if sequence > passed and observed_ms >= begin:
            recorded[device] = recorded.get(device, 0) + 1
    return recorded


async def _compare_with_ledger(
    simulator: Simulator | None, recorded: Mapping[str, int]
) -> tuple[PollLedger | None, list[Finding], list[str]]:
    if simulator is None:
        return None, [], []
    try:
        async with httpx.AsyncClient(timeout=10) as client:
            response = await client.get(simulator.ledger_url)
            response.raise_for_status()
            body = cast("dict[str, Any]", response.json())
            answered = {name: int(one["polls"]) for name, one in body["devices"].items()}
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return None, [], [f"the simulator's ledger was not compared: {error}"]
    ledger = PollLedger(sum(answered.values()), sum(recorded.values()))
    return ledger, compare_polls(answered, recorded), []


async def reachable(js: JetStreamContext) -> None:
    """Raises TransientError when JetStream does not answer."""
    try:
        await js.account_info()
    except (NatsError, TimeoutError) as error:
        raise TransientError(f"JetStream does not answer: {error}") from error
