"""Device records in the inventory bucket: written when they differ, read only when need be.

The bucket's own sequence says whether anybody else wrote: while it is the one that the last
look left, nothing is read at all, however many devices there are.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Final

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.kv import KeyValue

from fleet_common.broker import created_at
from fleet_contracts.streams import INVENTORY_BUCKET
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.signs import bucket_entries, kv_stream

_log = logging.getLogger(__name__)

_TOGETHER: Final = 64
"""Writes under way at once."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """The bucket as the last look left it."""

    created: str
    last_sequence: int
    messages: int


class InventorySync:
    """Makes the whole bucket be what is wanted."""

    def __init__(self, client: Client, js: JetStreamContext, metrics: OperatorMetrics) -> None:
        self._client = client
        self._js = js
        self._metrics = metrics
        self._there: dict[str, bytes] | None = None
        self._mark: _Mark | None = None
        self._asked: tuple[Mapping[str, bytes], frozenset[str]] | None = None
        """What the last look brought it to."""

    async def sync(self, wanted: Mapping[str, bytes], keep: Iterable[str] = ()) -> int:
        """The bucket holds `wanted`, by key, and nothing else; returns the number of writes.

        What is there of the tenants in `keep` stays as it is (nobody knows what they want
        just now). Raises nats errors and TransientError; the next look reads anew then.
        """
        stream = kv_stream(INVENTORY_BUCKET)
        mark, kept = _mark(await self._js.stream_info(stream)), frozenset(keep)
        same = self._asked is not None and self._asked[0] is wanted and self._asked[1] == kept
        if same and mark == self._mark:
            return 0
        if self._there is None or mark != self._mark:
            self._there = None
            self._there = await self._read(wanted)
        self._mark = None
        there = self._there
        puts = [key for key, value in wanted.items() if there.get(key) != value]
        deletes = [key for key in there if key not in wanted and key.partition(".")[0] not in kept]
        await self._write(there, wanted, puts, deletes)
        writes = len(puts) + len(deletes)
        if writes:
            self._metrics.inventory_writes.inc(writes)
            _log.info("inventory written", extra={"records": len(puts), "deleted": len(deletes)})
            after = _mark(await self._js.stream_info(stream))
            # More messages than our own: somebody else wrote meanwhile, so look again.
            own = after.created == mark.created
            self._mark = (
                after if own and after.last_sequence == mark.last_sequence + writes else None
            )
        else:
            self._mark = mark
        self._asked = (wanted, kept)
        return writes

    async def _read(self, wanted: Mapping[str, bytes]) -> dict[str, bytes]:
        """What the bucket holds. What is as wanted is not kept twice."""
        there: dict[str, bytes] = {}
        async for key, message in bucket_entries(
            self._client, INVENTORY_BUCKET, timeout_seconds=10.0
        ):
            value = wanted.get(key)
            there[key] = (
                value if value is not None and value == message.payload else message.payload
            )
        return there

    async def _write(
        self,
        there: dict[str, bytes],
        wanted: Mapping[str, bytes],
        puts: Sequence[str],
        deletes: Sequence[str],
    ) -> None:
        bucket: KeyValue = await self._js.key_value(INVENTORY_BUCKET)

        async def put(key: str) -> None:
            await bucket.put(key, wanted[key])
            there[key] = wanted[key]

        async def delete(key: str) -> None:
            await bucket.delete(key)
            there.pop(key, None)

        # Deletions first: the bucket has a bound.
        for group in batched(deletes, _TOGETHER):
            await asyncio.gather(*map(delete, group))
        for group in batched(puts, _TOGETHER):
            await asyncio.gather(*map(put, group))


def _mark(info: StreamInfo) -> _Mark:
    return _Mark(created_at(info), info.state.last_seq, info.state.messages)
