"""Requests to the JetStream API as it is documented, for what nats-py does not do.

nats-py 2.16 drops the times of a stream's first and last message, and lists one page of the
streams only. Protocol: NATS ADR-1 and https://docs.nats.io/reference/reference-protocols/nats_api_reference
"""

import json
from collections.abc import AsyncGenerator
from typing import Any, Final, NamedTuple, cast

from nats.aio.client import Client
from nats.errors import Error as NatsError

from fleet_common.errors import TransientError

_NOT_FOUND: Final = 404

type Answer = dict[str, Any]


async def ask(client: Client, operation: str, body: Answer, timeout_seconds: float) -> Answer:
    """The answer; empty when what was asked about does not exist. Raises TransientError."""
    try:
        reply = await client.request(
            f"$JS.API.{operation}", json.dumps(body).encode(), timeout=timeout_seconds
        )
    except (NatsError, TimeoutError, OSError) as error:
        raise TransientError(
            f"broker does not answer {operation}: {type(error).__name__}: {error}"
        ) from error
    answer = cast("Answer", json.loads(reply.data))
    failure = cast("Answer | None", answer.get("error"))
    if failure is None:
        return answer
    if failure.get("code") == _NOT_FOUND:
        return {}
    raise TransientError(f"broker answers {operation} with: {failure.get('description')}")


class StreamPage(NamedTuple):
    """A page of STREAM.LIST (documents) or STREAM.NAMES (names).

    Of a stream without a leader a cluster says nothing but its name, among STREAM.LIST's
    `missing`, and takes 4 s to say it (nats-server 2.15).
    """

    streams: list[Any]
    missing: list[str]


async def list_pages(
    client: Client, operation: str, timeout_seconds: float
) -> AsyncGenerator[StreamPage]:
    """Page by page what STREAM.LIST or STREAM.NAMES answers. Raises TransientError."""
    offset = 0
    while True:
        answer = await ask(client, operation, {"offset": offset}, timeout_seconds)
        page = StreamPage(answer.get("streams") or [], answer.get("missing") or [])
        yield page
        told = len(page.streams) + len(page.missing)
        offset += told
        if not told or offset >= answer.get("total", 0):
            return
