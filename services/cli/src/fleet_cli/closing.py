"""The end of a run: everything is stopped in order, then every event is accounted for.

Pollers first, so that the streams fall quiet; then the firmware-checker, the other
producer; the writer and the event stream follow to the streams' ends and are compared
with them; only then do they, the broker and the database end.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from nats.errors import Error as NatsError

from fleet_cli.account_reader import StreamMark, StreamReport, counts_of, report_stream
from fleet_cli.environment import FIRMWARE, GATEWAY, SIMULATOR, WRITER
from fleet_cli.figures import FigureReader, Figures
from fleet_cli.fleets import active_devices
from fleet_cli.foundation import Foundation
from fleet_cli.nats_process import NAME as NATS
from fleet_cli.postgres_process import NAME as POSTGRES
from fleet_cli.shards import Shards
from fleet_cli.sse_client import SseClient
from fleet_cli.status import count_devices
from fleet_cli.summary import Summary, unaccounted
from fleet_cli.supervisor import Supervisor
from fleet_common.broker import close
from fleet_common.errors import TransientError
from fleet_common.fleet_spec import RouterFleet
from fleet_contracts.subjects import Kind, TenantId, stream_name

_DRAIN_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What the run knows when it ends. `begin` is of the monotonic clock."""

    fleets: Sequence[RouterFleet]
    marks: Mapping[TenantId, StreamMark]
    begin: float
    began: datetime
    all_known_seconds: float | None
    warm: bool


@dataclass(slots=True)
class _Findings:
    """What was read at the end."""

    figures: Figures = field(default_factory=Figures)
    reports: dict[TenantId, StreamReport] = field(default_factory=dict[TenantId, StreamReport])
    sse_missing: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    """By tenant the sequences that our client neither got nor was told of."""
    sse_told: int = 0
    duplicate_keys: int = 0
    simulator_polls: int | None = None
    unread: list[str] = field(default_factory=list[str])


class Closing:
    """Ends one run."""

    def __init__(
        self,
        foundation: Foundation,
        supervisor: Supervisor,
        figures: FigureReader,
        shards: Shards,
        sse: SseClient,
        *,
        say: Callable[[str], None],
    ) -> None:
        self._foundation = foundation
        self._supervisor = supervisor
        self._figures = figures
        self._shards = shards
        self._sse = sse
        self._say = say

    async def close(self, record: RunRecord) -> Summary:
        """Stop everything and say what became of every event. Takes a minute at most."""
        ran_seconds = time.monotonic() - record.begin
        restarts = self._supervisor.restarts
        tenants = list(record.marks)
        findings = _Findings()
        self._say("stopping: pollers, then what reads the streams, then the servers")
        findings.figures = await self._figures.read(tenants, {})
        await self._shards.stop_all()
        await self._supervisor.stop([FIRMWARE])
        try:
            await self._drain(tenants)
            await self._account(record, findings)
        except (TransientError, NatsError, TimeoutError) as error:
            findings.unread.append(f"could not be read at the end: {error}")
        await self._supervisor.stop([GATEWAY, WRITER, SIMULATOR])
        await self._figures.close()
        await close(self._foundation.client)
        await self._supervisor.stop([NATS])
        await self._supervisor.stop([POSTGRES])
        return self._summary(record, findings, ran_seconds, restarts)

    async def _drain(self, tenants: Sequence[TenantId]) -> None:
        """Until the writer and our own client have all; what is left then is unaccounted for."""
        ends = {
            tenant: (await self._foundation.js.stream_info(stream_name(tenant))).state.last_seq
            for tenant in tenants
        }
        deadline = time.monotonic() + _DRAIN_SECONDS
        while time.monotonic() < deadline:
            reading = await self._figures.read(tenants, {})
            stored = {one.stream: one.last_sequence for one in reading.positions or []}
            behind = [t for t, last in ends.items() if stored.get(stream_name(t), 0) < last]
            unseen = [t for t, last in ends.items() if self._sse.counts.seen.get(t, last) < last]
            if reading.positions is not None and not behind and not unseen:
                return
            await asyncio.sleep(_LOOK_SECONDS)
        self._say(f"not everything was stored and streamed within {_DRAIN_SECONDS:g} s")

    async def _account(self, record: RunRecord, findings: _Findings) -> None:
        model = await self._figures.model()
        slots: list[int] = []
        for tenant, mark in record.marks.items():
            acknowledged = self._figures.acknowledged(tenant)
            report = await report_stream(self._foundation.js, model, tenant, mark, acknowledged)
            findings.reports[tenant] = report
            self._compare_with_client(tenant, report, findings)
            slots += [slot for _, _, slot in report.content.keys]
        if slots:
            findings.duplicate_keys = await model.duplicate_keys(min(slots))
        if self._foundation.simulator is not None:
            port = self._foundation.simulator.admin_port
            findings.simulator_polls = await self._figures.simulator_polls(port)
        last = await self._figures.read(list(record.marks), {})
        findings.figures.streams, findings.figures.positions = last.streams, last.positions

    def _compare_with_client(
        self, tenant: TenantId, report: StreamReport, findings: _Findings
    ) -> None:
        counts = self._sse.counts
        # Where it never got as far as this tenant's snapshot, all of it is missing.
        after = counts.live_after.get(tenant, 0)
        unseen = sorted(
            sequence
            for (device, kind, slot), sequence in report.content.keys.items()
            if sequence > after and (tenant, device, kind.value, slot) not in counts.keys
        )
        missing = [sequence for sequence in unseen if not counts.was_told(tenant, sequence)]
        findings.sse_told += len(unseen) - len(missing)
        if missing:
            findings.sse_missing[tenant] = missing

    def _summary(
        self, record: RunRecord, findings: _Findings, ran_seconds: float, restarts: int
    ) -> Summary:
        figures, reports, sse = findings.figures, findings.reports, self._sse
        accounts = {stream_name(tenant): one.account for tenant, one in reports.items()}
        dropped = self._figures.dropped()
        missing, problems = unaccounted(accounts, dropped, findings.sse_missing)
        devices = count_devices(figures, active_devices(record.fleets), record.began)
        positions = {
            stream_name(tenant): counts_of(
                figures.positions or [], stream_name(tenant), record.marks[tenant].created
            )
            for tenant in record.marks
        }
        absorbed = sum(
            positions[stream_name(tenant)].rows_duplicate - mark.stored.rows_duplicate
            for tenant, mark in record.marks.items()
        )
        twice = sum(account.twice_in_stream for account in accounts.values())
        first = sse.first_device_at
        return Summary(
            devices_total=len(active_devices(record.fleets)),
            devices_up=devices.up if devices is not None else 0,
            tenants=len(record.fleets),
            # Each may miss the last polls: the counters end with their processes, the streams
            # lack what was discarded or done twice.
            polls=max(
                self._figures.polls(),
                sum(one.content.by_kind[Kind.STATUS] for one in reports.values()),
            ),
            polls_answered=findings.simulator_polls,
            events=sum(account.published for account in accounts.values()),
            events_stored=sum(account.stored for account in accounts.values()),
            rows=sum(one.rows for one in positions.values()),
            stream_bytes=sum(one.bytes for one in figures.streams),
            stream_max_bytes=sum(one.max_bytes for one in figures.streams),
            sse_events=sse.counts.events,
            sse_missing=sum(map(len, findings.sse_missing.values())),
            sse_told=findings.sse_told,
            sse_resets=sse.counts.resets,
            sse_gaps=sse.counts.told,
            unaccounted=missing + len(findings.unread),
            duplicates=findings.duplicate_keys + twice + sse.counts.twice,
            duplicates_absorbed=absorbed,
            rejected=sum(account.rejected for account in accounts.values()),
            lost=sum(account.lost for account in accounts.values()),
            dropped_by_pollers=dropped,
            restarts=restarts,
            seconds=round(ran_seconds, 1),
            first_device_seconds=None if first is None else round(first - record.begin, 1),
            all_known_seconds=None
            if record.all_known_seconds is None
            else round(record.all_known_seconds, 1),
            warm_start=record.warm,
            accounts=accounts,
            problems=[*problems, *findings.unread],
        )
