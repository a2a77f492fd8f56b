"""The planner's view of a broker: its streams, what is stored of them, the account's limits.

Raw JetStream API requests: nats-py 2.16 drops the times of a stream's first and last
message, and lists one page of streams. For the owner of the streams only.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from nats.aio.client import Client
from nats.errors import Error as NatsError

from fleet_common.errors import TransientError
from fleet_common.planning import AccountLimits, ExistingStream, Reservation, StreamState
from fleet_contracts.streams import StreamStorage

_API: Final = "$JS.API"
_NOT_FOUND: Final = 404
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LiveStream:
    """One stream as it stands. Bytes, seconds, Unix seconds; None: no limit, no message."""

    name: str
    subjects: tuple[str, ...]
    storage: StreamStorage
    replicas: int
    max_bytes: int | None
    max_age_seconds: float | None
    first_sequence: int
    last_sequence: int
    messages: int
    bytes: int
    first_time: float | None
    last_time: float | None

    @property
    def existing(self) -> ExistingStream:
        """For `check_subjects`."""
        return ExistingStream(self.name, self.subjects)

    @property
    def reservation(self) -> Reservation:
        """For `account_budget`; a stream without max_bytes counts with what it holds."""
        size = self.bytes if self.max_bytes is None else self.max_bytes
        return Reservation(self.name, self.storage, size * self.replicas)

    def state(self, stored_sequence: int | None) -> StreamState:
        """For `PlanRequest.streams`."""
        return StreamState(
            first_sequence=self.first_sequence,
            last_sequence=self.last_sequence,
            messages=self.messages,
            bytes=self.bytes,
            first_time=self.first_time,
            last_time=self.last_time,
            max_bytes=self.max_bytes,
            max_age_seconds=self.max_age_seconds,
            stored_sequence=stored_sequence,
        )


def server_version(client: Client) -> str:
    """The connected server's version, for `check_server_version`."""
    version = client.connected_server_version
    return f"{version.major}.{version.minor}.{version.patch}"


async def list_streams(client: Client, *, timeout_seconds: float = 5.0) -> list[LiveStream]:
    """All streams of the account, KV buckets among them. Raises TransientError."""
    found: dict[str, LiveStream] = {}
    offset = 0
    while True:
        page = await _request(client, "STREAM.LIST", {"offset": offset}, timeout_seconds)
        streams = cast("list[dict[str, Any]]", page.get("streams") or [])
        found |= {one.name: one for one in map(_live_stream, streams)}
        offset += len(streams)
        if not streams or offset >= page.get("total", 0):
            return list(found.values())


async def stored_sequence(
    client: Client, stream: str, consumers: Collection[str], *, timeout_seconds: float = 5.0
) -> int | None:
    """What the slowest of these durable consumers has stored: its acknowledgement floor.

    A consumer that is not there has stored nothing: 0, so that nothing it will need is
    discarded meanwhile. None when none is asked for. Raises TransientError.
    """
    floors: list[int] = []
    for name in consumers:
        answer = await _request(client, f"CONSUMER.INFO.{stream}.{name}", {}, timeout_seconds)
        floors.append(int(answer["ack_floor"]["stream_seq"]) if answer else 0)
    return min(floors, default=None)


async def account_limits(client: Client, *, timeout_seconds: float = 5.0) -> AccountLimits:
    """The account's limits; limits by tier count as none. Raises TransientError."""
    answer = await _request(client, "INFO", {}, timeout_seconds)
    limits = cast("dict[str, int]", answer.get("limits") or {})
    return AccountLimits(
        file_bytes=_limit(limits.get("max_storage", -1)),
        memory_bytes=_limit(limits.get("max_memory", -1)),
    )


async def _request(
    client: Client, operation: str, body: dict[str, Any], timeout_seconds: float
) -> dict[str, Any]:
    """The answer; empty when what was asked about does not exist."""
    try:
        reply = await client.request(
            f"{_API}.{operation}", json.dumps(body).encode(), timeout=timeout_seconds
        )
    except (NatsError, TimeoutError, OSError) as error:
        raise TransientError(
            f"broker does not answer {operation}: {type(error).__name__}: {error}"
        ) from error
    answer = cast("dict[str, Any]", json.loads(reply.data))
    failure = cast("dict[str, Any] | None", answer.get("error"))
    if failure is None:
        return answer
    if failure.get("code") == _NOT_FOUND:
        return {}
    raise TransientError(f"broker answers {operation} with: {failure.get('description')}")


def _live_stream(info: dict[str, Any]) -> LiveStream:
    config, state = info["config"], info["state"]
    age = config.get("max_age", 0)
    return LiveStream(
        name=config["name"],
        subjects=tuple(config.get("subjects") or ()),
        storage=StreamStorage(config["storage"]),
        replicas=config["num_replicas"],
        max_bytes=_limit(config["max_bytes"]),
        max_age_seconds=age / _NANOSECONDS if age else None,
        first_sequence=state["first_seq"],
        last_sequence=state["last_seq"],
        messages=state["messages"],
        bytes=state["bytes"],
        first_time=_unix(state["first_ts"]) if state["messages"] else None,
        last_time=_unix(state["last_ts"]) if state["messages"] else None,
    )


def _limit(value: int) -> int | None:
    """The broker's way to say unlimited is a number below 0 (and 0 for a stream)."""
    return value if value > 0 else None


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
