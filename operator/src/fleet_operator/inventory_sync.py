"""Device records in the inventory bucket: written when they differ, read only when need be.

The bucket's own sequence says whether anybody else wrote: while it is the one that the last
look left, nothing is read at all, however many devices there are.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Final

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.kv import KV_DEL, KV_OP

from fleet_common.broker import created_at
from fleet_common.inventory import tenant_of_key
from fleet_contracts.streams import INVENTORY_BUCKET
from fleet_contracts.subjects import TenantId
from fleet_operator.inventory_room import Fit, LeftOut, fit
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.signs import bucket_changes, key_subject, kv_stream

_log = logging.getLogger(__name__)

_STREAM: Final = kv_stream(INVENTORY_BUCKET)
_TOGETHER: Final = 64
"""Writes under way at once."""
_MARKER_SECONDS: Final = 60.0
"""How long a deleted record's marker stays: whoever watches is told of it within moments, and who
is away looks at the whole bucket again."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """The bucket as the last look left it."""

    created: str
    last_sequence: int
    messages: int
    max_bytes: int


class InventorySync:
    """Makes the whole bucket be what is wanted, as far as there is room.

    `left_out`: what there is none for, by tenant; the same object as long as it is the same.
    """

    def __init__(
        self,
        client: Client,
        js: JetStreamContext,
        metrics: OperatorMetrics,
        marker_seconds: float = _MARKER_SECONDS,
    ) -> None:
        self.left_out: Mapping[TenantId, LeftOut] = {}
        self._client = client
        self._js = js
        self._metrics = metrics
        self._marker_seconds = marker_seconds
        self._there: dict[str, bytes] | None = None
        self._markers: dict[str, int] = {}
        """Sequences of deleted records' markers, by key."""
        self._purge_at = 0.0
        self._mark: _Mark | None = None
        self._asked: tuple[Mapping[str, bytes], frozenset[str], bool] | None = None
        """What the last look brought it to."""

    async def sync(
        self, wanted: Mapping[str, bytes], keep: Iterable[str] = (), *, all_known: bool = True
    ) -> int:
        """The bucket holds `wanted`, by key, and nothing else; returns the number of writes.

        Where there is too little room, the records that come last in `wanted` are left out. What
        is there of the tenants in `keep` stays as it is (nobody knows what they want just now),
        and unless `all_known` so does what is there of tenants that nothing is wanted of. Raises
        nats errors and TransientError; the next look reads anew then.
        """
        info = await self._js.stream_info(_STREAM)
        mark, kept = _mark(info), frozenset(keep)
        same = (
            self._asked is not None
            and self._asked[0] is wanted
            and self._asked[1:] == (kept, all_known)
        )
        due = bool(self._markers) and time.monotonic() >= self._purge_at
        if same and mark == self._mark and not due:
            return 0
        if self._there is None or mark != self._mark:
            self._there = None
            self._there = await self._read(wanted)
        self._mark = None
        there = self._there
        deletes = _left_over(there, wanted, kept, all_known=all_known)

        def fitting(info: StreamInfo) -> Fit:
            bounds = (info.state.bytes, info.config.max_bytes or 0)
            return fit(there, wanted, deletes, held_bytes=bounds[0], max_bytes=bounds[1])

        found = fitting(info)
        if due or (found.left_out and self._markers):
            await self._purge(there)
            info = await self._js.stream_info(_STREAM)
            found = fitting(info)
        before = _mark(info)
        await self._write(there, wanted, found.puts, deletes)
        writes = len(found.puts) + len(deletes)
        if writes:
            self._metrics.inventory_writes.inc(writes)
            _log.info(
                "inventory written", extra={"records": len(found.puts), "deleted": len(deletes)}
            )
        after = _mark(await self._js.stream_info(_STREAM)) if writes else before
        # More messages than our own: somebody else wrote meanwhile, so look again.
        own = (mark.created, mark.last_sequence + writes) == (after.created, after.last_sequence)
        self._mark = after if own else None
        self._asked = (wanted, kept, all_known)
        self._note(found.left_out, before.max_bytes)
        return writes

    def _note(self, left_out: Mapping[TenantId, LeftOut], max_bytes: int) -> None:
        if left_out == self.left_out:
            return
        self.left_out = left_out
        if left_out:
            _log.warning(
                "the inventory has no room for all devices; the others are looked after",
                extra={
                    "bucket": INVENTORY_BUCKET,
                    "max_bytes": max_bytes,
                    "left_out": {tenant: one.count for tenant, one in left_out.items()},
                    "hint": f"fewer devices, or: nats stream edit {_STREAM} --max-bytes …",
                },
            )

    async def _read(self, wanted: Mapping[str, bytes]) -> dict[str, bytes]:
        """What the bucket holds. What is as wanted is not kept twice."""
        there: dict[str, bytes] = {}
        markers: dict[str, int] = {}
        async for key, message, deleted in bucket_changes(
            self._client, INVENTORY_BUCKET, timeout_seconds=10.0
        ):
            if deleted:
                markers[key] = message.sequence
                continue
            value = wanted.get(key)
            there[key] = (
                value if value is not None and value == message.payload else message.payload
            )
        self._markers = markers
        self._purge_at = time.monotonic() + self._marker_seconds
        return there

    async def _write(
        self,
        there: dict[str, bytes],
        wanted: Mapping[str, bytes],
        puts: Sequence[str],
        deletes: Sequence[str],
    ) -> None:
        async def put(key: str) -> None:
            await self._js.publish(key_subject(INVENTORY_BUCKET, key), wanted[key])
            there[key] = wanted[key]
            self._markers.pop(key, None)

        async def delete(key: str) -> None:
            marker = await self._js.publish(
                key_subject(INVENTORY_BUCKET, key), headers={KV_OP: KV_DEL}
            )
            there.pop(key, None)
            self._markers[key] = marker.seq

        if deletes:
            self._purge_at = time.monotonic() + self._marker_seconds
        # Deletions first: the bucket has a bound.
        for group in batched(deletes, _TOGETHER):
            await asyncio.gather(*map(delete, group))
        for group in batched(puts, _TOGETHER):
            await asyncio.gather(*map(put, group))

    async def _purge(self, there: Mapping[str, bytes]) -> None:
        """Markers of deleted records take room too. Those of a tenant without records at once."""
        tenants = set(map(tenant_of_key, there))
        newest: dict[str, int] = {}
        for key, sequence in self._markers.items():
            tenant = tenant_of_key(key)
            chosen = key if tenant in tenants else f"{tenant}.>"
            newest[chosen] = max(sequence, newest.get(chosen, 0))

        async def purge(chosen: str) -> None:
            # Up to the marker: a record that was written after it stays.
            await self._js.purge_stream(
                _STREAM, seq=newest[chosen] + 1, subject=key_subject(INVENTORY_BUCKET, chosen)
            )

        for group in batched(newest, _TOGETHER):
            await asyncio.gather(*map(purge, group))
        _log.info("markers of deleted records purged", extra={"markers": len(self._markers)})
        self._markers.clear()


def _left_over(
    there: Iterable[str], wanted: Collection[str], kept: Container[str], *, all_known: bool
) -> list[str]:
    """Keys of which nothing is wanted, and of whose tenants it is known what is."""
    asked = None if all_known else set(map(tenant_of_key, wanted))
    return [
        key
        for key in there
        if key not in wanted
        and (tenant := tenant_of_key(key)) not in kept
        and (asked is None or tenant in asked)
    ]


def _mark(info: StreamInfo) -> _Mark:
    return _Mark(
        created_at(info), info.state.last_seq, info.state.messages, info.config.max_bytes or 0
    )
