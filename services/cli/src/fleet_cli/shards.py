"""The pollers of a local run: a process for each shard, and who polls which device.

The operator's part on a laptop. How many shards a tenant has follows, while the run goes on,
from `routerfleet shards` (a file in the data folder), else from --shards, else from the fleet.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from nats.errors import Error as NatsError
from pydantic import Field, ValidationError

from fleet_cli.environment import poller_name
from fleet_cli.figures import FigureReader, PollerKey
from fleet_cli.folder import DataFolder, Record, write_private
from fleet_cli.foundation import Foundation
from fleet_cli.services import poller_spec
from fleet_cli.supervisor import Supervisor
from fleet_common.assigner import Assigner
from fleet_common.assignment import shard_names, shards_wanted
from fleet_common.broker import declare_bucket
from fleet_common.errors import ConfigurationError, TransientError
from fleet_common.fleet_spec import RouterFleet
from fleet_common.inventory import assignments_bucket
from fleet_contracts.streams import SHARDS_BUCKET, SHARDS_BUCKET_MAX_BYTES
from fleet_contracts.subjects import TenantId

MAX_SHARDS: Final = 100
_LOOK_SECONDS: Final = 0.5
_SCRAPE_SECONDS: Final = 0.05


class WantedShards(Record):
    """shards.json: numbers of shards asked for while the demo runs."""

    everyone: int | None = Field(default=None, ge=1, le=MAX_SHARDS)
    tenants: dict[str, int] = Field(default_factory=dict[str, int])

    def asked(self, tenant: str) -> int | None:
        """The number for a tenant; None: nobody asked."""
        return self.tenants.get(tenant, self.everyone)


def wanted_file(folder: DataFolder) -> Path:
    """Where `routerfleet shards` writes and the runner looks."""
    return folder / "shards.json"


def read_wanted(folder: DataFolder) -> WantedShards:
    """What was asked for; nothing when the file is not there or cannot be read."""
    try:
        return WantedShards.model_validate_json(wanted_file(folder).read_bytes())
    except (OSError, ValidationError):
        return WantedShards()


def write_wanted(folder: DataFolder, wanted: WantedShards) -> None:
    """Ask the running demo. Raises ConfigurationError."""
    write_private(wanted_file(folder), wanted.model_dump_json())


class Shards:
    """All pollers. `reconcile` and `follow` start, stop and assign; `stop_all` ends them."""

    def __init__(
        self,
        foundation: Foundation,
        supervisor: Supervisor,
        figures: FigureReader,
        shards: int | None,
        warn: Callable[[str], None],
    ) -> None:
        self._foundation = foundation
        self._supervisor = supervisor
        self._figures = figures
        self._shards = shards
        self._warn = warn
        self._running: dict[TenantId, list[str]] = {}
        self._assigners: dict[TenantId, Assigner] = {}
        self._busy = asyncio.Lock()
        self._stopped = False
        self._warned = False
        wanted_file(foundation.folder).unlink(missing_ok=True)

    def ports(self) -> dict[PollerKey, int]:
        """Where each poller's metrics are."""
        known = self._foundation.wiring.admin_ports
        return {
            (tenant, shard): known[poller_name(tenant, shard)]
            for tenant, shards in self._running.items()
            for shard in shards
        }

    async def follow(self, fleets: Callable[[], Sequence[RouterFleet]]) -> None:
        """Reconcile again and again until cancelled; a broker that is away is waited for."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.reconcile(fleets())
                self._warned = False
            except (TransientError, ConfigurationError, NatsError, TimeoutError) as error:
                if not self._warned:
                    self._warned = True
                    self._warn(f"shards could not be looked after: {type(error).__name__}: {error}")

    async def reconcile(self, fleets: Sequence[RouterFleet]) -> None:
        """One look at every tenant. Raises nats errors when the broker is away."""
        async with self._busy:
            if self._stopped:
                return
            wanted = read_wanted(self._foundation.folder)
            tenants = {fleet.tenant for fleet in fleets}
            for tenant in self._running.keys() - tenants:
                await self._stop(tenant, list(self._running[tenant]))
                del self._running[tenant]
                self._assigners.pop(tenant, None)
            results = await asyncio.gather(
                *(self._tenant(fleet, wanted) for fleet in fleets), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    async def stop_all(self) -> None:
        """End all pollers; their counters are read to the last moment: they end with them."""
        async with self._busy:
            self._stopped = True
            stopping = asyncio.create_task(self._supervisor.stop(self._names()))
            while not stopping.done():
                await self._figures.scrape_pollers(self.ports())
                await asyncio.wait({stopping}, timeout=_SCRAPE_SECONDS)
            await stopping

    # --- one tenant ------------------------------------------------------------------

    async def _tenant(self, fleet: RouterFleet, wanted: WantedShards) -> None:
        tenant, devices = fleet.tenant, list(fleet.device_ids())
        count = wanted.asked(tenant) or self._shards
        if count is None:
            count = shards_wanted(fleet.spec.shards, len(devices))
        shards = shard_names(count)
        running = self._running.setdefault(tenant, [])
        for shard in shards:
            if shard not in running:
                await self._start(tenant, shard)
                running.append(shard)
        assigner = await self._assigner(tenant)
        step = await assigner.step(devices, shards)
        if step.settled:
            # Those that are to go have let go of their devices now.
            await self._stop(tenant, [shard for shard in running if shard not in shards])

    async def _start(self, tenant: TenantId, shard: str) -> None:
        foundation = self._foundation
        foundation.add_poller(tenant, shard)
        await self._supervisor.start(
            poller_spec(foundation.folder, foundation.wiring, tenant, shard)
        )

    async def _stop(self, tenant: TenantId, shards: Sequence[str]) -> None:
        if not shards:
            return
        await self._figures.scrape_pollers(self.ports())
        await self._supervisor.stop([poller_name(tenant, shard) for shard in shards])
        self._running[tenant] = [one for one in self._running[tenant] if one not in shards]

    async def _assigner(self, tenant: TenantId) -> Assigner:
        known = self._assigners.get(tenant)
        if known is None:
            js = self._foundation.js
            signs = await declare_bucket(js, SHARDS_BUCKET, SHARDS_BUCKET_MAX_BYTES)
            known = Assigner(tenant, await assignments_bucket(js), signs, self._fence(tenant))
            self._assigners[tenant] = known
        return known

    def _fence(self, tenant: TenantId) -> Callable[[str], "asyncio.Future[None]"]:
        def fence(shard: str) -> "asyncio.Future[None]":
            self._warn(f"{poller_name(tenant, shard)} gives no sign of life; ending it")
            return asyncio.ensure_future(self._supervisor.kill(poller_name(tenant, shard)))

        return fence

    def _names(self) -> list[str]:
        return [
            poller_name(tenant, shard)
            for tenant, shards in self._running.items()
            for shard in shards
        ]


def describe(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Lines for a person: devices of each shard by tenant."""
    return [
        f"{tenant}: "
        + (", ".join(f"{name} {devices}" for name, devices in sorted(shards.items())) or "none yet")
        for tenant, shards in sorted(counts.items())
    ]
