"""The newest message of each subject of a stream, by direct get: no consumer is needed.

Protocol: NATS ADR-31 (`multi_last`, server 2.11 and later). The server answers at most
1,024 subjects at a time, so subjects are listed first and read in chunks.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from fleet_common.errors import TransientError
from fleet_common.jetstream_api import ask

_CHUNK: Final = 256
_STATUS: Final = "Status"
_END_OF_BATCH: Final = "204"
_NOTHING_FOUND: Final = "404"


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message as the stream holds it."""

    subject: str
    sequence: int
    payload: bytes
    headers: Mapping[str, str]


async def last_messages(
    client: Client,
    stream: str,
    subject_filter: str,
    *,
    timeout_seconds: float = 5.0,
    limit: int | None = None,
) -> AsyncIterator[StoredMessage]:
    """The newest message of every subject under the filter, each subject once, in chunks.

    `limit`: of so many of the subjects, whichever. `timeout_seconds` bounds each request.
    Raises TransientError when the broker or the stream does not answer; what was given before
    stays valid.
    """
    try:
        subjects = await _subjects(client, stream, subject_filter, timeout_seconds)
        subjects = subjects[:limit]
        for start in range(0, len(subjects), _CHUNK):
            chunk = subjects[start : start + _CHUNK]
            for message in await _read_last(client, stream, chunk, timeout_seconds):
                yield message
    except (NatsError, TimeoutError, OSError) as error:
        raise TransientError(
            f"stream {stream}: newest messages not read: {type(error).__name__}: {error}"
        ) from error


async def last_of_subjects(
    client: Client, stream: str, subjects: Sequence[str], *, timeout_seconds: float = 5.0
) -> AsyncIterator[StoredMessage]:
    """The newest message of each of these subjects that has one; otherwise as `last_messages`."""
    try:
        for start in range(0, len(subjects), _CHUNK):
            chunk = list(subjects[start : start + _CHUNK])
            for message in await _read_last(client, stream, chunk, timeout_seconds):
                yield message
    except (NatsError, TimeoutError, OSError) as error:
        raise TransientError(
            f"stream {stream}: newest messages not read: {type(error).__name__}: {error}"
        ) from error


async def last_message(
    client: Client, stream: str, subject: str, *, timeout_seconds: float = 5.0
) -> StoredMessage | None:
    """The newest message of one subject; None when the stream holds none."""
    try:
        found = await _read_last(client, stream, [subject], timeout_seconds)
    except (NatsError, TimeoutError, OSError) as error:
        raise TransientError(
            f"stream {stream}: newest message of {subject} not read: "
            f"{type(error).__name__}: {error}"
        ) from error
    return found[0] if found else None


async def _subjects(
    client: Client, stream: str, subject_filter: str, timeout_seconds: float
) -> list[str]:
    found: list[str] = []
    while True:
        request = {"subjects_filter": subject_filter, "offset": len(found)}
        answer = await ask(client, f"STREAM.INFO.{stream}", request, timeout_seconds)
        if not answer:
            raise TransientError(f"stream {stream} does not exist")
        page = cast("dict[str, int]", answer["state"].get("subjects") or {})
        found.extend(page)
        if not page or len(found) >= answer.get("total", 0):
            return found


async def _read_last(
    client: Client, stream: str, subjects: list[str], timeout_seconds: float
) -> list[StoredMessage]:
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)  # pyright: ignore[reportUnknownMemberType] - nats-py types its callback loosely
    messages: list[StoredMessage] = []
    try:
        request = json.dumps({"multi_last": subjects}).encode()
        await client.publish(f"$JS.API.DIRECT.GET.{stream}", request, reply=inbox)
        async with asyncio.timeout(timeout_seconds):
            while True:
                reply = await subscription.next_msg(timeout=timeout_seconds)
                status = (reply.headers or {}).get(_STATUS)
                if status in {_END_OF_BATCH, _NOTHING_FOUND}:
                    return messages
                if status is not None:
                    raise TransientError(f"stream {stream}: direct get answered {status}")
                messages.append(_stored(reply))
    finally:
        await subscription.unsubscribe()


def _stored(reply: Msg) -> StoredMessage:
    headers = reply.headers or {}
    return StoredMessage(
        subject=headers["Nats-Subject"],
        sequence=int(headers["Nats-Sequence"]),
        payload=reply.data,
        headers=headers,
    )
