"""All streams of the account, listed again and again without making anew what did not change."""

import json
from collections.abc import Mapping
from typing import Final

from nats.aio.client import Client

from fleet_common.errors import TransientError
from fleet_common.jetstream_api import Answer, list_pages
from fleet_common.streams.live import LiveStream, NoLeaderError, live_stream, look_at
from fleet_contracts.subjects import TenantId, stream_name, tenant_of_stream

_ELECTED_SECONDS: Final = 1.0
"""How long a stream's leader may take to say that it is one."""


class StreamListing:
    """Of a stream that is as it was at the last listing, the same object comes again.

    So who looks at a hundred streams of which ninety rest has ten to look at. What a cluster says
    of its servers besides (who leads, who lags) is not compared, and is that of when the stream
    changed last.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, tuple[int, LiveStream]] = {}
        self._listed: Mapping[str, LiveStream] = {}

    async def all(self, *, timeout_seconds: float = 5.0) -> Mapping[str, LiveStream]:
        """All streams by name, KV buckets among them; the same object while none changes.

        Raises TransientError; NoLeaderError while a tenant's stream has none: taken for one that
        is not there, it would be planned without regard to what it holds.
        """
        known: dict[str, tuple[int, LiveStream]] = {}
        async for page in list_pages(self._client, "STREAM.LIST", timeout_seconds):
            for answer in page.streams:
                digest, name = _digest(answer), answer["config"]["name"]
                before = self._known.get(name)
                if before is None or before[0] != digest:
                    before = (digest, live_stream(answer))
                known[name] = before
            for name in page.missing:
                if (tenant := tenant_of_stream(name)) is not None:
                    found = await _elected(self._client, tenant)
                    if found is not None:
                        known[found.name] = (_NO_DIGEST, found)
        if known.keys() != self._known.keys() or any(
            one is not self._known[name] for name, one in known.items()
        ):
            self._known = known
            self._listed = {name: live for name, (_, live) in known.items()}
        return self._listed


async def list_streams(client: Client, *, timeout_seconds: float = 5.0) -> Mapping[str, LiveStream]:
    """Once. See `StreamListing.all`."""
    return await StreamListing(client).all(timeout_seconds=timeout_seconds)


_NO_DIGEST: Final = -1
"""`hash` never gives it."""


def _digest(answer: Answer) -> int:
    """Of all that a LiveStream is read from; not of the answer's own time."""
    return hash(json.dumps([answer["config"], answer["created"], answer["state"]]))


async def _elected(client: Client, tenant: TenantId) -> LiveStream | None:
    """A stream that had no leader when it was listed, if it has one now; None when it is gone."""
    try:
        return await look_at(client, stream_name(tenant), timeout_seconds=_ELECTED_SECONDS)
    except TransientError as error:
        raise NoLeaderError(tenant) from error
