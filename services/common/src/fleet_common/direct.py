"""Messages of a stream by direct get: no consumer is needed.

Protocol: NATS ADR-31 (`batch` and `multi_last`, server 2.11 and later). Of `multi_last` the
server answers at most 1,024 subjects at a time, so subjects are listed first and read in chunks.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from fleet_common.errors import TransientError
from fleet_common.jetstream_api import ask

_CHUNK: Final = 256
_STATUS: Final = "Status"
_END_OF_BATCH: Final = frozenset({"204", "404"})
"""404: nothing is there that was asked for."""


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
) -> AsyncGenerator[StoredMessage]:
    """The newest message of every subject under the filter, each subject once, in chunks.

    `limit`: of so many of the subjects, spread evenly over them in the order of their names:
    devices whose names begin alike are often alike. `timeout_seconds` bounds each request.
    Raises TransientError when the broker or the stream does not answer; what was given before
    stays valid.
    """
    subjects = sorted(await _subjects(client, stream, subject_filter, timeout_seconds))
    if limit is not None and limit < len(subjects):
        subjects = [subjects[number * len(subjects) // limit] for number in range(limit)]
    async for message in last_of_subjects(
        client, stream, subjects, timeout_seconds=timeout_seconds
    ):
        yield message


async def last_of_subjects(
    client: Client, stream: str, subjects: Sequence[str], *, timeout_seconds: float = 5.0
) -> AsyncGenerator[StoredMessage]:
    """The newest message of each of these subjects that has one; otherwise as `last_messages`."""
    for start in range(0, len(subjects), _CHUNK):
        request = {"multi_last": list(subjects[start : start + _CHUNK])}
        for message in await direct_get(client, stream, request, timeout_seconds):
            yield message


async def last_message(
    client: Client, stream: str, subject: str, *, timeout_seconds: float = 5.0
) -> StoredMessage | None:
    """The newest message of one subject; None when the stream holds none."""
    found = await direct_get(client, stream, {"multi_last": [subject]}, timeout_seconds)
    return found[0] if found else None


async def direct_get(
    client: Client, stream: str, request: Mapping[str, object], timeout_seconds: float
) -> list[StoredMessage]:
    """All that one request is answered with, in the server's order; empty when there is nothing.

    Raises TransientError when the answers do not end within the time, or with an error. When
    the connection is made anew meanwhile, some of them may be missing.
    """
    inbox = client.new_inbox()
    answers: list[Msg] = []
    ended = asyncio.Event()

    async def take(message: Msg) -> None:
        answers.append(message)
        # The end marker comes last, on the same connection.
        if message.headers is not None and _STATUS in message.headers:
            ended.set()

    try:
        subscription = await client.subscribe(inbox, cb=take)  # pyright: ignore[reportUnknownMemberType] - nats-py types its callback loosely
        try:
            body = json.dumps(request).encode()
            await client.publish(f"$JS.API.DIRECT.GET.{stream}", body, reply=inbox)
            async with asyncio.timeout(timeout_seconds):
                await ended.wait()
        finally:
            await subscription.unsubscribe()
    except (NatsError, TimeoutError, OSError) as error:
        raise TransientError(
            f"stream {stream}: messages not read: {type(error).__name__}: {error}"
        ) from error
    status = (answers.pop().headers or {})[_STATUS]
    if status not in _END_OF_BATCH:
        raise TransientError(f"stream {stream}: direct get answered {status}")
    return [_stored(stream, answer) for answer in answers]


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


def _stored(stream: str, answer: Msg) -> StoredMessage:
    headers = answer.headers
    if headers is None:
        raise TransientError(f"stream {stream}: a message without its headers")
    return StoredMessage(
        subject=headers["Nats-Subject"],
        sequence=int(headers["Nats-Sequence"]),
        payload=answer.data,
        headers=headers,
    )
