"""Settings of the metrics-writer: `FLEET_WRITER__*`, `FLEET_DATABASE__*`, `FLEET_RETENTION__*`."""

from pydantic import Field, SecretStr, field_validator

from fleet_common.settings import Section, ServiceSettings
from fleet_contracts.subjects import TenantId, tenant_id


class DatabaseSection(Section):
    """The connection to PostgreSQL."""

    url: SecretStr = SecretStr("postgresql://postgres@127.0.0.1:5432/fleet")
    """libpq URL. Not through a transaction-pooling proxy: ownership is a session lock."""
    connect_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """Seconds for one connection attempt. Attempts go on for ever."""
    statement_timeout_seconds: float = Field(default=30.0, gt=0, le=600)
    """Seconds one statement may take; beyond it the connection counts as dead."""
    retry_max_seconds: float = Field(default=10.0, gt=0, le=300)
    """Longest pause between attempts while the database is away; the first is 0.25 s."""


class WriterSection(Section):
    """What is written, how much at a time, and when to cry."""

    tenants: str = ""
    """Tenants to write, comma separated. Empty: every FLEET_* stream there is."""
    discovery_seconds: float = Field(default=5.0, gt=0, le=300)
    """Seconds between two looks for new streams."""
    takeover_seconds: float = Field(default=1.0, gt=0, le=60)
    """Seconds between a standby's attempts at a stream that another writer holds."""
    batch_messages: int = Field(default=5_000, ge=1, le=50_000)
    """Most messages in one transaction. A batch's rows are in memory twice over."""
    batch_bytes: int = Field(default=8 * 1024 * 1024, ge=1024 * 1024, le=256 * 1024 * 1024)
    """Most payload bytes in one transaction, and in one pull request."""
    linger_seconds: float = Field(default=0.25, ge=0, le=10)
    """Seconds a batch waits to fill. More: fewer transactions, later rows."""
    buffer_messages: int = Field(default=20_000, ge=100, le=200_000)
    """Most messages held for all streams together; pulling stops there."""
    maintenance_seconds: float = Field(default=600.0, gt=0, le=86_400)
    """Seconds between two rounds of making partitions ahead and dropping old ones."""
    partitions_ahead_days: int = Field(default=2, ge=1, le=30)
    """Days for which partitions exist before they are needed."""
    future_slot_seconds: float = Field(default=86_400.0, gt=0)
    """An event whose slot is further ahead than this is rejected: its clock is wrong."""
    stall_seconds: float = Field(default=30.0, gt=0, le=3_600)
    """Seconds without a commit, while messages are pending, until /healthz is red."""
    rejected_window_messages: int = Field(default=1_000, ge=10, le=100_000)
    """Last messages over which the share of rejected ones is taken."""
    rejected_limit_ratio: float = Field(default=0.1, gt=0, le=1)
    """Share of rejected messages from which /healthz is red: a bad release, not a bad message."""
    rejected_payload_bytes: int = Field(default=4_096, ge=0, le=1024 * 1024)
    """Bytes of a rejected message's payload that are kept."""
    rate_gap_seconds: float = Field(default=180.0, gt=0, le=86_400)
    """Samples of an interface further apart than this give no rate: 3 poll intervals."""

    @field_validator("tenants")
    @classmethod
    def _check_tenants(cls, value: str) -> str:
        for name in _split(value):
            tenant_id(name)
        return value

    @property
    def tenant_ids(self) -> tuple[TenantId, ...]:
        """The named tenants; empty for all."""
        return tuple(TenantId(name) for name in _split(self.tenants))


class RetentionSection(Section):
    """Days each table's rows are kept; older partitions are dropped, older events not stored."""

    device_status_samples_days: int = Field(default=90, ge=1, le=3_650)
    """Reachability, uptime and poll duration of each poll."""
    health_samples_days: int = Field(default=30, ge=1, le=3_650)
    """CPU, memory, disk."""
    sensor_samples_days: int = Field(default=30, ge=1, le=3_650)
    """Temperatures, voltages, fans."""
    interface_samples_days: int = Field(default=30, ge=1, le=3_650)
    """Counters of every interface: the largest table."""
    wireless_samples_days: int = Field(default=30, ge=1, le=3_650)
    """Clients and radios counted per device."""
    radio_samples_days: int = Field(default=30, ge=1, le=3_650)
    """Frequency, noise, clients of every radio."""
    wireless_client_samples_days: int = Field(default=14, ge=1, le=3_650)
    """Signal and rates of every wireless client: personal data in some countries."""
    firmware_samples_days: int = Field(default=730, ge=1, le=3_650)
    """Installed versions."""
    firmware_advice_samples_days: int = Field(default=730, ge=1, le=3_650)
    """Verdicts of the firmware checker."""
    inventory_samples_days: int = Field(default=365, ge=1, le=3_650)
    """Revisions of each device's inventory."""


class WriterSettings(ServiceSettings):
    """All settings of the metrics-writer."""

    database: DatabaseSection = DatabaseSection()
    writer: WriterSection = WriterSection()
    retention: RetentionSection = RetentionSection()


def _split(value: str) -> list[str]:
    return [name for name in (part.strip() for part in value.split(",")) if name]
