"""The poller's settings: `FLEET_POLLER__<FIELD>` and the sections every service has."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from fleet_common.settings import Section, ServiceSettings
from fleet_contracts.subjects import check_label
from fleet_poller.exposition.families import Group

_OPTIONAL_GROUPS: Final = "|".join(group for group in Group if group is not Group.DEVICE)
_GROUP_LIST: Final = rf"^( *({_OPTIONAL_GROUPS}) *(, *({_OPTIONAL_GROUPS}) *)*)?$"


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
    Devices that failed last time share as many places of their own and hold up nobody else.
    At 32 a full shard of 1,000 devices is logged in within 32 s of its start, less than its
    interval of 60 s; at a shorter interval slots are missed meanwhile, unless this is raised."""
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
    device_metrics: bool = True
    """Whether `/metrics` has the newest reading of each device as `routeros_*`. A router with 10
    interfaces costs about 200 series and 6 KB of memory."""
    device_metrics_groups: str = Field(
        default="system, sensors, interfaces, wireless", pattern=_GROUP_LIST
    )
    """Which of them besides reachability and versions, comma separated: `system`, `sensors`,
    `interfaces` (16 series an interface), `wireless` (by radio), `wireless-clients` (11 series a
    client, which come and go: off)."""
    device_metrics_max_series: int = Field(default=500_000, ge=1)
    """Series of device metrics, at most, reckoned with every value given. Devices that do not fit,
    the last by name, are left out, counted in `fleet_poller_device_metrics_left_out_devices`."""

    @property
    def device_groups(self) -> frozenset[Group]:
        """The groups that are on; none when device metrics are off."""
        if not self.device_metrics:
            return frozenset()
        named = (one.strip() for one in self.device_metrics_groups.split(","))
        return frozenset({Group.DEVICE, *(Group(one) for one in named if one)})


class PollerSettings(ServiceSettings):
    """Everything the poller takes from its environment."""

    poller: PollerSection
