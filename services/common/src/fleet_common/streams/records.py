"""Device records of the fleets, and what else is in the buckets under a tenant's name."""

from collections.abc import Mapping, Sequence

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError, ServiceUnavailableError
from nats.js.kv import KeyValue

from fleet_common.broker import created_at, declare_bucket
from fleet_common.fleet_spec import RouterFleet
from fleet_common.inventory import device_records, replace_all
from fleet_common.streams.live import LiveStream
from fleet_common.tenants import TENANTS_STREAM, read_values, tenant_record
from fleet_contracts.streams import (
    ASSIGNMENTS_BUCKET,
    ASSIGNMENTS_BUCKET_MAX_BYTES,
    INVENTORY_BUCKET,
    INVENTORY_BUCKET_MAX_BYTES,
    TENANTS_BUCKET,
    TENANTS_BUCKET_MAX_BYTES,
)
from fleet_contracts.subjects import TenantId


class Records:
    """Who writes the inventory, and clears the assignments of a tenant that left."""

    def __init__(self, js: JetStreamContext, replicas: int = 1) -> None:
        self._js = js
        self._replicas = replicas
        self._buckets: tuple[KeyValue, KeyValue] | None = None

    async def record(self, fleet: RouterFleet) -> None:
        """The inventory holds the fleet's devices. Raises nats errors."""
        inventory, _ = await self.declare()
        records = {record.key(): record for record in device_records(fleet)}
        await replace_all(inventory, fleet.tenant, records)

    async def forget(self, tenant: TenantId) -> None:
        """Nothing of the tenant is left. Raises nats errors."""
        inventory, assignments = await self.declare()
        # A poller reads a device's record while it is assigned to it: records go last.
        await replace_all(assignments, tenant, {})
        await replace_all(inventory, tenant, {})

    async def declare(self) -> tuple[KeyValue, KeyValue]:
        """Inventory and assignments, there from now on. Raises nats errors."""
        if self._buckets is None:
            js, copies = self._js, self._replicas
            self._buckets = (
                await declare_bucket(js, INVENTORY_BUCKET, INVENTORY_BUCKET_MAX_BYTES, copies),
                await declare_bucket(js, ASSIGNMENTS_BUCKET, ASSIGNMENTS_BUCKET_MAX_BYTES, copies),
            )
        return self._buckets


class TenantRecords:
    """Writes what services must know of each tenant; records of those that left stay.

    The bucket's own sequence says whether anybody else wrote: while it is the one that was
    left here, nothing is read.
    """

    def __init__(self, client: Client, js: JetStreamContext, replicas: int = 1) -> None:
        self._client = client
        self._js = js
        self._replicas = replicas
        self._there: dict[str, bytes] = {}
        self._mark: tuple[str, int] | None = None

    async def declare(self) -> KeyValue:
        """The bucket, there from now on. Raises nats errors."""
        return await declare_bucket(
            self._js, TENANTS_BUCKET, TENANTS_BUCKET_MAX_BYTES, self._replicas
        )

    async def record(
        self, fleets: Sequence[RouterFleet], streams: Mapping[str, LiveStream]
    ) -> dict[TenantId, str]:
        """The bucket has a record of each fleet; why not, of those that the broker refuses.

        `streams`: the account's, listed just now. Raises nats errors or TransientError.
        """
        live = streams.get(TENANTS_STREAM)
        mark = None if live is None else (created_at(live.info), live.info.state.last_seq)
        if mark is None or mark != self._mark:
            self._there = await read_values(self._client)
        self._mark = None
        bucket: KeyValue | None = None
        refused: dict[TenantId, str] = {}
        written = 0
        for fleet in fleets:
            record = tenant_record(fleet)
            value = record.model_dump_json().encode()
            if self._there.get(record.key()) == value:
                continue
            if bucket is None:
                bucket = await self.declare()
            try:
                await bucket.put(record.key(), value)
            except APIError as error:
                if isinstance(error, ServiceUnavailableError) and error.err_code is None:
                    raise
                refused[fleet.tenant] = (
                    f"bucket {TENANTS_BUCKET}: the broker refuses the record: {error.description}"
                )
                continue
            self._there[record.key()] = value
            written += 1
        if mark is not None:
            self._mark = (mark[0], mark[1] + written)
        return refused
