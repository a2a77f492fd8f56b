"""The sample tables: columns in COPY order and the width of their partitions.

The SQL stands in migrations/; a test compares the two.
"""

from dataclasses import dataclass
from typing import Final

from fleet_contracts.codec import COUNTER_COLUMNS


@dataclass(frozen=True, slots=True)
class SampleTable:
    """One table of samples, partitioned by slot."""

    name: str
    partition_days: int
    """Days a partition spans, counted from 1970-01-01."""
    columns: tuple[str, ...]

    @property
    def retention_setting(self) -> str:
        """The field of RetentionSection with its days."""
        return f"{self.name}_days"


STATUS: Final = SampleTable(
    "device_status_samples",
    1,
    (
        "device_id",
        "slot",
        "reachable",
        "rebooted",
        "uptime_seconds",
        "consecutive_failures",
        "observed_after_slot_ms",
        "poll_duration_us",
        "error_class",
    ),
)
HEALTH: Final = SampleTable(
    "health_samples",
    1,
    (
        "device_id",
        "slot",
        "cpu_load_percent",
        "bad_blocks_permille",
        "memory_free_bytes",
        "memory_total_bytes",
        "disk_free_bytes",
        "disk_total_bytes",
        "write_sectors_total",
        "cpu_core_load_percent",
    ),
)
SENSOR: Final = SampleTable(
    "sensor_samples", 1, ("device_id", "sensor_id", "slot", "value", "state")
)
INTERFACE: Final = SampleTable(
    "interface_samples",
    1,
    ("device_id", "slot", "interface_id", "running", "disabled", *COUNTER_COLUMNS),
)
WIRELESS: Final = SampleTable(
    "wireless_samples",
    1,
    ("device_id", "slot", "package", "radios", "clients", "clients_left_out"),
)
RADIO: Final = SampleTable(
    "radio_samples",
    1,
    (
        "device_id",
        "slot",
        "frequency_mhz",
        "channel_width_mhz",
        "noise_floor_dbm",
        "tx_power_dbm",
        "clients",
        "running",
        "interface",
        "ssid",
        "band",
    ),
)
WIRELESS_CLIENT: Final = SampleTable(
    "wireless_client_samples",
    1,
    (
        "device_id",
        "slot",
        "uptime_seconds",
        "tx_rate_bits_per_second",
        "rx_rate_bits_per_second",
        "tx_bytes_total",
        "rx_bytes_total",
        "tx_packets_total",
        "rx_packets_total",
        "signal_dbm",
        "signal_to_noise_db",
        "tx_ccq_percent",
        "rx_ccq_percent",
        "mac_address",
        "interface",
        "ssid",
    ),
)
FIRMWARE: Final = SampleTable(
    "firmware_samples",
    30,
    (
        "device_id",
        "slot",
        "routerboard",
        "installed_version",
        "channel",
        "latest_version",
        "architecture",
        "routerboot_current",
        "routerboot_upgrade",
        "routerboot_factory",
    ),
)
FIRMWARE_ADVICE: Final = SampleTable(
    "firmware_advice_samples",
    30,
    (
        "device_id",
        "slot",
        "routerboot_upgrade_available",
        "verdict",
        "installed_version",
        "channel",
        "latest_version",
    ),
)
INVENTORY: Final = SampleTable(
    "inventory_samples",
    30,
    ("device_id", "slot", "revision", "interfaces", "identity", "version"),
)

SAMPLE_TABLES: Final = (
    STATUS,
    HEALTH,
    SENSOR,
    INTERFACE,
    WIRELESS,
    RADIO,
    WIRELESS_CLIENT,
    FIRMWARE,
    FIRMWARE_ADVICE,
    INVENTORY,
)
