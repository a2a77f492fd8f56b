"""Which devices this shard polls: the assignment and the inventory, watched in KV.

Level-triggered: every watch begins with the whole state and ends after a while to begin
anew, so a missed change is repaired. While the broker is away the last state goes on.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.kv import KeyValue
from pydantic import BaseModel

from fleet_common.inventory import (
    Assignment,
    CaughtUp,
    DeviceRecord,
    assignment_key,
    assignments_bucket,
    inventory_bucket,
    watch_records,
)
from fleet_contracts.subjects import DeviceId, TenantId
from fleet_poller.metrics import PollerMetrics
from fleet_poller.wake import Wake

_log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 1.0
_SETTLE_SECONDS: Final = 0.05
"""Changes come in bursts (a fleet is applied device by device): act once on a burst."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a shard is to poll. `names` are all it owns, `devices` those of them to be polled.

    `revision` is that of the assignment; -1 when there is none.
    """

    revision: int
    names: frozenset[DeviceId]
    devices: Mapping[DeviceId, DeviceRecord]


type Take = Callable[[Share], Awaitable[None]]


class Watched[RecordT: BaseModel]:
    """The current records under one key filter. `records` is None until first caught up."""

    def __init__(self, keys: str, record_class: type[RecordT], metrics: PollerMetrics) -> None:
        self.records: dict[str, RecordT] | None = None
        self._keys = keys
        self._class = record_class
        self._metrics = metrics

    async def follow(self, bucket: KeyValue, changed: Callable[[], None]) -> None:
        """Keep `records` true until the watch ends or raises; call `changed` after a change."""
        fresh: dict[str, RecordT] = {}
        caught_up = False
        async with contextlib.aclosing(watch_records(bucket, self._keys, self._class)) as changes:
            async for change in changes:
                if isinstance(change, CaughtUp):
                    self.records, caught_up = fresh, True
                elif change.error is not None:
                    self._unreadable(change.key, change.error, fresh)
                elif change.record is None:
                    fresh.pop(change.key, None)
                else:
                    fresh[change.key] = change.record
                if caught_up:
                    changed()

    def _unreadable(self, key: str, reason: str, fresh: dict[str, RecordT]) -> None:
        """What was readable before goes on; the others are not touched."""
        self._metrics.bad_records.inc()
        _log.warning(
            "record cannot be read; the last good one stays in force",
            extra={"key": key, "reason": reason},
        )
        known = (self.records or {}).get(key)
        if known is not None:
            fresh[key] = known


class Assignments:
    """Joins assignment and inventory, and hands the shard its devices on every change."""

    def __init__(
        self,
        client: Client,
        js: JetStreamContext,
        tenant: TenantId,
        shard: str,
        metrics: PollerMetrics,
    ) -> None:
        self._client = client
        self._js = js
        self._tenant = tenant
        self._shard = shard
        self._assignment = Watched(assignment_key(tenant, shard), Assignment, metrics)
        self._inventory = Watched(f"{tenant}.*", DeviceRecord, metrics)
        self._wake = Wake()

    async def run(self, take: Take, ready: Callable[[], None]) -> None:
        """Follow both until cancelled; `ready` is called when the first state is known."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(self._assignment, assignments_bucket))
            tasks.create_task(self._follow(self._inventory, inventory_bucket))
            while True:
                await self._wake.wait(60.0)
                await asyncio.sleep(_SETTLE_SECONDS)
                share = self.share()
                if share is not None:
                    await take(share)
                    ready()

    def share(self) -> Share | None:
        """What to poll; None until both states are known.

        An assigned device without a record waits for it; a suspended one is not polled.
        """
        assignments, inventory = self._assignment.records, self._inventory.records
        if assignments is None or inventory is None:
            return None
        mine = assignments.get(assignment_key(self._tenant, self._shard))
        names = mine.devices if mine is not None else ()
        records = (inventory.get(f"{self._tenant}.{name}") for name in names)
        devices = {
            record.device_id: record
            for record in records
            if record is not None and not record.suspend
        }
        revision = mine.revision if mine is not None else -1
        return Share(revision, frozenset(map(DeviceId, names)), devices)

    async def _follow[RecordT: BaseModel](
        self,
        watched: Watched[RecordT],
        bind: Callable[[JetStreamContext], Awaitable[KeyValue]],
    ) -> None:
        announced = False
        while True:
            try:
                await self._follow_until_reconnected(watched, bind)
                announced = False
            except (NatsError, TimeoutError, OSError) as error:
                if not announced:
                    announced = True
                    _log.warning(
                        "cannot watch assignments; trying again, polling goes on as it is",
                        extra={"tenant": self._tenant, "reason": repr(error)},
                    )
                await asyncio.sleep(_RETRY_SECONDS)

    async def _follow_until_reconnected[RecordT: BaseModel](
        self,
        watched: Watched[RecordT],
        bind: Callable[[JetStreamContext], Awaitable[KeyValue]],
    ) -> None:
        """One watch. A broker that restarts forgets it, and nothing would come any more."""
        following = asyncio.create_task(watched.follow(await bind(self._js), self._wake.ring))
        reconnects = self._client.stats["reconnects"]
        try:
            while not following.done() and self._client.stats["reconnects"] == reconnects:
                await asyncio.wait([following], timeout=_RETRY_SECONDS)
            if following.done():
                following.result()
        finally:
            following.cancel()
            await asyncio.wait([following])
