"""Which part of each fleet's devices answers: from the newest status event of each device.

Read slowly, one fleet after another, and only when its stream has new events: the figure is
for people, and costs the broker a message a device.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from nats.aio.client import Client

from fleet_common.direct import last_messages
from fleet_common.errors import TransientError
from fleet_contracts.codec import RejectedEventError, decode
from fleet_contracts.gen.fleet.v1.events_pb2 import REACHABILITY_UP
from fleet_contracts.subjects import DeviceId, Kind, TenantId, kind_subjects, stream_name

_log = logging.getLogger(__name__)

_DEVICES_A_SECOND: Final = 300
"""The pace: some hundredths of a core while every fleet is busy."""
_ROUND_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Polled:
    """A fleet whose devices are counted. `last_sequence` is its stream's."""

    devices: frozenset[DeviceId]
    last_sequence: int


@dataclass(frozen=True, slots=True)
class _Counted:
    asked: Polled
    up: int
    down: int


class DevicesUp:
    """`counts` answers at once from what `run` read last."""

    def __init__(self, client: Client, ask: Callable[[], Mapping[TenantId, Polled]]) -> None:
        self._client = client
        self._ask = ask
        self._counted: dict[TenantId, _Counted] = {}

    def counts(self, tenant: TenantId) -> tuple[int, int] | None:
        """Devices up and down; None while nobody knows."""
        counted = self._counted.get(tenant)
        return None if counted is None else (counted.up, counted.down)

    async def run(self) -> None:
        """Count until cancelled."""
        while True:
            began = time.monotonic()
            asked = self._ask()
            self._counted = {one: kept for one, kept in self._counted.items() if one in asked}
            for tenant, polled in asked.items():
                known = self._counted.get(tenant)
                if known is not None and known.asked == polled:
                    continue
                try:
                    self._counted[tenant] = await self._count(tenant, polled)
                except TransientError as error:
                    _log.debug("not counted", extra={"tenant": tenant, "reason": str(error)})
                await asyncio.sleep(len(polled.devices) / _DEVICES_A_SECOND)
            left = _ROUND_SECONDS - (time.monotonic() - began)
            await asyncio.sleep(max(1.0, left))

    async def _count(self, tenant: TenantId, polled: Polled) -> _Counted:
        up = down = 0
        if polled.last_sequence and polled.devices:
            async for message in last_messages(
                self._client, stream_name(tenant), kind_subjects(tenant, Kind.STATUS)
            ):
                try:
                    event = decode(message.subject, message.payload)
                except RejectedEventError:
                    continue
                if event.subject.device not in polled.devices:
                    continue
                if event.event.status.reachability == REACHABILITY_UP:
                    up += 1
                else:
                    down += 1
        return _Counted(polled, up, down)
