"""Streams as they are: their state with its times, and how far durable consumers have stored.

For the owner of the streams, and for who checks its work.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self, cast

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo, StorageType, StreamInfo
from nats.js.errors import NotFoundError

from fleet_common.errors import TransientError
from fleet_common.jetstream_api import Answer, ask
from fleet_common.planning import AccountLimits, ExistingStream, Reservation, StreamState
from fleet_contracts.streams import FIRMWARE_CONSUMER, WRITER_CONSUMER, StreamStorage
from fleet_contracts.subjects import TenantId, stream_name, tenant_of_stream, tenant_subjects

_DURABLES: Final = frozenset({WRITER_CONSUMER, FIRMWARE_CONSUMER})
_CONSUMERS_OF_A_PAGE: Final = 256
"""nats-server's JSApiListLimit."""
_LOOKS_TO_BE_BEHIND: Final = 2


class NoLeaderError(TransientError):
    """The broker is there, but nobody can say what this tenant's stream holds."""

    def __init__(self, tenant: TenantId) -> None:
        super().__init__(f"no server leads {stream_name(tenant)}; waiting for the election")
        self.tenant = tenant


@dataclass(frozen=True, slots=True)
class LiveStream:
    """One stream as the broker told it. Times are Unix seconds, None without messages.

    Not to be changed: the next listing may give the same object again.
    """

    info: StreamInfo
    first_time: float | None
    last_time: float | None

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.info.config.name or ""

    @property
    def max_bytes(self) -> int | None:
        """Its bound; None: it has none."""
        return _bound(self.info.config.max_bytes)

    @property
    def storage(self) -> StreamStorage:
        """Where it is kept."""
        memory = self.info.config.storage == StorageType.MEMORY
        return StreamStorage.MEMORY if memory else StreamStorage.FILE

    @property
    def existing(self) -> ExistingStream:
        """For `check_subjects`."""
        return ExistingStream(self.name, tuple(self.info.config.subjects or ()))

    @property
    def tenant(self) -> TenantId | None:
        """Whose stream it is; None for a bucket, and for a stranger's, whatever its name.

        A stream of RouterFleet listens to its tenant's subjects, whatever was added by hand.
        """
        tenant = tenant_of_stream(self.name)
        if tenant is None:
            return None
        own = tenant_subjects(tenant).removesuffix(">")
        return tenant if any(one.startswith(own) for one in self.existing.subjects) else None

    @property
    def reservation(self) -> Reservation:
        """For `account_budget`: what it may take, without a bound what it holds, copies counted."""
        size = max(self.max_bytes or 0, self.info.state.bytes)
        return Reservation(self.name, self.storage, size * (self.info.config.num_replicas or 1))

    def with_max_bytes(self, max_bytes: int) -> Self:
        """The same with another bound."""
        config = replace(self.info.config, max_bytes=max_bytes)
        return replace(self, info=replace(self.info, config=config))

    def state(self, stored_sequence: int | None) -> StreamState:
        """For `PlanRequest.streams`."""
        state = self.info.state
        return StreamState(
            first_sequence=state.first_seq,
            last_sequence=state.last_seq,
            messages=state.messages,
            bytes=state.bytes,
            first_time=self.first_time,
            last_time=self.last_time,
            max_bytes=self.max_bytes,
            max_age_seconds=_bound(self.info.config.max_age),
            stored_sequence=stored_sequence,
        )


def server_version(client: Client) -> str:
    """The connected server's version, for `check_server_version`."""
    version = client.connected_server_version
    return f"{version.major}.{version.minor}.{version.patch}"


async def look_at(
    client: Client, stream: str, *, timeout_seconds: float = 5.0
) -> LiveStream | None:
    """One stream; None when it does not exist. Raises TransientError."""
    answer = await ask(client, f"STREAM.INFO.{stream}", {}, timeout_seconds)
    return live_stream(answer) if answer else None


@dataclass(frozen=True, slots=True)
class Account:
    """What the account may store and stores, copies counted; other people's streams included."""

    limits: AccountLimits
    file_bytes: int
    memory_bytes: int
    reserved_file_bytes: int = 0
    reserved_memory_bytes: int = 0
    """What streams with a bound may grow to."""

    def overbooked(self, storage: StreamStorage) -> tuple[int, int] | None:
        """What is reserved and the limit, where a limit was lowered below what is reserved.

        nats-server changes no stream of that storage then, not even to a smaller size, unless
        that one change brings the account within its limit.
        """
        reserved, limit = (
            (self.reserved_file_bytes, self.limits.file_bytes)
            if storage is StreamStorage.FILE
            else (self.reserved_memory_bytes, self.limits.memory_bytes)
        )
        return None if limit is None or reserved <= limit else (reserved, limit)


async def look_at_account(client: Client, *, timeout_seconds: float = 5.0) -> Account:
    """The account's limits, those by tier counting as none, and use. Raises TransientError."""
    answer = await ask(client, "INFO", {}, timeout_seconds)
    limits = cast("dict[str, int]", answer.get("limits") or {})
    return Account(
        AccountLimits(
            file_bytes=_bound(limits.get("max_storage", -1)),
            memory_bytes=_bound(limits.get("max_memory", -1)),
        ),
        file_bytes=answer.get("storage", 0),
        memory_bytes=answer.get("memory", 0),
        reserved_file_bytes=answer.get("reserved_storage", 0),
        reserved_memory_bytes=answer.get("reserved_memory", 0),
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """How far a stream is stored, as sequences. None: no such consumer yet.

    `writer` is exact. `slowest` is the least of all durable consumers'; of one that reads only
    some subjects nobody can say more than that what it still waits for lies behind its floor.
    """

    writer: int | None = None
    slowest: int | None = None
    slowest_name: str | None = None
    waiting: bool = False
    """Whether any of them has something left to read or to acknowledge."""


class StoredPositions:
    """Reads them again and again: a consumer is behind when it was so two looks in a row."""

    def __init__(self) -> None:
        self._behind: dict[tuple[str, str], int] = {}

    def judge(self, stream: LiveStream, consumers: Sequence[ConsumerInfo]) -> Stored:
        """Of one look at a stream."""
        floors: dict[str, int] = {}
        for consumer in consumers:
            if consumer.name in _DURABLES:
                floors[consumer.name] = self._floor(stream, consumer)
        slowest = min(floors, key=lambda one: floors[one], default=None)
        return Stored(
            writer=floors.get(WRITER_CONSUMER),
            slowest=None if slowest is None else floors[slowest],
            slowest_name=slowest,
            waiting=any(_waiting(one) for one in consumers if one.name in _DURABLES),
        )

    def _floor(self, stream: LiveStream, consumer: ConsumerInfo) -> int:
        last = stream.info.state.last_seq
        key = (stream.name, consumer.name)
        if not _waiting(consumer):
            self._behind.pop(key, None)
            return last
        floor = 0 if consumer.ack_floor is None else consumer.ack_floor.stream_seq
        if consumer.name == WRITER_CONSUMER:
            return floor
        looks = self._behind[key] = self._behind.get(key, 0) + 1
        # What it does not read may lie between its floor and the stream's first message.
        return max(floor, stream.info.state.first_seq - 1) if looks >= _LOOKS_TO_BE_BEHIND else last


def _waiting(consumer: ConsumerInfo) -> int:
    return (consumer.num_pending or 0) + (consumer.num_ack_pending or 0)


async def durables_of(js: JetStreamContext, stream: LiveStream) -> list[ConsumerInfo]:
    """Our durable consumers that it has; none when it is gone. Raises other nats errors.

    The broker lists consumers in pages, and readers that nobody counts (clients, tools) may push
    ours off the first: where it is full, each is asked for by its name.
    """
    if not stream.info.state.consumer_count:
        return []
    try:
        listed = await js.consumers_info(stream.name)
    except NotFoundError:
        return []
    if len(listed) >= _CONSUMERS_OF_A_PAGE:
        found = await asyncio.gather(*(_consumer(js, stream.name, one) for one in _DURABLES))
        listed = [one for one in found if one is not None]
    return [one for one in listed if one.name in _DURABLES]


async def _consumer(js: JetStreamContext, stream: str, name: str) -> ConsumerInfo | None:
    try:
        return await js.consumer_info(stream, name)
    except NotFoundError:
        return None


def live_stream(answer: Answer) -> LiveStream:
    """From a STREAM.INFO, or an entry of STREAM.LIST; takes the document to pieces."""
    # The times first: nats-py turns the document into its own objects in place.
    state = answer["state"]
    times = [_unix(state[name]) if state["messages"] else None for name in ("first_ts", "last_ts")]
    return LiveStream(StreamInfo.from_response(answer), *times)


def _bound[NumberT: (int, float)](value: NumberT | None) -> NumberT | None:
    """The broker's way to say unlimited is a number below 0, or 0."""
    return value if value is not None and value > 0 else None


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
