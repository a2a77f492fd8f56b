"""Which tenants have a stream now: how services find what to read.

Streams of other names, KV buckets among them, are none of our business.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from nats.aio.client import Client
from nats.js.api import StreamInfo

from fleet_common.errors import TransientError
from fleet_common.jetstream_api import ask, list_pages
from fleet_contracts.subjects import TenantId, stream_name, tenant_of_stream


async def tenants_with_streams(client: Client, *, timeout_seconds: float = 5.0) -> set[TenantId]:
    """Their ids alone, which costs the broker least. Raises TransientError."""
    return {
        tenant
        async for page in list_pages(client, "STREAM.NAMES", timeout_seconds)
        for name in page.streams
        if (tenant := tenant_of_stream(name)) is not None
    }


@dataclass(frozen=True, slots=True)
class TenantStreams:
    """The streams as they are, by tenant.

    `silent`: tenants whose stream is there (or may be) while the broker says nothing of it, as
    when it has no leader. It is not gone.
    """

    found: dict[TenantId, StreamInfo]
    silent: frozenset[TenantId] = frozenset()


async def tenant_streams(client: Client, *, timeout_seconds: float = 5.0) -> TenantStreams:
    """All there are. Raises TransientError."""
    found: dict[TenantId, StreamInfo] = {}
    silent: set[TenantId] = set()
    async for page in list_pages(client, "STREAM.LIST", timeout_seconds):
        for document in page.streams:
            if (tenant := tenant_of_stream(document["config"]["name"])) is not None:
                found[tenant] = StreamInfo.from_response(document)
        for name in page.missing:
            if (tenant := tenant_of_stream(name)) is not None:
                silent.add(tenant)
    return TenantStreams(found, frozenset(silent - found.keys()))


async def streams_of(
    client: Client, tenants: Collection[TenantId], *, timeout_seconds: float = 5.0
) -> TenantStreams:
    """Those of these tenants. Raises TransientError when the broker says nothing of any."""
    asked = [tenant_stream(client, one, timeout_seconds=timeout_seconds) for one in tenants]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    found: dict[TenantId, StreamInfo] = {}
    silent: dict[TenantId, TransientError] = {}
    for tenant, answer in zip(tenants, answers, strict=True):
        if isinstance(answer, TransientError):
            silent[tenant] = answer
        elif isinstance(answer, BaseException):
            raise answer
        elif answer is not None:
            found[tenant] = answer
    if silent and len(silent) == len(tenants):
        raise next(iter(silent.values()))
    return TenantStreams(found, frozenset(silent))


async def tenant_stream(
    client: Client, tenant: TenantId, *, timeout_seconds: float = 5.0
) -> StreamInfo | None:
    """One tenant's; None when it has none. Raises TransientError."""
    answer = await ask(client, f"STREAM.INFO.{stream_name(tenant)}", {}, timeout_seconds)
    return StreamInfo.from_response(answer) if answer else None
