"""Which streams there are: finds them, gives each its ingest, watches their progress."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from fleet_common.health import Health
from fleet_contracts.subjects import BadNameError, TenantId, stream_name, tenant_id
from fleet_gateway.hub import Hub
from fleet_gateway.ingest import Ingest

_log = logging.getLogger(__name__)

_PAGE: Final = 256
_PREFIX: Final = stream_name(TenantId(""))


class Tenants:
    """Discovers for ever; every tenant found stays, also while its stream is away."""

    def __init__(
        self,
        js: JetStreamContext,
        hub: Hub,
        start: Callable[[TenantId], Ingest],
        fixed: Iterable[TenantId],
        every_seconds: float,
    ) -> None:
        self._js = js
        self._hub = hub
        self._start = start
        self._fixed = tuple(fixed)
        self._every_seconds = every_seconds
        self._ingests: dict[TenantId, Ingest] = {}
        self._bad_names: set[str] = set()

    async def run(self, health: Health, limit_seconds: float) -> None:
        """Look for streams again and again until cancelled."""
        reached = health.progress("broker", max(limit_seconds, 3 * self._every_seconds))
        health.register("ingest", lambda: self._why_unwell(limit_seconds))
        while True:
            try:
                found = await self._list()
            except (NatsError, TimeoutError, OSError) as error:
                _log.warning(
                    "cannot list the streams; trying again",
                    extra={"reason": f"{type(error).__name__}: {error}"},
                )
            else:
                reached.beat()
                self._take(found)
                if not self._hub.ready.is_set():
                    await self._wait_until_loaded()
                    health.set_ready(ready=True)
            await asyncio.sleep(self._every_seconds)

    def _take(self, found: dict[TenantId, StreamInfo]) -> None:
        for tenant, info in found.items():
            ingest = self._ingests.get(tenant)
            if ingest is None:
                _log.info("found a tenant's stream", extra={"tenant": tenant})
                ingest = self._ingests[tenant] = self._start(tenant)
            ingest.observe(info)

    async def _wait_until_loaded(self) -> None:
        for ingest in self._ingests.values():
            await ingest.loaded.wait()
        self._hub.ready.set()

    async def _list(self) -> dict[TenantId, StreamInfo]:
        if self._fixed:
            return await self._look_up()
        found: dict[TenantId, StreamInfo] = {}
        offset = 0
        while True:
            page = await self._js.streams_info(offset)
            for info in page:
                tenant = self._tenant(info)
                if tenant is not None:
                    found[tenant] = info
            offset += len(page)
            if len(page) < _PAGE:
                return found

    async def _look_up(self) -> dict[TenantId, StreamInfo]:
        found: dict[TenantId, StreamInfo] = {}
        for tenant in self._fixed:
            try:
                found[tenant] = await self._js.stream_info(stream_name(tenant))
            except NotFoundError:
                continue
        return found

    def _tenant(self, info: StreamInfo) -> TenantId | None:
        name = info.config.name or ""
        if not name.startswith(_PREFIX):
            return None
        try:
            return tenant_id(name.removeprefix(_PREFIX))
        except BadNameError as error:
            if name not in self._bad_names:
                self._bad_names.add(name)
                _log.warning(
                    "a stream's name is no tenant's; ignored",
                    extra={"stream": name, "reason": str(error)},
                )
            return None

    def _why_unwell(self, limit_seconds: float) -> str | None:
        reasons = [
            reason
            for ingest in self._ingests.values()
            if (reason := ingest.why_unwell(limit_seconds)) is not None
        ]
        return "; ".join(reasons) or None
