"""`python -m fleet_writer`: run the metrics-writer with settings from the environment."""

import sys

from fleet_common.collector import calm_collector
from fleet_common.runtime import run_service
from fleet_writer.app import SERVICE, run
from fleet_writer.metrics import WriterMetrics
from fleet_writer.settings import WriterSettings


def main() -> int:
    """Run until SIGTERM; returns the exit code."""
    calm_collector()
    return run_service(SERVICE, WriterSettings, WriterMetrics, run)


if __name__ == "__main__":
    sys.exit(main())
