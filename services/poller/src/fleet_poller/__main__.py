"""`python -m fleet_poller`: one shard of one tenant's fleet."""

import sys

from fleet_common.collector import calm_collector
from fleet_common.runtime import run_service
from fleet_poller.app import run
from fleet_poller.metrics import PollerMetrics
from fleet_poller.settings import PollerSettings


def main() -> int:
    """Run the service; its exit code."""
    calm_collector()
    return run_service("poller", PollerSettings, PollerMetrics, run)


if __name__ == "__main__":
    sys.exit(main())
