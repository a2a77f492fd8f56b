"""One tenant's stream into the hub: state first, then every event in order, for ever."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Final

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.errors import APIError, NotFoundError

from fleet_common.broker import created_at
from fleet_common.errors import TransientError
from fleet_common.tracing import Tracing
from fleet_contracts.codec import RejectedEventError
from fleet_contracts.subjects import TenantId, stream_name
from fleet_gateway.entries import Entry, RawMessage, render_entry
from fleet_gateway.hub import Hub
from fleet_gateway.positions import epoch_of
from fleet_gateway.reader import ReadingEndedError, StreamReader
from fleet_gateway.telemetry import GatewayMetrics

_log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 0.5
_REFUSED: Final = "refused"
_GONE_SECONDS: Final = 3600.0
_REPORT_REJECTED_SECONDS: Final = 10.0


class MessagesLostError(TransientError):
    """The stream went on past what was read: what lies between is gone from it."""


@dataclass
class Progress:
    """What the health check compares."""

    stream_last_seq: int = 0
    lag: int = 0
    moved_at: float = 0.0
    refused: str = ""
    """The broker's words while it will not let the stream be read."""
    ended_at: float = 0.0
    """When an attempt to read it ended last, whatever with."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Where all ingests lead."""

    hub: Hub
    metrics: GatewayMetrics
    tracing: Tracing


class Ingest:
    """Feeds the hub from one stream; owns everything about that stream's continuity."""

    def __init__(
        self,
        tenant: TenantId,
        js: JetStreamContext,
        reader: StreamReader,
        feed: Feed,
    ) -> None:
        self.tenant = tenant
        self.known = asyncio.Event()
        """Set once the hub has the tenant's state, or the stream was found not to be there."""
        self._js = js
        self._hub = feed.hub
        self._metrics = feed.metrics
        self._tracing = feed.tracing
        self._reader = reader
        self._epoch = ""
        self._progress = Progress(moved_at=time.monotonic(), ended_at=time.monotonic())
        self._rejected_logged_at = 0.0

    async def run(self) -> None:
        """Read until cancelled; trouble with the broker is waited out, never given up on."""
        earlier = ""
        while True:
            reason = await self._attempt()
            self._progress.ended_at = time.monotonic()
            if reason != _REFUSED:
                self._progress.refused = ""
            self._metrics.ingest_restarts.labels(self.tenant, reason).inc()
            if reason != earlier:
                _log.info(
                    "the reading ended; setting it up anew until it works",
                    extra={"tenant": self.tenant, "reason": reason},
                )
            earlier = reason
            await asyncio.sleep(_RETRY_SECONDS)

    def _refuse(self, error: APIError) -> None:
        """The broker answers, and will not let us read: a restart would not change its mind."""
        reason = f"{error.description} ({error.err_code})"
        if reason != self._progress.refused:
            _log.warning(
                "the broker refuses the reading of a stream; trying again until it allows it",
                extra={"tenant": self.tenant, "reason": reason},
            )
        self._progress.refused = reason

    async def _attempt(self) -> str:
        """One reading until it ends; returns why, as a metric label."""
        try:
            info = await self._js.stream_info(stream_name(self.tenant))
            self._hub.expect(self.tenant, there=True)
            if not self._continues(info):
                await self._load(info)
            await self._reader.follow(self._head + 1, self._on_message)
        except NotFoundError:
            self._hub.expect(self.tenant, there=False)
            self.known.set()
            return "no_stream"
        except APIError as error:
            self._refuse(error)
            return _REFUSED
        except MessagesLostError:
            self._epoch = ""  # forces a load
            return "lost"
        except ReadingEndedError as error:
            return error.reason
        except (NatsError, TimeoutError, OSError) as error:
            _log.debug(
                "the stream cannot be read now",
                extra={"tenant": self.tenant, "reason": f"{type(error).__name__}: {error}"},
            )
            return "unavailable"
        return "ended"

    @property
    def _head(self) -> int:
        return self._hub.logs[self.tenant].head

    def _continues(self, info: StreamInfo) -> bool:
        """Whether the stream still has what follows our head."""
        if self.tenant not in self._hub.logs or epoch_of(created_at(info)) != self._epoch:
            return False
        return info.state.first_seq <= self._head + 1 and self._head <= info.state.last_seq

    async def _load(self, info: StreamInfo) -> None:
        """The latest message of each subject, as of now; clients are told by the hub."""
        epoch, last_seq = epoch_of(created_at(info)), info.state.last_seq
        state: list[Entry] = []
        for message in await self._reader.read_state(last_seq):
            entry = self._render(message, epoch)
            if entry is not None:
                state.append(entry)
        self._hub.restart(self.tenant, epoch, last_seq, state)
        self._epoch = epoch
        self._progress.refused = ""
        self.known.set()
        _log.info(
            "state loaded",
            extra={"tenant": self.tenant, "last_seq": last_seq, "events": len(state)},
        )

    def _on_message(self, message: RawMessage, pending: int) -> None:
        if message.seq != self._head + 1:
            raise MessagesLostError(
                f"{self.tenant}: sequence {message.seq} follows {self._head} on the stream"
            )
        entry = self._render(message, self._epoch)
        if entry is None:
            self._hub.skip(self.tenant, message.seq)
        else:
            self._hub.append(entry)
        self._progress.lag = pending
        self._progress.moved_at = time.monotonic()
        self._progress.refused = ""

    def _render(self, message: RawMessage, epoch: str) -> Entry | None:
        try:
            return render_entry(message, epoch, self._tracing.parent(message.headers))
        except RejectedEventError as error:
            now = time.monotonic()
            if now - self._rejected_logged_at > _REPORT_REJECTED_SECONDS:
                self._rejected_logged_at = now
                _log.warning(
                    "skipped a message that is no valid event",
                    extra={"subject": error.subject, "seq": message.seq, "reason": error.reason},
                )
            return None

    def observe(self, info: StreamInfo) -> None:
        """Compare with the stream as it is now; called by whoever lists the streams."""
        last_seq = info.state.last_seq
        head = self._head if self.tenant in self._hub.logs else 0
        same = epoch_of(created_at(info)) == self._epoch
        self._progress.lag = max(0, last_seq - head) if same else last_seq
        if self._progress.lag == 0:
            self._progress.moved_at = time.monotonic()
        self._progress.stream_last_seq = last_seq
        self._metrics.ingest_lag.labels(self.tenant).set(self._progress.lag)
        if same:
            state = self._hub.logs[self.tenant].state
            for device in state.gone(info.state.first_seq, time.time() - _GONE_SECONDS):
                _log.info("device is gone", extra={"tenant": self.tenant, "device": device})
                self._hub.forget(self.tenant, device)

    def why_unwell(self, limit_seconds: float) -> str | None:
        """None while events are taken as they come, else what stands still.

        What the broker refuses is no fault of this process: other tenants are served on.
        """
        progress = self._progress
        still = time.monotonic() - progress.moved_at
        if progress.lag == 0 or still <= limit_seconds or progress.refused:
            return None
        return (
            f"{self.tenant}: the stream is at {progress.stream_last_seq}, {progress.lag} events "
            f"ahead, and nothing was read for {still:.0f} s"
        )

    def is_stuck(self, limit_seconds: float) -> bool:
        """Whether a new process might read on.

        Not while one attempt after the other ends, as when the stream has no leader: another
        process would fare no better, and clients would lose their connections for it.
        """
        return time.monotonic() - self._progress.ended_at > limit_seconds
