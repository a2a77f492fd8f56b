"""Once a second for every tenant with shards: its devices on living ones.

A task of its own: a slow API server or a large plan must not keep it from noticing a shard
that died, and a shard is not blamed for a second in which nobody looked.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from pydantic import ValidationError

from fleet_common.assigner import Assigner, Step
from fleet_common.direct import StoredMessage
from fleet_common.errors import FleetError, TransientError
from fleet_common.inventory import assignments_bucket, tenant_of_key
from fleet_common.liveness import Beat, RejectedLogins, State
from fleet_contracts.streams import ASSIGNMENTS_BUCKET, SHARDS_BUCKET
from fleet_contracts.subjects import DeviceId, TenantId
from fleet_operator.devices_up import Counts
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.scaling import Load
from fleet_operator.signs import PrefetchedBucket, read_bucket
from fleet_operator.wake import Wake

_log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
_RECORDS_SECONDS: Final = 30.0
"""How often tenants without shards are looked for records that nobody should have left; and how
often it looks at all while no tenant has any."""
_LEAST_SECONDS: Final = 0.05
_STEP_SECONDS: Final = 60.0
"""The most that one step may take: fencing pods on a dead node is the longest part."""

type FencePod = Callable[[TenantId, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ask:
    """What one tenant should be like."""

    devices: tuple[DeviceId, ...]
    shards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What the last step of a tenant left. `at` is monotonic time."""

    ask: Ask
    step: Step
    at: float
    loads: Mapping[str, Load] = field(default_factory=dict[str, Load])
    rejected: tuple[RejectedLogins, ...] = ()
    """By Secret, over all shards."""
    counts: Mapping[str, Counts] = field(default_factory=dict[str, Counts])
    """Of the living shards that have polled each of their devices."""
    idle: bool = False
    """Nothing was wanted and nothing was there: so it is as long as the broker is looked at."""

    @property
    def holding(self) -> frozenset[int] | None:
        """Ordinals of shards with devices; None while one may still poll what it has no more."""
        if not self.step.settled:
            return None
        return frozenset(
            int(shard.rpartition("-")[2]) for shard, devices in self.step.shares.items() if devices
        )


class Assigning:
    """All tenants' assignments. `want` says what should be; `found` what is."""

    def __init__(
        self,
        client: Client,
        js: JetStreamContext,
        fence: FencePod,
        metrics: OperatorMetrics,
        changed: Callable[[], None],
    ) -> None:
        self._client = client
        self._js = js
        self._fence = fence
        self._metrics = metrics
        self._changed = changed
        self._signs = PrefetchedBucket(SHARDS_BUCKET, js)
        self._asked: Mapping[TenantId, Ask] = {}
        self._known: frozenset[TenantId] | None = None
        self._assigners: dict[TenantId, Assigner] = {}
        self._stepping: dict[TenantId, asyncio.Task[None]] = {}
        self._found: dict[TenantId, Found] = {}
        self._records: dict[str, set[str]] = {}
        """Shards with an assignment, by tenant."""
        self._records_at: float | None = None
        self._trouble: str | None = None
        self._failing: dict[TenantId, str] = {}
        self._looked_at = -math.inf
        self._wake = Wake()
        self._steps = 0

    @property
    def steps(self) -> int:
        """Another number after every step that may have found something else than the last."""
        return self._steps

    @property
    def busy(self) -> bool:
        """Whether any tenant has shards, should have some, or left records of some."""
        return any(ask.shards or self._records.get(one) for one, ask in self._asked.items())

    def want(self, asked: Mapping[TenantId, Ask], known: Collection[TenantId] | None) -> None:
        """All tenants, whole, from now on.

        Those that are `known` and not asked for are let alone; what is found of any other
        tenant is left over from a RouterFleet that is no more, and deleted. None: there may be
        others that nobody knows of, and nothing is left over.
        """
        if asked != self._asked:
            self._wake.ring()
        self._asked, self._known = dict(asked), None if known is None else frozenset(known)
        for tenant in self._found.keys() - asked.keys():
            del self._found[tenant]
            self._assigners.pop(tenant, None)
            self._failing.pop(tenant, None)

    def found(self, tenant: TenantId) -> Found | None:
        """The last step; None while there was none, or none for a long time."""
        found = self._found.get(tenant)
        if found is None:
            return None
        at = self._looked_at if found.idle else found.at
        return None if time.monotonic() - at > _RECORDS_SECONDS * 2 else found

    def failing(self, tenant: TenantId) -> str | None:
        """Why the tenant's last step failed; None when it did not."""
        return self._failing.get(tenant) or self._trouble

    async def run(self) -> None:
        """Step until cancelled. A broker that is away is waited for."""
        try:
            while True:
                began = time.monotonic()
                await self._round()
                idle = not self.busy and self._trouble is None
                pause = _RECORDS_SECONDS if idle else LOOK_SECONDS
                left = pause - (time.monotonic() - began)
                await self._wake.wait(max(_LEAST_SECONDS, left))
        finally:
            steps = list(self._stepping.values())
            for step in steps:
                step.cancel()
            if steps:
                await asyncio.wait(steps)

    async def _round(self) -> None:
        try:
            if not self._client.is_connected:
                raise TransientError("NATS is not connected")
            signs = await read_bucket(self._client, SHARDS_BUCKET)
            await self._look_at_records(signs)
        except (FleetError, NatsError, TimeoutError, OSError) as error:
            self._note_trouble(str(error) or type(error).__name__)
            return
        self._note_trouble(None)
        self._looked_at = time.monotonic()
        self._signs.prefetched(signs)
        beats: dict[str, dict[str, bytes]] = {}
        for key, message in signs.items():
            tenant, _, shard = key.partition(".")
            beats.setdefault(tenant, {})[shard] = message.payload
        for tenant, ask in self._asked.items():
            if tenant in self._stepping or self._idle(tenant, ask):
                continue
            work = self._step(tenant, ask, beats.get(tenant, {}))
            step = asyncio.create_task(work, name=f"assign {tenant}")
            self._stepping[tenant] = step
            step.add_done_callback(lambda _, tenant=tenant: self._stepping.pop(tenant, None))

    def _idle(self, tenant: TenantId, ask: Ask) -> bool:
        """Nothing is wanted and nothing is there: said without asking the broker."""
        if ask.shards or self._records.get(tenant):
            return False
        found = self._found.get(tenant)
        if found is None or not found.idle or (found.ask is not ask and found.ask != ask):
            self._note_found(tenant, Found(ask, Step({}, {}, 0), self._looked_at, idle=True))
            self._changed()
        return True

    def _note_found(self, tenant: TenantId, found: Found) -> None:
        self._found[tenant] = found
        self._steps += 1

    async def _look_at_records(self, signs: Mapping[str, StoredMessage]) -> None:
        now = time.monotonic()
        if self._records_at is not None and now - self._records_at < _RECORDS_SECONDS:
            return
        assignments = await read_bucket(self._client, ASSIGNMENTS_BUCKET)
        self._records = {}
        for key in assignments:
            tenant, _, shard = key.partition(".")
            self._records.setdefault(tenant, set()).add(shard)
        self._records_at = now
        known = self._known
        if known is None:
            return
        for bucket, keys in ((ASSIGNMENTS_BUCKET, assignments), (SHARDS_BUCKET, signs)):
            left = [key for key in keys if tenant_of_key(key) not in known]
            if left:
                store = await self._js.key_value(bucket)
                for key in left:
                    await store.delete(key)
                _log.info("records of tenants that are no more deleted", extra={"keys": len(left)})

    async def _step(self, tenant: TenantId, ask: Ask, beats: Mapping[str, bytes]) -> None:
        try:
            async with asyncio.timeout(_STEP_SECONDS):
                assigner = await self._assigner(tenant)
                step = await assigner.step(ask.devices, ask.shards)
        except (FleetError, NatsError, TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            if self._failing.get(tenant) != reason:
                self._failing[tenant] = reason
                self._metrics.failures.labels("broker").inc()
                _log.warning(
                    "devices could not be assigned; trying again",
                    extra={"tenant": tenant, "reason": reason},
                )
                self._changed()
            return
        self._failing.pop(tenant, None)
        if step.moved:
            self._metrics.moved.labels(tenant).inc(step.moved)
        self._records[tenant] = set(step.shares)
        before = self._found.get(tenant)
        read = {shard: beat for shard in ask.shards if (beat := _read(beats.get(shard)))}
        loads = {shard: Load(one.cpu_ratio, one.slot_lag_seconds) for shard, one in read.items()}
        rejected = _rejected(read.values())
        counts = {
            shard: counts
            for shard, beat in read.items()
            if step.states.get(shard) is State.ALIVE and (counts := _counts(beat)) is not None
        }
        self._note_found(tenant, Found(ask, step, time.monotonic(), loads, rejected, counts))
        if before is None or (before.ask, before.step, before.rejected) != (ask, step, rejected):
            self._changed()

    async def _assigner(self, tenant: TenantId) -> Assigner:
        known = self._assigners.get(tenant)
        if known is None:
            assignments = await assignments_bucket(self._js)

            async def fence(shard: str) -> None:
                await self._fence(tenant, shard)

            known = self._assigners[tenant] = Assigner(tenant, assignments, self._signs, fence)
        return known

    def _note_trouble(self, reason: str | None) -> None:
        if reason is not None and self._trouble is None:
            self._metrics.failures.labels("broker").inc()
            _log.warning(
                "shards' signs of life cannot be read; nothing is moved meanwhile",
                extra={"reason": reason},
            )
        if (reason is None) != (self._trouble is None):
            self._changed()
        self._trouble = reason


def _read(payload: bytes | None) -> Beat | None:
    """None when there is no beat that can be read."""
    if payload is None:
        return None
    try:
        return Beat.model_validate_json(payload)
    except ValidationError:
        return None


def _counts(beat: Beat) -> Counts | None:
    """None while the shard does not say, or has devices that it has not polled yet."""
    if beat.devices is None or beat.devices_up is None or beat.devices_down is None:
        return None
    if beat.devices_up + beat.devices_down < beat.devices:
        return None
    return Counts(beat.devices_up, beat.devices_down)


def _rejected(beats: Iterable[Beat]) -> tuple[RejectedLogins, ...]:
    found: dict[str, RejectedLogins] = {}
    for beat in beats:
        for one in beat.rejected:
            known = found.get(one.secret)
            found[one.secret] = (
                one
                if known is None
                else RejectedLogins(
                    secret=one.secret,
                    devices=known.devices + one.devices,
                    first=min(known.first, one.first),
                )
            )
    return tuple(found[secret] for secret in sorted(found))
