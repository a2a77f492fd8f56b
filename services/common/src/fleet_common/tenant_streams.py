"""Which tenants have a stream now: how services find what to read.

Streams of other names, KV buckets among them, are none of our business.
"""

from nats.aio.client import Client
from nats.js.api import StreamInfo

from fleet_common.jetstream_api import ask, list_all
from fleet_contracts.subjects import TenantId, stream_name, tenant_of_stream


async def tenants_with_streams(client: Client, *, timeout_seconds: float = 5.0) -> set[TenantId]:
    """Their ids alone, which costs the broker least. Raises TransientError."""
    return {
        tenant
        async for page in list_all(client, "STREAM.NAMES", timeout_seconds)
        for name in page
        if (tenant := tenant_of_stream(name)) is not None
    }


async def tenant_streams(
    client: Client, *, timeout_seconds: float = 5.0
) -> dict[TenantId, StreamInfo]:
    """The streams as they are, by tenant. Raises TransientError."""
    return {
        tenant: StreamInfo.from_response(document)
        async for page in list_all(client, "STREAM.LIST", timeout_seconds)
        for document in page
        if (tenant := tenant_of_stream(document["config"]["name"])) is not None
    }


async def tenant_stream(
    client: Client, tenant: TenantId, *, timeout_seconds: float = 5.0
) -> StreamInfo | None:
    """One tenant's; None when it has none. Raises TransientError."""
    answer = await ask(client, f"STREAM.INFO.{stream_name(tenant)}", {}, timeout_seconds)
    return StreamInfo.from_response(answer) if answer else None
