"""Watches how far behind each stream is, and whether work stands still.

Beside the sessions, not in one: while the database is away there is none, and that is
when somebody must know how long the streams will hold what is not stored. Between
sessions the position is the last one this process stored or the consumer's
acknowledgement floor on the broker, whichever is further: the floor is there for a
process that has just started, and moves when another writer goes on.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Final

from nats.aio.client import Client

from fleet_common.broker import created_at
from fleet_common.errors import TransientError
from fleet_common.health import Progress
from fleet_common.planning import StreamState, seconds_until_loss
from fleet_common.runtime import unless_stopped
from fleet_common.streams.live import look_at
from fleet_contracts.subjects import TenantId, stream_name
from fleet_writer.metrics import WriterMetrics
from fleet_writer.positions import Position
from fleet_writer.rate import RateMeter
from fleet_writer.settings import WriterSettings
from fleet_writer.source import Source
from fleet_writer.streams import acknowledged_sequence, fleet_streams
from fleet_writer.waiting import wait_for_stop

_log = logging.getLogger(__name__)

_EVERY_SECONDS: Final = 2.0


class Watch:
    """Reads every stream's state every two seconds; one a process.

    `caught_up` is called when a session holds its streams and nothing in them waits,
    `broker_away` when they could not be looked at.
    """

    def __init__(  # noqa: PLR0917 - the writer's parts, each of a type of its own
        self,
        client: Client,
        settings: WriterSettings,
        metrics: WriterMetrics,
        progress: Progress,
        caught_up: Callable[[], None],
        broker_away: Callable[[], None],
    ) -> None:
        self._client = client
        self._tenants = settings.writer.tenant_ids
        self._timeout_seconds = settings.nats.request_timeout_seconds
        self._metrics = metrics
        self._progress = progress
        self._caught_up = caught_up
        self._broker_away = broker_away
        self._owned: Mapping[TenantId, Source] | None = None
        self._positions: Mapping[TenantId, Position] = {}
        self._rates: dict[TenantId, RateMeter] = {}

    def owns(self, sources: Mapping[TenantId, Source]) -> None:
        """A session has tried for every stream, and holds these; others write the rest."""
        self._owned = dict(sources)
        self._positions = {tenant: source.position for tenant, source in sources.items()}

    def session_ended(self) -> None:
        """Nothing is owned until the next session has tried; the positions stay as stored."""
        self._owned = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until the stop."""
        while not stop.is_set():
            try:
                await unless_stopped(stop, self._round())
            except TransientError as error:
                self._not_seen(error)
            await wait_for_stop(stop, _EVERY_SECONDS)

    async def _round(self) -> None:
        """All streams, once. Raises a TransientError when the broker does not list them."""
        owned = self._owned
        tenants = await self._looked_after() if owned is None else list(owned)
        for tenant in self._rates.keys() - tenants:
            self._forget(tenant)
        known = stored = True
        waiting = 0
        for tenant in tenants:
            try:
                state = await self._look(tenant, owned)
            except TransientError as error:
                # Without a leader, say; the others may have theirs.
                self._not_seen(error)
                known = False
                continue
            if state is None:
                self._forget(tenant)
                known = False
                continue
            waiting += state.unstored_sequences
            stored = stored and state.stored_sequence == state.last_sequence
            if waiting:
                self._progress.expect()
        if not waiting and known:
            self._progress.idle()
        if known and stored and owned is not None and owned is self._owned:
            self._caught_up()

    def _not_seen(self, error: TransientError) -> None:
        _log.debug("a stream's state is not known", extra={"reason": str(error)})
        self._broker_away()

    async def _looked_after(self) -> list[TenantId]:
        """Whose streams a session would try for."""
        return list(self._tenants or await fleet_streams(self._client, self._timeout_seconds))

    async def _look(
        self, tenant: TenantId, owned: Mapping[TenantId, Source] | None
    ) -> StreamState | None:
        """Read and tell one stream's state; None when there is none, or no position in it."""
        timeout = self._timeout_seconds
        live = await look_at(self._client, stream_name(tenant), timeout_seconds=timeout)
        position = self._positions.get(tenant)
        if position is not None and (live is None or created_at(live.info) != position.created):
            position = None
            if owned is not None:
                # Deleted, or made anew: its consumer went with it.
                owned[tenant].ended.set()
        if live is None:
            return None
        stored = [] if position is None else [position.stored_sequence]
        if owned is None:
            acknowledged = await acknowledged_sequence(self._client, live.name, timeout)
            stored += [] if acknowledged is None else [acknowledged]
        if not stored:
            return None
        # A broker that lost its newest messages ends before the position.
        state = live.state(min(max(stored), live.info.state.last_seq))
        self._tell(tenant, state, position)
        return state

    def _tell(self, tenant: TenantId, state: StreamState, position: Position | None) -> None:
        now = time.time()
        messages_per_second = self._rates.setdefault(tenant, RateMeter()).read(
            state.last_sequence, time.monotonic()
        )
        bytes_per_message = state.bytes / state.messages if state.messages else 0.0
        until = seconds_until_loss(state, messages_per_second * bytes_per_message, now)
        if until is None:
            # Nothing waits and nothing comes; what came now would be kept for so long.
            until = state.max_age_seconds or math.inf
        metrics = self._metrics
        metrics.lag_messages.labels(tenant).set(state.unstored_messages)
        metrics.lag_seconds.labels(tenant).set(_age_seconds(state, position, now))
        metrics.until_loss.labels(tenant).set(until)

    def _forget(self, tenant: TenantId) -> None:
        """Another writer tells of this stream, or nobody can."""
        self._rates.pop(tenant, None)
        metrics = self._metrics
        for gauge in (metrics.lag_messages, metrics.lag_seconds, metrics.until_loss):
            gauge.remove_by_labels({"tenant": tenant})


def _age_seconds(state: StreamState, position: Position | None, now: float) -> float:
    """The age of the newest stored message; 0 while none waits behind it."""
    stored = state.stored_sequence
    if not state.unstored_sequences or stored is None:
        return 0.0
    if position is not None and position.stored_sequence == stored and position.stored_at_ns:
        return max(0.0, now - position.stored_at_ns / 1e9)
    at = state.time_at(stored)
    return 0.0 if at is None else max(0.0, now - at)
