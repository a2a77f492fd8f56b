"""Measured sizes that the capacity model calculates with, each with its source.

Stored messages: `make bench ONLY=contracts` with 2, 5, 10, 24 and 48 interfaces (simulated
routers, real poller, nats-server 2.15.0's own count). Rows: the metrics-writer's tables in
PostgreSQL 18, indexes included, after it stored polls of 100 devices;
tests/integration/test_common_row_sizes.py holds them to what a real writer leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from fleet_contracts.catalog import load_catalog
from fleet_contracts.subjects import Kind

CATALOG_INTERFACES: Final = 10
"""The catalogue's sizes are those of a device with so many interfaces."""
BYTES_PER_INTERFACE: Final[Mapping[Kind, float]] = MappingProxyType(
    {Kind.INTERFACES: 27.0, Kind.INVENTORY: 46.0}
)
"""Stored bytes for each interface more or less: 177 to 1,408 and 338 to 2,443 from 2 to 48."""
LEAST_EVENT_BYTES: Final = 90.0
"""Of an event with interfaces, when it has none."""


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows of one table for one event of a kind. `row_bytes`: heap and indexes."""

    table: str
    kind: Kind
    row_bytes: float
    rows_per_event: float
    per_interface: bool = False
    retention_days: int = 30
    """The metrics-writer's default."""

    def rows(self, interfaces: int) -> float:
        """Rows of one event."""
        return float(interfaces) if self.per_interface else self.rows_per_event


# Rows per event are assumed: three sensors, an access point with two radios and five clients.
TABLES: Final = (
    TableRows("device_status_samples", Kind.STATUS, 145, 1, retention_days=90),
    TableRows("health_samples", Kind.HEALTH, 175, 1),
    TableRows("sensor_samples", Kind.HEALTH, 122, 3),
    TableRows("interface_samples", Kind.INTERFACES, 210, 0, per_interface=True),
    TableRows("wireless_samples", Kind.WIRELESS, 120, 1),
    TableRows("radio_samples", Kind.WIRELESS, 140, 2),
    TableRows("wireless_client_samples", Kind.WIRELESS, 200, 5, retention_days=14),
    TableRows("firmware_samples", Kind.FIRMWARE, 150, 1, retention_days=730),
    TableRows("firmware_advice_samples", Kind.FIRMWARE_ADVICE, 150, 1, retention_days=730),
    TableRows("inventory_samples", Kind.INVENTORY, 150, 1, retention_days=365),
)
"""The writer's sample tables."""


def stored_bytes(kind: Kind, interfaces: int) -> float:
    """The estimate for one stored message of a device with so many interfaces."""
    estimate = load_catalog()[kind].stored_bytes
    slope = BYTES_PER_INTERFACE.get(kind)
    if slope is None:
        return float(estimate)
    return max(LEAST_EVENT_BYTES, estimate + slope * (interfaces - CATALOG_INTERFACES))
