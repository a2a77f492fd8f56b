"""One SSE connection: it catches up by itself, then its channel feeds it.

    catching up ──join──▶ live ──part (a log began anew)──▶ catching up
         └───────────────── end(reason) ─────────────────────┘

While catching up the client reads state, ring and stream at its own pace, with back-pressure.
Live, it takes what comes or is cut.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from fleet_contracts.subjects import TenantId
from fleet_gateway.channel import render
from fleet_gateway.client_context import RESET_TEXT, ClientContext, Outlet, Resume, Send
from fleet_gateway.entries import Entry
from fleet_gateway.frames import control_frame, http_chunk, retry_frame
from fleet_gateway.log import Standing, TenantLog
from fleet_gateway.positions import Mark, Vector
from fleet_gateway.replay import UNAVAILABLE, ReplayFailedError
from fleet_gateway.selection import ChannelKey, coalesce

_PIECE_BYTES: Final = 64 * 1024
_AHEAD_SECONDS: Final = 3.0
_AHEAD_POLL_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 0.25
_MAX_ROUNDS: Final = 5
_BYE_SECONDS: Final = 3.0
_ABORTED: Final = frozenset({"slow", "stalled", "behind", "gone"})


class Client:
    """One connection. `allowed` gives a reason when its token no longer holds."""

    __slots__ = (
        "_allowed", "_context", "_drained", "_hub", "_lost", "_outlet", "_position",
        "_resuming", "_send", "_stalled_since", "_unreadable", "_wake", "_written",
        "ended", "key",
    )  # fmt: skip

    def __init__(
        self,
        context: ClientContext,
        key: ChannelKey,
        resume: Resume,
        outlet: Outlet,
        allowed: Callable[[], str | None],
    ) -> None:
        self.key = key
        self.ended: str | None = None
        self._context = context
        self._hub = context.hub
        self._position = dict(resume.marks)
        self._resuming = set(resume.marks)
        self._unreadable = resume.unreadable
        self._outlet = outlet
        self._allowed = allowed
        self._wake = asyncio.Event()
        self._lost = False
        self._send: Send | None = None
        self._written = 0
        self._drained = 0
        self._stalled_since: float | None = None

    async def serve(self, send: Send) -> None:
        """Run the response's body from its first byte to its last."""
        self._send = send
        if self.ended is None:  # the connection may be lost already
            self._hub.enter(self)
        try:
            await self._write(retry_frame(self._context.limits.retry_milliseconds))
            while self.ended is None:
                self._wake.clear()
                await self._catch_up()
                await self._wake.wait()
        finally:
            self.end("gone")
        await self._finish(send)

    async def _finish(self, send: Send) -> None:
        if self.ended not in _ABORTED:
            try:
                async with asyncio.timeout(_BYE_SECONDS):
                    await self._write(control_frame("bye", {"reason": self.ended}))
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
            except TimeoutError:
                self._outlet.abort()
            else:
                return
        # Returning earlier would look like an unfinished response to the server.
        while not self._lost:
            self._wake.clear()
            await self._wake.wait()

    # What the channel and the hub call.

    def deliver(self, chunk: bytes) -> None:
        """Write live bytes; a client too far behind is cut."""
        # Before the write: one chunk, however large, makes nobody slow.
        if self._outlet.buffered() > self._context.limits.max_backlog_bytes:
            self.end("slow")
            return
        self._outlet.write(chunk)
        self._written += len(chunk)

    def admit(self) -> bool:
        """Write what is in the rings after the position; from now on the channel delivers."""
        backlog = self._backlog()
        if backlog is None:
            self._wake.set()
            return False
        if backlog:
            self.deliver(http_chunk(self._render(backlog)))
        return self.ended is None

    def part(self, marks: Mapping[TenantId, Mark]) -> None:
        """Catch up again, from where the channel stood."""
        self._position.update(marks)
        self._wake.set()

    def end(self, reason: str) -> None:
        """Finish; the first reason stands. What must not wait for the client aborts it."""
        if self.ended is not None:
            return
        self.ended = reason
        self._context.metrics.ended.labels(reason).inc()
        self._hub.leave(self)
        self._wake.set()
        # A farewell behind a backlog would wait for a client that may never read it.
        if reason in _ABORTED or self._outlet.buffered() > _PIECE_BYTES:
            self._outlet.abort()

    def gone(self) -> None:
        """The connection is lost."""
        self._lost = True
        self.end("gone")
        self._wake.set()

    def sweep(self, now: float) -> None:
        """Cut a client that has taken nothing for too long, or whose token no longer holds."""
        reason = self._allowed()
        if reason is not None:
            self.end(reason)
            return
        buffered = self._outlet.buffered()
        if buffered > self._context.limits.max_backlog_bytes:
            self.end("slow")
            return
        drained = self._written - buffered
        if buffered == 0 or drained != self._drained:
            self._stalled_since = None
        elif self._stalled_since is None:
            self._stalled_since = now
        elif now - self._stalled_since > self._context.limits.stall_seconds:
            self.end("stalled")
        self._drained = drained

    # Catching up.

    async def _catch_up(self) -> None:
        for _ in range(_MAX_ROUNDS):
            snapshots = await self._unresumable()
            # A first visitor of a place without fleets learns that, too.
            if snapshots or not self._position:
                await self._snapshot(snapshots)
            while (backlog := self._backlog()) is not None:
                if self.ended is not None:
                    return
                if sum(len(entry.frame) for entry in backlog) <= _PIECE_BYTES:
                    self.key = replace(self.key, carried=self._carried())
                    self._hub.join(self)
                    return
                await self._write_entries(backlog)
            if self.ended is not None:
                return
        self.end("behind")

    async def _unresumable(self) -> dict[TenantId, str | None]:
        """Bring every covered tenant into its ring; those that cannot be need a snapshot.

        The value is the reason for a reset, None for a tenant that is new to this client.
        """
        snapshots: dict[TenantId, str | None] = {}
        for log in list(self._hub.covered(self.key.selection)):
            mark = self._position.get(log.tenant)
            if mark is None:
                snapshots[log.tenant] = "unreadable" if self._unreadable else None
                continue
            reason = await self._reach_ring(log, mark)
            if reason is not None:
                snapshots[log.tenant] = reason
        self._unreadable = False
        return snapshots

    async def _reach_ring(self, log: TenantLog, mark: Mark) -> str | None:
        """Why it cannot be reached, or None: then it is, or this client has ended."""
        standing = log.standing(mark)
        if standing is Standing.AHEAD:
            standing = await _wait_while_ahead(log, mark)
        if standing is Standing.AHEAD:
            return await self._judge_ahead(log, mark)
        if standing is Standing.OTHER_EPOCH:
            return "recreated"
        self._position[log.tenant] = Mark(mark.seq, log.epoch)
        source = "ring"
        if standing is Standing.BEFORE_RING:
            source = "stream"
            reason = await self._replay(log)
            if reason is not None:
                return reason
        if log.tenant in self._resuming:
            self._resuming.discard(log.tenant)
            self._context.metrics.resumes.labels(source).inc()
        return None

    async def _judge_ahead(self, log: TenantLog, mark: Mark) -> str | None:
        """Only the stream itself can tell a wrong position from a gateway that is behind."""
        try:
            reaches = await self._context.replayer.reaches(log.tenant, log.epoch, mark.seq)
        except ReplayFailedError as error:
            if error.reason != UNAVAILABLE:
                return error.reason
            reaches = True
        if not reaches:
            return "ahead"
        self.end(UNAVAILABLE)
        return None

    async def _replay(self, log: TenantLog) -> str | None:
        epoch = log.epoch
        if log.base - self._position[log.tenant].seq > self._context.limits.replay_max_events:
            return "too_far"
        failing_since: float | None = None
        while self.ended is None:
            seq = self._position[log.tenant].seq
            if log.epoch != epoch:
                return "recreated"
            if seq >= log.base:
                break
            try:
                batch = await self._context.replayer.read(log.tenant, epoch, seq, log.base)
            except ReplayFailedError as error:
                if error.reason != UNAVAILABLE:
                    return error.reason
                failing_since = failing_since or time.monotonic()
                await self._be_patient(failing_since)
                continue
            failing_since = None
            self._context.metrics.replayed.inc(len(batch.entries))
            await self._write_entries(batch.entries)
            self._position[log.tenant] = Mark(batch.through, epoch)
        return None

    async def _be_patient(self, since: float) -> None:
        """Wait before another try, or end: the client keeps its position and comes back.

        A reset would tell it that events are gone which the stream may well hold.
        """
        if time.monotonic() - since > _PATIENCE_SECONDS:
            self.end(UNAVAILABLE)
        else:
            await asyncio.sleep(_RETRY_SECONDS)

    async def _snapshot(self, tenants: Mapping[TenantId, str | None]) -> None:
        if self.ended is not None:
            return
        # All frames are taken at one instant, the position with them: what changes while they
        # are written comes after it as an event.
        selection = self.key.selection
        frames: list[bytes] = []
        devices = 0
        for tenant, reason in tenants.items():
            if reason is not None:
                self._context.metrics.resets.labels(reason).inc()
                body = {"tenant": tenant, "reason": reason, "message": RESET_TEXT[reason]}
                frames.append(control_frame("reset", body))
            log = self._hub.logs[tenant]
            self._position[tenant] = log.mark
            for device, state in log.state:
                if selection.devices is None or device in selection.devices:
                    frames.append(state.frame(selection.kinds))
                    devices += 1
            self._context.metrics.snapshots.inc()
        body = {"tenants": sorted(tenants), "devices": devices}
        frames.append(control_frame("snapshot-end", body, self._vector().id_line()))
        await self._write_frames(frames)

    def _carried(self) -> tuple[tuple[TenantId, Mark], ...]:
        known = self._hub.logs.keys()
        return tuple((t, self._position[t]) for t in sorted(self._position.keys() - known))

    def _backlog(self) -> list[Entry] | None:
        """Everything in the rings after the position; None when a ring no longer reaches there."""
        backlog: list[Entry] = []
        for log in self._hub.covered(self.key.selection):
            mark = self._position.get(log.tenant)
            if mark is None or log.standing(mark) is not Standing.IN_RING:
                return None
            backlog.extend(log.since(mark.seq))
        return self._chosen(backlog)

    def _chosen(self, entries: Iterable[Entry]) -> list[Entry]:
        takes = self.key.selection.takes
        chosen = [entry for entry in entries if takes(entry)]
        return coalesce(chosen) if self.key.window_seconds else chosen

    def _vector(self) -> Vector:
        covers = self.key.selection.covers
        return Vector({t: mark for t, mark in self._position.items() if covers(t)})

    def _render(self, entries: Iterable[Entry]) -> bytes:
        """Frames with ids; moves the position."""
        entries = list(entries)
        payload = render(entries, self._vector())
        for entry in entries:
            self._position[entry.tenant] = Mark(entry.seq, entry.epoch)
        return payload

    async def _write_entries(self, entries: Iterable[Entry]) -> None:
        piece: list[Entry] = []
        size = 0
        for entry in self._chosen(entries):
            piece.append(entry)
            size += len(entry.frame)
            if size >= _PIECE_BYTES:
                await self._write(self._render(piece))
                piece, size = [], 0
        if piece:
            await self._write(self._render(piece))

    async def _write_frames(self, frames: list[bytes]) -> None:
        piece: list[bytes] = []
        size = 0
        for frame in frames:
            piece.append(frame)
            size += len(frame)
            if size >= _PIECE_BYTES:
                await self._write(b"".join(piece))
                piece, size = [], 0
        await self._write(b"".join(piece))

    async def _write(self, payload: bytes) -> None:
        """Write with back-pressure: waits while the client has not taken what came before."""
        if self._send is not None and payload:
            await self._send({"type": "http.response.body", "body": payload, "more_body": True})
            self._written += len(payload)


async def _wait_while_ahead(log: TenantLog, mark: Mark) -> Standing:
    """Another gateway read further before the client came here: let this one get there."""
    deadline = time.monotonic() + _AHEAD_SECONDS
    while log.standing(mark) is Standing.AHEAD and time.monotonic() < deadline:  # noqa: ASYNC110 - rare, bounded, and cheaper than a signal on every append
        await asyncio.sleep(_AHEAD_POLL_SECONDS)
    return log.standing(mark)
