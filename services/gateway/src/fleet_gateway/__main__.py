"""`python -m fleet_gateway`: serve event streams until told to stop."""

import sys

from fleet_common.collector import calm_collector
from fleet_common.runtime import run_service
from fleet_gateway.app import run
from fleet_gateway.settings import GatewaySettings
from fleet_gateway.telemetry import GatewayMetrics


def main() -> int:
    """Exit codes: see run_service."""
    calm_collector()
    return run_service("gateway", GatewaySettings, GatewayMetrics, run)


if __name__ == "__main__":
    sys.exit(main())
