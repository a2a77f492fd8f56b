"""How large stored messages really are, for the planner."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from nats.aio.client import Client

from fleet_common.direct import StoredMessage, last_messages
from fleet_common.streams.listing import list_streams
from fleet_contracts.subjects import Kind, TenantId, kind_subjects, stream_name

SAMPLES_PER_KIND: Final = 64
# nats-server's file store: record overhead without and with headers (measured on 2.15).
_RECORD_BYTES: Final = 30
_RECORD_WITH_HEADERS_BYTES: Final = 34
_HEADER_LINE: Final = len("NATS/1.0\r\n\r\n")
_FIELD_OVERHEAD: Final = len(": \r\n")
_ADDED_BY_DIRECT_GET: Final = frozenset(
    {"Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Num-Pending",
     "Nats-Last-Sequence", "Nats-UpTo-Sequence"}
)  # fmt: skip


def stored_bytes(message: StoredMessage) -> int:
    """What the message takes in a file stream."""
    own = [
        (name, value) for name, value in message.headers.items() if name not in _ADDED_BY_DIRECT_GET
    ]
    plain = len(message.subject) + len(message.payload)
    if not own:
        return plain + _RECORD_BYTES
    headers = sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in own)
    return plain + _HEADER_LINE + headers + _RECORD_WITH_HEADERS_BYTES


async def measure_kinds(
    client: Client, tenants: Sequence[TenantId]
) -> Mapping[TenantId, Mapping[Kind, float]]:
    """By tenant, the mean size of the newest messages of each kind that anybody published.

    Of SAMPLES_PER_KIND devices, spread over all of them: the first by name may all be of one
    model, and those chosen stay the same, so that a size does not change with every look.
    Each tenant's own: one with large messages must not change what another gets. A device
    that is down publishes a short status only: with kinds measured one by one it does not
    distort the others. Raises TransientError.
    """
    return {tenant: await _measure_tenant(client, tenant) for tenant in tenants}


async def measure_filled(
    client: Client, tenants: Iterable[TenantId]
) -> Mapping[TenantId, Mapping[Kind, float]]:
    """`measure_kinds` of those whose stream holds messages. Raises TransientError."""
    streams = await list_streams(client)
    return await measure_kinds(
        client,
        [
            tenant
            for tenant in tenants
            if (one := streams.get(stream_name(tenant))) and one.info.state.messages
        ],
    )


async def _measure_tenant(client: Client, tenant: TenantId) -> Mapping[Kind, float]:
    sizes: dict[Kind, float] = {}
    for kind in Kind:
        newest = last_messages(
            client, stream_name(tenant), kind_subjects(tenant, kind), limit=SAMPLES_PER_KIND
        )
        seen = [stored_bytes(message) async for message in newest]
        if seen:
            sizes[kind] = sum(seen) / len(seen)
    return sizes
