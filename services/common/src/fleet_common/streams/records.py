"""Device records of the fleets, and what else is in the buckets under a tenant's name."""

from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from fleet_common.broker import declare_bucket
from fleet_common.fleet_spec import RouterFleet
from fleet_common.inventory import device_records, replace_all
from fleet_contracts.streams import (
    ASSIGNMENTS_BUCKET,
    ASSIGNMENTS_BUCKET_MAX_BYTES,
    INVENTORY_BUCKET,
    INVENTORY_BUCKET_MAX_BYTES,
)
from fleet_contracts.subjects import TenantId


class Records:
    """Who writes the inventory, and clears the assignments of a tenant that left."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js
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
            self._buckets = (
                await declare_bucket(self._js, INVENTORY_BUCKET, INVENTORY_BUCKET_MAX_BYTES),
                await declare_bucket(self._js, ASSIGNMENTS_BUCKET, ASSIGNMENTS_BUCKET_MAX_BYTES),
            )
        return self._buckets
