"""Surrogate keys and states of the devices of the tenants a session owns.

Loaded when a stream is taken over (its former owner may have changed everything) and
kept in memory: about 2 KB a device with ten interfaces. The session ends, and the
directory with it, whenever a batch could not be committed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from fleet_contracts.subjects import DeviceId, TenantId
from fleet_writer.database import Connection, Row
from fleet_writer.fold import (
    NEW_DEVICE,
    AdvicePart,
    DeviceState,
    FirmwarePart,
    InterfaceRecord,
    InventoryPart,
    StatusPart,
)
from fleet_writer.sensors import SensorIds, SensorKey
from fleet_writer.times import EPOCH, to_ms, to_ms_or_none, to_seconds_or_none

type DeviceKey = tuple[TenantId, DeviceId]


@dataclass(slots=True)
class DeviceEntry:
    """One device: its key in the tables and its state after the last prepared event."""

    id: int
    tenant: TenantId
    state: DeviceState


class Directory:
    """Devices and sensors known to this session."""

    def __init__(self) -> None:
        self.devices: dict[DeviceKey, DeviceEntry] = {}
        self.tenant_of: dict[int, TenantId] = {}
        self.sensors = SensorIds()
        self._tenants: dict[TenantId, int] = {}

    async def load(self, connection: Connection, tenant: TenantId) -> int:
        """Read a tenant's devices and all sensors; returns the tenant's key.

        The caller holds the connection's lock.
        """
        tenant_key = await connection.fetch_value(_ENSURE_TENANT, tenant)
        self._tenants[tenant] = tenant_key
        inventories = await _parts(connection, "device_inventories", tenant_key)
        firmware = await _parts(connection, "device_firmware", tenant_key)
        advice = await _parts(connection, "device_firmware_advice", tenant_key)
        interfaces: dict[int, list[InterfaceRecord]] = {}
        for row in await connection.fetch(_INTERFACES, tenant_key):
            interfaces.setdefault(row["device_id"], []).append(_interface(row))
        for row in await connection.fetch("SELECT * FROM devices WHERE tenant_id = $1", tenant_key):
            key = row["id"]
            state = DeviceState(
                status=_status(row),
                inventory=_inventory(inventories.get(key)),
                firmware=_firmware(firmware.get(key)),
                advice=_advice(advice.get(key)),
                interfaces_slot_ms=to_ms_or_none(row["interfaces_slot"]),
                interfaces=tuple(interfaces.get(key, ())),
            )
            self._remember(tenant, DeviceId(row["name"]), key, state)
        self.sensors.learn(
            {
                (row["name"], row["unit"]): row["id"]
                for row in await connection.fetch("SELECT id, name, unit FROM sensors")
            }
        )
        return tenant_key

    async def ensure_devices(self, connection: Connection, wanted: Iterable[DeviceKey]) -> None:
        """Give keys to devices seen for the first time. The caller holds the lock."""
        keys = sorted(set(wanted))
        rows = await connection.fetch(
            _ENSURE_DEVICES,
            [self._tenants[tenant] for tenant, _ in keys],
            [device for _, device in keys],
        )
        tenants = {key: name for name, key in self._tenants.items()}
        for row in rows:
            tenant = tenants[row["tenant_id"]]
            self._remember(tenant, DeviceId(row["name"]), row["id"], NEW_DEVICE)

    async def ensure_sensors(self, connection: Connection, wanted: Iterable[SensorKey]) -> None:
        """Give keys to sensors seen for the first time. The caller holds the lock."""
        keys = sorted(set(wanted))
        rows = await connection.fetch(
            _ENSURE_SENSORS, [name for name, _ in keys], [unit for _, unit in keys]
        )
        self.sensors.learn({(row["name"], row["unit"]): row["id"] for row in rows})

    def _remember(self, tenant: TenantId, device: DeviceId, key: int, state: DeviceState) -> None:
        self.devices[tenant, device] = DeviceEntry(key, tenant, state)
        self.tenant_of[key] = tenant


_ENSURE_TENANT: Final = """
WITH made AS (
    INSERT INTO tenants (name) SELECT $1::text
    WHERE NOT EXISTS (SELECT FROM tenants WHERE name = $1::text)
    ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id
)
SELECT id FROM made UNION ALL SELECT id FROM tenants WHERE name = $1::text LIMIT 1
"""
_ENSURE_DEVICES: Final = """
INSERT INTO devices (tenant_id, name) SELECT * FROM unnest($1::integer[], $2::text[])
ON CONFLICT (tenant_id, name) DO UPDATE SET name = excluded.name
RETURNING id, tenant_id, name
"""
_ENSURE_SENSORS: Final = """
INSERT INTO sensors (name, unit) SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT (name, unit) DO UPDATE SET name = excluded.name
RETURNING id, name, unit
"""
_INTERFACES: Final = """
SELECT interfaces.* FROM interfaces JOIN devices ON devices.id = device_id
WHERE tenant_id = $1 ORDER BY device_id, interface_id
"""


async def _parts(connection: Connection, table: str, tenant_key: int) -> dict[int, Row]:
    rows = await connection.fetch(
        f"SELECT {table}.* FROM {table} JOIN devices ON devices.id = device_id "  # noqa: S608 - our own table names
        "WHERE tenant_id = $1",
        tenant_key,
    )
    return {row["device_id"]: row for row in rows}


def _status(row: Row) -> StatusPart | None:
    if row["status_slot"] is None:
        return None
    return StatusPart(
        slot_ms=to_ms(row["status_slot"]),
        reachable=row["reachable"],
        last_seen_ms=to_ms_or_none(row["last_seen"]),
        reachable_since_ms=to_ms_or_none(row["reachable_since"]),
        unreachable_since_ms=to_ms_or_none(row["unreachable_since"]),
        last_reboot_seen_ms=to_ms_or_none(row["last_reboot_seen"]),
        uptime_seconds=row["uptime_seconds"],
        consecutive_failures=row["consecutive_failures"],
        error_class=row["error_class"],
        error_message=row["error_message"],
    )


def _same_named(part: type, row: Row, special: dict[str, Any]) -> dict[str, Any]:
    """The part's fields from columns of the same name, `special` ones as given."""
    return {field.name: row[field.name] for field in fields(part) if field.name not in special} | (
        special
    )


def _inventory(row: Row | None) -> InventoryPart | None:
    if row is None:
        return None
    return InventoryPart(**_same_named(InventoryPart, row, {"slot_ms": to_ms(row["slot"])}))


def _firmware(row: Row | None) -> FirmwarePart | None:
    if row is None:
        return None
    return FirmwarePart(**_same_named(FirmwarePart, row, {"slot_ms": to_ms(row["slot"])}))


def _advice(row: Row | None) -> AdvicePart | None:
    if row is None:
        return None
    special = {
        "slot_ms": to_ms(row["slot"]),
        "latest_released_seconds": to_seconds_or_none(row["latest_released"]),
        "channel_read_seconds": to_seconds_or_none(row["channel_read"]),
    }
    return AdvicePart(**_same_named(AdvicePart, row, special))


def _interface(row: Row) -> InterfaceRecord:
    special = {
        "id": row["interface_id"],
        "last_link_up_seconds": _router_seconds(row["last_link_up"]),
        "last_link_down_seconds": _router_seconds(row["last_link_down"]),
    }
    return InterfaceRecord(**_same_named(InterfaceRecord, row, special))


def _router_seconds(moment: datetime | None) -> int | None:
    """A router's local time: stored without a zone, counted as if it were UTC."""
    return None if moment is None else to_seconds_or_none(moment.replace(tzinfo=EPOCH.tzinfo))
