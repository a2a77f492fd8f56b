"""How many bytes streams may take: from an account's limits, or from a server's memory and disk.

Copies count: a stream of three replicas takes three times its max_bytes of an account
without tiers, and so it does here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from fleet_common.planning.errors import BudgetTooSmallError, UnlimitedAccountError
from fleet_common.units import format_size
from fleet_contracts.streams import (
    ASSIGNMENTS_BUCKET,
    ASSIGNMENTS_BUCKET_MAX_BYTES,
    DUPLICATE_WINDOW_SECONDS,
    INVENTORY_BUCKET,
    INVENTORY_BUCKET_MAX_BYTES,
    SHARDS_BUCKET,
    SHARDS_BUCKET_MAX_BYTES,
    TENANTS_BUCKET,
    TENANTS_BUCKET_MAX_BYTES,
    StreamStorage,
)

# Measured with nats-server 2.15.0, 62 MB of 400 B payloads written and read twice by durable
# consumers; tests/integration/test_common_server_memory.py holds the server to the sum.
SERVER_BASE_BYTES: Final = 16 * 1024 * 1024
"""Resident size of a server without streams (14.4 MB seen)."""
MEMORY_STREAM_RESIDENT: Final = 1.9
"""Resident bytes for each byte of a memory stream. Live are 1.73; without GOMEMLIMIT 2.9 were
seen while the stream was read, with GOMEMLIMIT at 1.5 ten times the CPU time."""
FILE_STREAM_CACHE_BYTES: Final = 12 * 1024 * 1024
"""Resident bytes for a file stream: the block being written, one being read, indexes. Catching
up fills caches with up to all of the stream (41 of 62 MB seen); GOMEMLIMIT gives them back."""
MESSAGE_ID_BYTES: Final = 200
"""Resident bytes for each message id, as long as the duplicate window remembers it."""
DISK_OVERHEAD: Final = 1.1
"""Disk bytes for each byte of a file stream (1.05 seen): a block goes when all in it has gone."""
RESIDENT_SHARE: Final = 0.9
"""The part of a container's memory limit that is planned."""
_OUTSIDE_GO_BYTES: Final = 10 * 1024 * 1024
"""What is resident beside the Go heap that GOMEMLIMIT counts: the program itself."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room that is not ours to plan: another's stream, a KV bucket. Bytes, copies counted."""

    name: str
    storage: StreamStorage
    size_bytes: int


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """A JetStream account's limits in bytes, copies counted; None: the account has none."""

    file_bytes: int | None
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class StreamBudget:
    """What all our streams may take by storage type; None: unlimited, which nobody may use.

    `together_bytes` bounds both types at once, where they come out of one purse.
    """

    file_bytes: int | None
    memory_bytes: int | None
    together_bytes: int | None = None

    def bound(self, storages: Iterable[StreamStorage]) -> int:
        """The most that streams of these types may take together.

        Raises UnlimitedAccountError when one of them has no bound.
        """
        wanted = set(storages)
        total = 0
        for storage, limit in (
            (StreamStorage.FILE, self.file_bytes),
            (StreamStorage.MEMORY, self.memory_bytes),
        ):
            if storage not in wanted:
                continue
            if limit is None and self.together_bytes is None:
                raise UnlimitedAccountError(
                    f"the account sets no limit on {storage.value} storage: give a budget, "
                    "or a stream can fill the broker and stop everything behind it"
                )
            if limit is None:
                return self.together_bytes or 0
            total += limit
        return total if self.together_bytes is None else min(total, self.together_bytes)


def single_budget(budget_bytes: int) -> StreamBudget:
    """One purse for file and memory streams."""
    return StreamBudget(budget_bytes, budget_bytes, budget_bytes)


def bucket_reservations(replicas: int = 1) -> tuple[Reservation, ...]:
    """The room of RouterFleet's own KV buckets."""
    return tuple(
        Reservation(f"KV_{name}", StreamStorage.FILE, size * replicas)
        for name, size in (
            (INVENTORY_BUCKET, INVENTORY_BUCKET_MAX_BYTES),
            (ASSIGNMENTS_BUCKET, ASSIGNMENTS_BUCKET_MAX_BYTES),
            (SHARDS_BUCKET, SHARDS_BUCKET_MAX_BYTES),
            (TENANTS_BUCKET, TENANTS_BUCKET_MAX_BYTES),
        )
    )


def account_budget(
    limits: AccountLimits, reservations: Sequence[Reservation], given: StreamBudget | None = None
) -> StreamBudget:
    """What is left of the account after others' reservations, and no more than `given`.

    Raises BudgetTooSmallError when the reservations alone exceed a limit.
    """
    left = {
        storage: _left(storage, limit, reservations)
        for storage, limit in (
            (StreamStorage.FILE, limits.file_bytes),
            (StreamStorage.MEMORY, limits.memory_bytes),
        )
    }
    file_bytes, memory_bytes = left[StreamStorage.FILE], left[StreamStorage.MEMORY]
    if given is None:
        return StreamBudget(file_bytes, memory_bytes)
    return StreamBudget(
        _least(file_bytes, given.file_bytes),
        _least(memory_bytes, given.memory_bytes),
        given.together_bytes,
    )


def _left(
    storage: StreamStorage, limit: int | None, reservations: Sequence[Reservation]
) -> int | None:
    if limit is None:
        return None
    others = [one for one in reservations if one.storage is storage]
    taken = sum(one.size_bytes for one in others)
    if taken > limit:
        names = ", ".join(f"{one.name} {format_size(one.size_bytes)}" for one in others)
        raise BudgetTooSmallError(
            f"{storage.value} storage: {format_size(taken)} are reserved already ({names}), "
            f"the account's limit is {format_size(limit)}"
        )
    return limit - taken


def _least(one: int | None, other: int | None) -> int | None:
    given = [value for value in (one, other) if value is not None]
    return min(given, default=None)


@dataclass(frozen=True, slots=True)
class ServerBudget:
    """A nats-server's container: its memory limit and its volume, in bytes."""

    memory_limit_bytes: int
    disk_bytes: int

    @property
    def go_memory_limit_bytes(self) -> int:
        """What GOMEMLIMIT must be for the resident size to stay within the limit."""
        planned = int(self.memory_limit_bytes * RESIDENT_SHARE)
        return max(_OUTSIDE_GO_BYTES, planned - _OUTSIDE_GO_BYTES)

    def stream_budget(self, file_streams: int, messages_per_second: float) -> StreamBudget:
        """What streams may take on this server, `file_streams` of them in files.

        File streams and message ids need memory too, and come first: what is left is for
        memory streams. Raises BudgetTooSmallError when the server itself does not fit.
        """
        own = _own_memory(file_streams, messages_per_second)
        spare = int(self.memory_limit_bytes * RESIDENT_SHARE) - own
        if spare < 0:
            raise BudgetTooSmallError(
                f"a memory limit of {format_size(self.memory_limit_bytes)} is below "
                f"{format_size(own / RESIDENT_SHARE)}, what nats-server needs for itself, "
                f"{file_streams} file streams and {messages_per_second:.1f} messages a second"
            )
        return StreamBudget(
            file_bytes=int(self.disk_bytes / DISK_OVERHEAD),
            memory_bytes=int(spare / MEMORY_STREAM_RESIDENT),
        )


def server_memory_needed(
    file_streams: int, memory_stream_bytes: int, messages_per_second: float
) -> int:
    """The container limit for these streams: the reverse of `ServerBudget.stream_budget`."""
    own = _own_memory(file_streams, messages_per_second)
    return ceil((own + memory_stream_bytes * MEMORY_STREAM_RESIDENT) / RESIDENT_SHARE)


def _own_memory(file_streams: int, messages_per_second: float) -> int:
    remembered = messages_per_second * DUPLICATE_WINDOW_SECONDS
    return (
        SERVER_BASE_BYTES
        + file_streams * FILE_STREAM_CACHE_BYTES
        + ceil(remembered * MESSAGE_ID_BYTES)
    )
