"""Requests to the JetStream API as it is documented, for what nats-py does not do.

nats-py 2.16 drops the times of a stream's first and last message, and lists one page of the
streams only. Protocol: NATS ADR-1 and https://docs.nats.io/reference/reference-protocols/nats_api_reference
"""

import json
from collections.abc import AsyncGenerator
from typing import Any, Final, cast

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


async def list_pages(
    client: Client, operation: str, timeout_seconds: float
) -> AsyncGenerator[Answer]:
    """Page by page what STREAM.LIST or STREAM.NAMES answers. Raises TransientError.

    Of a stream without a leader a cluster says nothing but its name, among STREAM.LIST's
    `missing`, and takes 4 s to say it (nats-server 2.15).
    """
    offset = 0
    while True:
        answer = await ask(client, operation, {"offset": offset}, timeout_seconds)
        yield answer
        told = sum(len(answer.get(part) or []) for part in ("streams", "missing"))
        offset += told
        if not told or offset >= answer.get("total", 0):
            return


async def list_all(
    client: Client, operation: str, timeout_seconds: float
) -> AsyncGenerator[list[Any]]:
    """Page by page the `streams` of `list_pages`. Raises TransientError."""
    async for answer in list_pages(client, operation, timeout_seconds):
        page = cast("list[Any]", answer.get("streams") or [])
        if page:
            yield page
