"""Watches how far behind each owned stream is, and whether work stands still."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from nats.js import JetStreamContext

from fleet_common.health import Progress
from fleet_contracts.subjects import TenantId
from fleet_writer.errors import BrokerAwayError
from fleet_writer.loss import RateMeter, pending_messages, seconds_until_loss
from fleet_writer.metrics import WriterMetrics
from fleet_writer.positions import StreamState
from fleet_writer.source import Source
from fleet_writer.streams import stream_state
from fleet_writer.waiting import wait_for_stop

_log = logging.getLogger(__name__)

_EVERY_SECONDS: Final = 2.0


class Watch:
    """Reads every owned stream's state every two seconds."""

    def __init__(
        self,
        js: JetStreamContext,
        metrics: WriterMetrics,
        progress: Progress,
        caught_up: Callable[[], None],
    ) -> None:
        self._caught_up = caught_up
        self._js = js
        self._metrics = metrics
        self._progress = progress
        self._rates: dict[TenantId, RateMeter] = {}

    async def run(self, sources: Mapping[TenantId, Source], stop: asyncio.Event) -> None:
        """Until the stop."""
        while not stop.is_set():
            pending = 0
            for tenant, source in list(sources.items()):
                try:
                    state = await stream_state(self._js, source.position.stream)
                except BrokerAwayError as error:
                    _log.debug("no stream state", extra={"reason": str(error)})
                    continue
                if state is None or state.created != source.position.created:
                    # Deleted, or made anew: its consumer went with it.
                    source.ended.set()
                    continue
                pending += self._note(tenant, source, state)
            if pending:
                self._progress.expect()
            else:
                self._progress.idle()
                self._caught_up()
            await wait_for_stop(stop, _EVERY_SECONDS)

    def _note(self, tenant: TenantId, source: Source, state: StreamState) -> int:
        position = source.position
        rate = self._rates.setdefault(tenant, RateMeter()).read(
            state.last_sequence, time.monotonic()
        )
        pending = pending_messages(state, position.stored_sequence)
        age = None
        if position.stored_at_ns is not None:
            age = max(0.0, time.time() - position.stored_at_ns / 1e9)
        metrics = self._metrics
        metrics.lag_messages.labels(tenant).set(pending)
        metrics.lag_seconds.labels(tenant).set(age if pending and age is not None else 0)
        metrics.until_loss.labels(tenant).set(
            seconds_until_loss(state, position.stored_sequence, age, rate)
        )
        return pending
