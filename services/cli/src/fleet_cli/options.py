"""What a demo run is asked to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT_INTERVAL_SECONDS: Final = 10.0
"""Of simulated fleets: a page that moves. Real fleets keep their own."""
DEFAULT_BUDGET_BYTES: Final = 128_000_000
"""What the broker of the incident had."""
DEFAULT_RESTART_DELAY_SECONDS: Final = 15.0
"""The longest that a process which keeps ending is left down."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """One run. Seconds and bytes; None is "not given"."""

    data_dir: Path
    devices: int = 101
    tenants: int = 3
    seed: int = 1
    fleet_file: Path | None = None
    credentials_dir: Path | None = None
    interval: float | None = None
    budget_bytes: int = DEFAULT_BUDGET_BYTES
    seconds: float | None = None
    shards: int | None = None
    """Pollers a tenant; None: as many as the fleet asks for."""
    page_port: int | None = None
    database_port: int | None = None
    nats_port: int | None = None
    nats_through: int | None = None
    database_through: int | None = None
    """Ports of proxies in front of the servers, which the services use instead of theirs."""
    longest_restart_delay: float = DEFAULT_RESTART_DELAY_SECONDS

    @property
    def simulated(self) -> bool:
        """Whether the routers are simulated."""
        return self.fleet_file is None
