"""`python -m fleet_firmware`."""

import sys

from fleet_common.runtime import run_service
from fleet_firmware.app import run
from fleet_firmware.metrics import FirmwareMetrics
from fleet_firmware.settings import FirmwareSettings


def main() -> int:
    """Run the firmware-checker until it is told to stop."""
    return run_service("firmware", FirmwareSettings, FirmwareMetrics, run)


if __name__ == "__main__":
    sys.exit(main())
