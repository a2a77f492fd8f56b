"""Everything the operator owns in NATS: streams, buckets, the inventory."""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from fleet_common.broker import connect, declare_bucket, jetstream, probe
from fleet_common.broker_client import BrokerClient
from fleet_common.errors import ConfigurationError, FleetError
from fleet_common.inventory import tenant_of_key
from fleet_common.planning import PlanningError, Sizes, StreamBudget
from fleet_common.settings import NatsSection
from fleet_common.streams.advice import Advice
from fleet_common.streams.applier import PlanApplier
from fleet_common.streams.listing import list_streams
from fleet_common.streams.live import NoLeaderError
from fleet_common.streams.measure import measure_filled
from fleet_common.streams.trims import TrimAnnouncer
from fleet_common.streams.watch import StreamWatch
from fleet_contracts.streams import (
    ASSIGNMENTS_BUCKET,
    ASSIGNMENTS_BUCKET_MAX_BYTES,
    INVENTORY_BUCKET,
    INVENTORY_BUCKET_MAX_BYTES,
    SHARDS_BUCKET,
    SHARDS_BUCKET_MAX_BYTES,
)
from fleet_contracts.subjects import TenantId, tenant_of_stream
from fleet_operator.broker_state import Asked, BrokerState
from fleet_operator.identity import identical
from fleet_operator.inventory_sync import InventorySync
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.settings import OperatorSection
from fleet_operator.signs import kv_stream, read_bucket

_log = logging.getLogger(__name__)

_BUCKETS: Final = (
    (INVENTORY_BUCKET, INVENTORY_BUCKET_MAX_BYTES),
    (ASSIGNMENTS_BUCKET, ASSIGNMENTS_BUCKET_MAX_BYTES),
    (SHARDS_BUCKET, SHARDS_BUCKET_MAX_BYTES),
)
_PASS_SECONDS: Final = 45.0
"""The most that one pass may take; the next one goes on where it was."""
_NOTE: Final = re.compile(r"^stream (?:of )?(?:FLEET_)?([a-z0-9-]+)[: ]")


class BrokerSide:
    """One connection. `reconcile` is called again and again; it does what is due."""

    def __init__(
        self, nats: NatsSection, settings: OperatorSection, metrics: OperatorMetrics
    ) -> None:
        self.client = BrokerClient()
        self.js: JetStreamContext = jetstream(self.client, nats)
        self.state = BrokerState()
        self._nats = nats
        self._settings = settings
        self._metrics = metrics
        announcer = TrimAnnouncer(self.js, metrics)
        self._applier = PlanApplier(
            self.client,
            self.js,
            _budget(settings),
            metrics,
            announcer=announcer,
            advice=Advice(
                budget="FLEET_OPERATOR__BUDGET_BYTES"
                if settings.budget_bytes is not None
                else "the account's limit",
                more_room="Give the streams a larger budget, or the fleets a shorter replayWindow",
            ),
            records=False,
            each_alone=True,
            bucket_replicas=settings.bucket_replicas,
        )
        self._watch = StreamWatch(self.js, self._applier, announcer, metrics)
        self._inventory = InventorySync(self.client, self.js, metrics)
        self._measured: Mapping[TenantId, Sizes] = {}
        self._planned: tuple[Asked, Mapping[TenantId, Sizes]] | None = None
        self._plan_at = 0.0
        self._look_at = 0.0
        self._measure_at = 0.0
        self._led_at = 0.0
        self._reconnects = 0
        self._buckets_stand = False

    @property
    def due_at(self) -> float:
        """When the next look is due, by the clock that only goes forward."""
        return self._look_at if self.state.unled is None else min(self._look_at, self._led_at)

    async def connect(self) -> None:
        """Connect, however long it takes; then the client reconnects by itself."""
        await connect(self._nats, "fleet-operator", self.client)

    async def reconcile(self, asked: Asked) -> list[tuple[TenantId | None, str]]:
        """Do what is due; lines about what was done, with the tenant that they are about.

        Never raises for a broker that is away: `state.trouble` says so.
        """
        notes: list[str] = []
        try:
            async with asyncio.timeout(_PASS_SECONDS):
                await self._reconcile(asked, notes)
        except (FleetError, NatsError, TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            if self.state.trouble is None or self.state.settled is not None:
                self._complain(reason)
            self.state.trouble, self.state.settled = reason, None
        else:
            if self.state.trouble is not None:
                _log.info("the broker's part is done")
            self.state.trouble = None
        return [(_tenant_of(line), line) for line in notes]

    async def remove_tenant(self, tenant: TenantId, *, delete_stream: bool) -> str | None:
        """A deleted fleet's assignments and signs of life go; its stream goes, or shrinks.

        A line for a person, if the stream was there. Raises nats errors or TransientError.
        """
        for bucket in (ASSIGNMENTS_BUCKET, SHARDS_BUCKET):
            await remove_keys(self.client, self.js, bucket, lambda one: one == tenant)
        return await self._applier.remove(tenant, delete_stream=delete_stream)

    def _complain(self, reason: str) -> None:
        self._metrics.failures.labels("broker").inc()
        _log.warning("the broker's part could not be done", extra={"reason": reason})

    async def _reconcile(self, asked: Asked, notes: list[str]) -> None:
        if not self.client.is_connected:
            raise NatsError("not connected")
        reconnects = self.client.stats["reconnects"]
        now = time.monotonic()
        anew = reconnects != self._reconnects or self.state.trouble is not None
        look = anew or now >= self._look_at
        if look:
            await probe(self.client)
            if anew or not self._buckets_stand:
                await self._declare_buckets()
            self._buckets_stand = False  # until the listing says so
        self._reconnects = reconnects
        if anew or now >= self._led_at:
            await self._unless_unled(self._plan_or_look(asked, notes, anew=anew, look=look))
        if look or self.state.settled is None or self.state.settled.records is not asked.records:
            await self._inventory.sync(asked.records, asked.untouched, all_known=asked.all_known)
            self.state.left_out = self._inventory.left_out
        if look:
            self._look_at = time.monotonic() + self._settings.look_seconds
        self.state.settled = asked

    async def _declare_buckets(self) -> None:
        for bucket, size in _BUCKETS:
            await declare_bucket(self.js, bucket, size, replicas=self._settings.bucket_replicas)

    async def _unless_unled(self, planning: Awaitable[None]) -> None:
        """Devices and assignments do not wait for a stream's leader: only planning does."""
        try:
            await planning
        except NoLeaderError as error:
            if self.state.unled != error.tenant:
                self._complain(str(error))
                self.state.unled = error.tenant
            # To ask takes seconds: a cluster waits for whoever does not answer. Then all is
            # planned, since only that shows whether the stream has a leader again.
            self._led_at = time.monotonic() + self._settings.look_seconds
            self._plan_at = 0.0
        else:
            if self.state.unled is not None:
                _log.info("every stream has a leader", extra={"tenant": self.state.unled})
            self.state.unled = None

    async def _plan_or_look(
        self, asked: Asked, notes: list[str], *, anew: bool, look: bool
    ) -> None:
        now = time.monotonic()
        if now >= self._measure_at:
            # At the start too: a plan without them would shrink what a run before has grown.
            await self._measure(asked)
            self._measure_at = now + self._settings.measure_seconds
        changed = self._planned is None or not _same(self._planned, (asked, self._measured))
        if changed or anew or now >= self._plan_at:
            await self._plan(asked, notes)
        elif look and self.state.plan_error is None:
            await self._look(notes)
            if not self._buckets_stand:
                await self._declare_buckets()

    async def _plan(self, asked: Asked, notes: list[str]) -> None:
        self._planned = (asked, self._measured)
        self._plan_at = time.monotonic() + self._settings.replan_seconds
        try:
            applied = await self._applier.apply(
                asked.fleets, self._measured, untouched=await self._untouched(asked)
            )
        except (ConfigurationError, PlanningError) as error:
            # The broker is there; what is asked does not fit. It is asked again in a while.
            if self.state.plan_error != str(error):
                self._complain(str(error))
            self.state.plan_error = str(error)
            self._plan_at = time.monotonic() + self._settings.look_seconds
        except BaseException:
            self._planned = None
            raise
        else:
            self.state.plan_error = None
            notes += applied.notes
            self.state.plans = {one.tenant: one for one in applied.plans}
            self.state.planned = {fleet.tenant: fleet for fleet in asked.fleets}
            self.state.refused = dict(applied.refused)
            await self._look(notes)

    async def _untouched(self, asked: Asked) -> frozenset[TenantId]:
        if asked.all_known:
            return asked.untouched
        tenants = map(tenant_of_stream, await list_streams(self.client))
        return asked.untouched | {one for one in tenants if one is not None}

    async def _look(self, notes: list[str]) -> None:
        look = await self._watch.look()
        notes += look.notes
        self.state.look(look.seen)
        self._buckets_stand = all(
            (live := look.streams.get(kv_stream(bucket))) is not None
            and (live.info.config.num_replicas or 1) >= self._settings.bucket_replicas
            for bucket, _ in _BUCKETS
        )

    async def _measure(self, asked: Asked) -> None:
        tenants = [fleet.tenant for fleet in asked.fleets]
        self._measured = await measure_filled(self.client, tenants)


async def remove_keys(
    client: Client, js: JetStreamContext, bucket: str, chosen: Callable[[TenantId], bool]
) -> int:
    """Delete the keys of the chosen tenants; returns how many. Raises nats errors."""
    keys = [key for key in await read_bucket(client, bucket) if chosen(tenant_of_key(key))]
    if keys:
        store = await js.key_value(bucket)
        for key in keys:
            await store.delete(key)
    return len(keys)


def _budget(settings: OperatorSection) -> StreamBudget | None:
    if settings.budget_bytes is None and settings.memory_budget_bytes is None:
        return None
    return StreamBudget(settings.budget_bytes, settings.memory_budget_bytes)


def _same(
    one: tuple[Asked, Mapping[TenantId, Sizes]], other: tuple[Asked, Mapping[TenantId, Sizes]]
) -> bool:
    """Whether a plan would be made from the same: fleets are made anew when they change."""
    (before, measured_before), (after, measured_after) = one, other
    return (
        measured_before is measured_after
        and before.untouched == after.untouched
        and before.all_known == after.all_known
        and identical(before.fleets, after.fleets)
    )


def _tenant_of(line: str) -> TenantId | None:
    found = _NOTE.match(line)
    return None if found is None else TenantId(found[1])
