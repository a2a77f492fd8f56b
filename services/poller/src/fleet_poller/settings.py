"""The poller's settings: `FLEET_POLLER__<FIELD>` and the sections every service has."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from fleet_common.settings import Section, ServiceSettings
from fleet_contracts.subjects import check_label


class PollerSection(Section):
    """One shard of one tenant's fleet."""

    tenant: Annotated[str, AfterValidator(lambda value: check_label(value, "tenant"))]
    """The tenant whose devices are polled."""
    shard: Annotated[str, AfterValidator(lambda value: check_label(value, "shard"))] = "shard-0"
    """This shard's name; its assignment is the key `<tenant>.<shard>`."""
    secrets_directory: Path = Path("/etc/routerfleet/secrets")
    """Mounted Secrets, one folder each: `<secret>/username`, `password`, `ca.crt`."""
    connect_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """Seconds for TCP; then as long again for TLS and login."""
    poll_timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    """Seconds for all reads of a poll together. A router that is slower counts as down."""
    concurrent_logins: int = Field(default=32, ge=1, le=1000)
    """Logins begun within a second, at most: what a RADIUS server behind the routers sees.
    Devices that failed last time share as many places of their own and hold up nobody else."""
    failures_to_open: int = Field(default=3, ge=1, le=100)
    """Failed polls in a row after which a device is asked more rarely."""
    longest_backoff_seconds: float = Field(default=300.0, gt=0, le=3600)
    """Seconds between two attempts at a device that is away, at most."""
    leave_seconds: float = Field(default=0.0, ge=0, le=60)
    """Seconds that a shard that is told to stop goes on polling, at most, until others have its
    devices: no slot is lost then. Where there are no others, 0: it stops at once."""
    buffer_messages: int = Field(default=50_000, ge=1, le=10_000_000)
    """Events kept while the broker is away; beyond it the oldest is dropped and counted."""
    buffer_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    """The same bound in bytes."""
    publish_in_flight: int = Field(default=1_000, ge=1, le=100_000)
    """Events sent but not yet acknowledged."""
    ack_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """Seconds after which an unacknowledged event is sent again."""


class PollerSettings(ServiceSettings):
    """Everything the poller takes from its environment."""

    poller: PollerSection
