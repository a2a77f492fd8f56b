"""The fleets of a run: their streams kept as planned, their file's edits followed."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from typing import Final

import psutil
from nats.errors import Error as NatsError

from fleet_cli.account_reader import StreamMark, mark_stream
from fleet_cli.advice import ADVICE
from fleet_cli.console import RunConsole
from fleet_cli.database import Position, read_model
from fleet_cli.fleets import Stamp, active_devices, missing_secrets
from fleet_cli.folder import Running
from fleet_cli.foundation import Foundation
from fleet_cli.metrics import RunnerMetrics
from fleet_cli.shards import Shards
from fleet_common.errors import ConfigurationError, FleetError, TransientError
from fleet_common.fleet_spec import RouterFleet
from fleet_common.planning import single_budget
from fleet_common.streams.applier import Applied, PlanApplier
from fleet_common.streams.measure import measure_filled
from fleet_common.streams.trims import TrimAnnouncer
from fleet_common.streams.watch import LOOK_SECONDS, StreamWatch
from fleet_contracts.subjects import TenantId

_log = logging.getLogger(__name__)

_REAPPLY_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 1.0


class FollowedFleets:
    """What the operator does in a cluster. `begin` once; the other coroutines run for ever."""

    def __init__(
        self,
        foundation: Foundation,
        shards: Shards,
        budget_bytes: int,
        metrics: RunnerMetrics,
        console: RunConsole,
    ) -> None:
        client, js = foundation.client, foundation.js
        announcer = TrimAnnouncer(js, metrics)
        self._foundation = foundation
        self._shards = shards
        self._console = console
        self._applier = PlanApplier(
            client, js, single_budget(budget_bytes), metrics, announcer=announcer, advice=ADVICE
        )
        self._watch = StreamWatch(js, self._applier, announcer, metrics)
        self._changing = asyncio.Lock()
        self._loaded: Stamp | None = None
        self.fleets: list[RouterFleet] = []
        """As they are now."""
        self.marks: dict[TenantId, StreamMark] = {}
        """Where each tenant's stream stood before anything of this run was in it."""

    @property
    def tenants(self) -> list[TenantId]:
        """Of the fleets."""
        return [fleet.tenant for fleet in self.fleets]

    async def begin(self) -> None:
        """Read the fleets and declare their streams.

        Raises ConfigurationError, TransientError or nats errors.
        """
        self._loaded = self._foundation.source.stamp()
        self.fleets = self._foundation.source.load()
        self._warn_of_secrets()
        self._say_all((await self._apply(self.fleets)).notes)
        await self._mark(self.tenants)

    async def reapply(self, bound_logs: Callable[[], None]) -> None:
        """Each minute: measured sizes into the plan, hand-made changes undone, logs bounded."""
        while True:
            await asyncio.sleep(_REAPPLY_SECONDS)
            bound_logs()
            try:
                async with self._changing:
                    applied = await self._apply(self.fleets)
            except (TransientError, ConfigurationError, NatsError, TimeoutError) as error:
                self._console.warn(f"the plan could not be re-applied: {error}")
            else:
                self._say_all(applied.notes)

    async def watch_streams(self) -> None:
        """Every few seconds: streams as planned, losses foretold and said."""
        trouble: str | None = None
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                notes = (await self._watch.look()).notes
            except (FleetError, NatsError, OSError) as error:
                now = str(error) or type(error).__name__
                if now != trouble:
                    self._console.warn(f"the streams could not be looked at: {now}")
                trouble = now
            else:
                trouble = None
                for line in notes:
                    self._console.warn(line)

    async def follow_edits(self) -> None:
        """Take each edit of the file; what runs goes on where one is wrong."""
        async for edit in self._foundation.source.edits(self._loaded):
            if isinstance(edit, ConfigurationError):
                self._console.warn(f"{edit}\nwhat runs goes on as before")
                continue
            try:
                await self._take_in_the_end(edit)
            except ConfigurationError as error:
                self._console.warn(f"the edited fleet file could not be applied: {error}")

    async def _take_in_the_end(self, fleets: list[RouterFleet]) -> None:
        """Take them, or what the file says by then: a broker that is away is waited for."""
        told = False
        while True:
            try:
                return await self._take(fleets)
            except (TransientError, NatsError, TimeoutError) as error:
                if not told:
                    told = True
                    reason = str(error) or type(error).__name__
                    self._console.warn(
                        f"the edited fleet file could not be applied yet: {reason}; trying again"
                    )
            await asyncio.sleep(_RETRY_SECONDS)
            fleets = self._foundation.source.load()

    async def _take(self, fleets: list[RouterFleet]) -> None:
        # Whoever applies the fleets as they were right after would undo it.
        async with self._changing:
            applied = await self._apply(fleets)
            await self._mark([fleet.tenant for fleet in fleets if fleet.tenant not in self.marks])
            self.fleets = fleets
        await self._shards.reconcile(fleets)
        self._console.say(f"fleet file read again: {len(active_devices(fleets))} devices")
        self._say_all(applied.notes)
        self._warn_of_secrets()
        self.write_running()

    def write_running(self) -> None:
        """Say in the data folder what runs and where."""
        wiring = self._foundation.wiring
        self._foundation.folder.write_running(
            Running(
                runner_pid=os.getpid(),
                runner_started=psutil.Process().create_time(),
                page_url=self._foundation.page_url,
                nats_url=wiring.nats.url,
                nats_token=wiring.nats.token,
                database_url=wiring.postgres.url,
                tenants=tuple(self.tenants),
            )
        )

    async def _apply(self, fleets: Sequence[RouterFleet]) -> Applied:
        """By measured sizes, always: those of the catalogue would trim what was grown by them."""
        tenants = [fleet.tenant for fleet in fleets]
        measured = await measure_filled(self._foundation.client, tenants)
        return await self._applier.apply(fleets, measured)

    async def _mark(self, tenants: Sequence[TenantId]) -> None:
        positions: list[Position] = []
        try:
            async with read_model(self._foundation.wiring.postgres.url) as model:
                positions = await model.positions()
        except TransientError as error:
            # A first run: the writer has not made its tables, so nothing is stored.
            _log.info("no positions yet", extra={"reason": str(error)})
        for tenant in tenants:
            self.marks[tenant] = await mark_stream(self._foundation.js, positions, tenant)

    def _warn_of_secrets(self) -> None:
        for line in missing_secrets(self.fleets, self._foundation.source.credentials_directory):
            self._console.warn(line)

    def _say_all(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._console.say(line)
