"""Which device records fit the inventory bucket. Pure.

A full bucket refuses whatever makes it larger, whosever it is. So what is there keeps its place,
and of what is new the oldest fleets' comes first; the rest is left out by name, and nobody else
waits for it.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from fleet_common.inventory import tenant_of_key
from fleet_contracts.streams import INVENTORY_BUCKET
from fleet_contracts.subjects import DeviceId, TenantId

_RECORD_BYTES: Final = 22 + 8 + len(f"$KV.{INVENTORY_BUCKET}.")
"""Of a stored message beside key and payload; nats-server's filestore: header, hash, subject."""
_MARKER_BYTES: Final = 4 + len(b"NATS/1.0\r\nKV-Operation: DEL\r\n\r\n")
_FOR_CHANGES: Final = 0.05
"""Of the bucket that new devices do not get: records that are there may become longer."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One tenant's devices without room: `new` have no record; `changed` have their old one."""

    new: frozenset[DeviceId] = frozenset()
    changed: int = 0

    @property
    def count(self) -> int:
        """All of them."""
        return len(self.new) + self.changed


@dataclass(frozen=True, slots=True)
class Fit:
    """What to write, in order, and what of each tenant is left out."""

    puts: tuple[str, ...]
    left_out: Mapping[TenantId, LeftOut] = field(default_factory=dict[TenantId, LeftOut])


def record_bytes(key: str, value: bytes) -> int:
    """What a record takes of the bucket."""
    return _RECORD_BYTES + len(key) + len(value)


def marker_bytes(key: str) -> int:
    """What is left of a deleted record until it is purged."""
    return record_bytes(key, b"") + _MARKER_BYTES


def fit(
    there: Mapping[str, bytes],
    wanted: Mapping[str, bytes],
    deletes: Collection[str],
    *,
    held_bytes: int,
    max_bytes: int,
) -> Fit:
    """Of `wanted`, in its order, what the bucket takes after the deletions.

    `there`: records by key, of the `held_bytes` that the bucket holds. `max_bytes`: its bound;
    not above 0 for none.
    """
    changed = [key for key, value in wanted.items() if key in there and there[key] != value]
    new = [key for key in wanted if key not in there]
    if max_bytes <= 0:
        return Fit((*changed, *new))
    held = held_bytes + sum(marker_bytes(key) - record_bytes(key, there[key]) for key in deletes)
    grows = {key: len(wanted[key]) - len(there[key]) for key in changed}
    puts: list[str] = []
    outdated: Counter[TenantId] = Counter()
    without: dict[TenantId, set[DeviceId]] = {}
    for key in sorted(changed, key=lambda key: grows[key] > 0):  # what makes room comes first
        if grows[key] <= 0 or held + grows[key] <= max_bytes:
            held += grows[key]
            puts.append(key)
        else:
            outdated[tenant_of_key(key)] += 1
    bound = max_bytes * (1 - _FOR_CHANGES)
    for key in new:
        size = record_bytes(key, wanted[key])
        if held + size <= bound:
            held += size
            puts.append(key)
        else:
            without.setdefault(tenant_of_key(key), set()).add(DeviceId(key.partition(".")[2]))
    left_out = {
        tenant: LeftOut(frozenset(without.get(tenant, ())), outdated[tenant])
        for tenant in sorted({*without, *outdated})
    }
    return Fit(tuple(puts), left_out)
