"""`python -m fleet_operator`."""

import sys

from fleet_common.runtime import run_service
from fleet_operator.app import run
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.settings import OperatorSettings


def main() -> int:
    """Run the operator until it is told to stop."""
    return run_service("operator", OperatorSettings, OperatorMetrics, run)


if __name__ == "__main__":
    sys.exit(main())
