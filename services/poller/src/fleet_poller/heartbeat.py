"""This shard's sign of life in KV: who assigns devices takes silence for death."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from fleet_common.inventory import assignment_key
from fleet_common.liveness import BEAT_SECONDS, Beat, RejectedLogins
from fleet_contracts.streams import SHARDS_BUCKET
from fleet_contracts.subjects import TenantId
from fleet_poller.load import DeviceCounts, Load
from fleet_poller.wake import Wake

_log = logging.getLogger(__name__)


class Heartbeat:
    """Writes a beat a second while polling is well, and at once when an assignment took force."""

    def __init__(
        self,
        client: Client,
        js: JetStreamContext,
        tenant: TenantId,
        shard: str,
        *,
        why_unwell: Callable[[], str | None],
        figures: Callable[[], tuple[Load, DeviceCounts, tuple[RejectedLogins, ...]]],
    ) -> None:
        self._client = client
        self._js = js
        self._tenant = tenant
        self._shard = shard
        self._why_unwell = why_unwell
        self._figures = figures
        self._incarnation = uuid.uuid4().hex[:12]
        self._count = 0
        self._revision = -1
        self._leaving = False
        self._told = -1
        self._telling = asyncio.Event()
        self._bucket: KeyValue | None = None
        self._announced = False
        self._wake = Wake()

    def in_force(self, revision: int) -> None:
        """This assignment is in force: devices that are not in it have no session any more."""
        if revision != self._revision:
            self._revision = revision
            self._wake.ring()

    def leave(self) -> bool:
        """This process ends soon: say so at once, so that others get its devices first.

        False when nobody can be told.
        """
        self._leaving = True
        self._wake.ring()
        return self._client.is_connected

    async def told(self, timeout_seconds: float) -> None:
        """Return once the assignment in force has been said, or after so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self._told != self._revision:
                    self._telling.clear()
                    await self._telling.wait()

    async def run(self) -> None:
        """Beat until cancelled. A broker that is away is no error: it is tried again."""
        while True:
            if self._client.is_connected and self._why_unwell() is None:
                await self._beat()
            await self._wake.wait(BEAT_SECONDS)

    async def _beat(self) -> None:
        self._count += 1
        load, counts, rejected = self._figures()
        beat = Beat(
            tenant=self._tenant,
            shard=self._shard,
            incarnation=self._incarnation,
            count=self._count,
            revision=self._revision,
            cpu_ratio=_rounded(load.cpu_ratio),
            slot_lag_seconds=_rounded(load.slot_lag_seconds),
            devices=counts.devices,
            devices_up=counts.up,
            devices_down=counts.down,
            rejected=rejected,
            leaving=self._leaving,
        )
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                if self._bucket is None:
                    self._bucket = await self._js.key_value(SHARDS_BUCKET)
                await self._bucket.put(
                    assignment_key(self._tenant, self._shard),
                    beat.model_dump_json(exclude_none=True, exclude_defaults=True).encode(),
                )
            self._announced = False
            self._told = beat.revision
            self._telling.set()
        except (NatsError, TimeoutError, OSError) as error:
            self._bucket = None
            if not self._announced:
                self._announced = True
                _log.info(
                    "no sign of life could be written; trying again",
                    extra={"tenant": self._tenant, "reason": repr(error)},
                )


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 3)
