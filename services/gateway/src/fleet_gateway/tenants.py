"""Which streams there are: finds them, gives each its ingest, watches their progress."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from nats.aio.client import Client

from fleet_common.broker_health import BrokerHealth
from fleet_common.errors import TransientError
from fleet_common.health import Health
from fleet_common.tenant_streams import TenantStreams, streams_of, tenant_streams
from fleet_contracts.subjects import TenantId
from fleet_gateway.hub import Hub
from fleet_gateway.ingest import Ingest

_log = logging.getLogger(__name__)


_LOADING_SECONDS: Final = 5.0
"""At the start, how long after the last stream that was read the others are waited for."""


class Tenants:
    """Discovers for ever; every tenant found stays, also while its stream is away."""

    def __init__(
        self,
        client: Client,
        hub: Hub,
        start: Callable[[TenantId], Ingest],
        fixed: Iterable[TenantId],
        *,
        every_seconds: float,
        timeout_seconds: float,
    ) -> None:
        """`timeout_seconds`: of each question to the broker."""
        self._client = client
        self._hub = hub
        self._start = start
        self._fixed = tuple(fixed)
        self._every_seconds = every_seconds
        self._timeout_seconds = timeout_seconds
        self._ingests: dict[TenantId, Ingest] = {}

    async def run(self, health: Health, limit_seconds: float) -> None:
        """Look for streams again and again until cancelled."""
        rounds_seconds = 3 * self._every_seconds
        broker = BrokerHealth(
            self._client,
            health,
            silent_seconds=max(limit_seconds, rounds_seconds),
            rounds_seconds=rounds_seconds,
        )
        health.register("ingest", lambda: self._why_unwell(limit_seconds), elsewhere=True)
        health.register("reading", lambda: self._why_unwell(limit_seconds, stuck=True))
        async with asyncio.TaskGroup() as tasks:
            opening: asyncio.Task[None] | None = None
            while True:
                try:
                    found = await self._list()
                except TransientError as error:
                    _log.warning(
                        "cannot list the streams; trying again", extra={"reason": str(error)}
                    )
                    await broker.failed()
                else:
                    broker.answered()
                    self._take(found)
                    opening = opening or tasks.create_task(self._open(health), name="opening")
                await asyncio.sleep(self._every_seconds)

    def _take(self, streams: TenantStreams) -> None:
        for tenant in (*streams.found, *sorted(streams.silent)):
            if tenant not in self._ingests:
                _log.info("found a tenant's stream", extra={"tenant": tenant})
                self._hub.expect(tenant, there=True)
                self._ingests[tenant] = self._start(tenant)
        for tenant, info in streams.found.items():
            self._ingests[tenant].observe(info)

    async def _open(self, health: Health) -> None:
        """Let clients in once the streams have been read: one that cannot be holds up nobody."""
        waiting = {
            asyncio.create_task(ingest.known.wait(), name=f"known {tenant}")
            for tenant, ingest in self._ingests.items()
        }
        try:
            while waiting:
                known, waiting = await asyncio.wait(
                    waiting, timeout=_LOADING_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if not known:
                    break
        finally:
            for task in waiting:
                task.cancel()
        if self._hub.unread:
            _log.warning(
                "not all streams could be read so far; serving the others",
                extra={"unread": sorted(self._hub.unread)},
            )
        self._hub.ready.set()
        health.set_ready(ready=True)

    async def _list(self) -> TenantStreams:
        timeout = self._timeout_seconds
        if self._fixed:
            return await streams_of(self._client, self._fixed, timeout_seconds=timeout)
        return await tenant_streams(self._client, timeout_seconds=timeout)

    def _why_unwell(self, limit_seconds: float, *, stuck: bool = False) -> str | None:
        """Of the streams that stand still; `stuck`: that do so without the broker's doing."""
        if not self._client.is_connected:
            return None  # told as the broker's silence
        # In an attempt three questions follow each other, each with its deadline.
        attempt_seconds = limit_seconds + 3 * self._timeout_seconds
        reasons = [
            reason
            for ingest in self._ingests.values()
            if (reason := ingest.why_unwell(limit_seconds)) is not None
            and (not stuck or ingest.is_stuck(attempt_seconds))
        ]
        return "; ".join(reasons) or None
