"""What services must know of each tenant beside its devices, in a key-value bucket.

The owner of the streams writes it; the writer reads it. A record stays when its fleet has
left: so do the rows in the database that it is about.
"""

import logging
from typing import Annotated, Final

from nats.aio.client import Client
from nats.js.kv import KV_DEL, KV_OP, KV_PURGE
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fleet_common.direct import last_messages
from fleet_common.fleet_spec import RouterFleet
from fleet_common.streams.live import look_at
from fleet_contracts.streams import TENANTS_BUCKET
from fleet_contracts.subjects import TenantId

_log = logging.getLogger(__name__)

TENANTS_STREAM: Final = f"KV_{TENANTS_BUCKET}"
_PREFIX: Final = f"$KV.{TENANTS_BUCKET}."

type Days = Annotated[int, Field(ge=1, le=3650)]


class TenantRecord(BaseModel):
    """One tenant.

    `retention_days`: days by kind of row, in the words of `database.retentionDays`; a kind
    that is missing is kept as the writer's settings say.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    tenant: str
    retention_days: dict[str, Days] = {}

    def key(self) -> str:
        """The record's key in the bucket."""
        return self.tenant


def tenant_record(fleet: RouterFleet) -> TenantRecord:
    """The fleet's."""
    days = fleet.spec.database.retention_days.model_dump(exclude_none=True)
    return TenantRecord(tenant=fleet.tenant, retention_days=days)


async def read_values(client: Client, *, timeout_seconds: float = 5.0) -> dict[str, bytes]:
    """The bucket's values by key; empty without a bucket. Raises TransientError."""
    if await look_at(client, TENANTS_STREAM, timeout_seconds=timeout_seconds) is None:
        return {}
    values: dict[str, bytes] = {}
    async for message in last_messages(
        client, TENANTS_STREAM, f"{_PREFIX}>", timeout_seconds=timeout_seconds
    ):
        if message.headers.get(KV_OP) not in {KV_DEL, KV_PURGE}:
            values[message.subject.removeprefix(_PREFIX)] = message.payload
    return values


async def read_tenants(
    client: Client, *, timeout_seconds: float = 5.0
) -> dict[TenantId, TenantRecord]:
    """All records that can be read, by tenant. Raises TransientError.

    Who is missing has no record (any more), which says nothing about its rows.
    """
    records: dict[TenantId, TenantRecord] = {}
    for key, value in (await read_values(client, timeout_seconds=timeout_seconds)).items():
        try:
            records[TenantId(key)] = TenantRecord.model_validate_json(value)
        except ValidationError as error:
            _log.warning(
                "a tenant's record cannot be read; what was known of it stays",
                extra={"tenant": key, "reason": str(error)},
            )
    return records
