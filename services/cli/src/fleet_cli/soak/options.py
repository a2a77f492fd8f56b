"""What a soak is asked to do."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from fleet_common.fleet_spec import CadenceSpec

INTERVAL_SECONDS: Final = 60.0
DEFAULT_WINDOW_SECONDS: Final = 6 * 3600.0
LONGEST_HOURS: Final = 312.0
"""13 days: beyond 14 the metrics-writer keeps no rows of wireless clients."""


class Mode(StrEnum):
    """How the streams are configured."""

    NAIVE = "naive"
    """As in the incident: 24 h of age, no limit in bytes, in memory."""
    PLANNED = "planned"
    """By the planner, from the start."""
    HEAL = "heal"
    """Naive until the broker refuses events, then planned, applied to the full live server."""


@dataclass(frozen=True, slots=True)
class SoakOptions:
    """One soak. `wire_hours` of simulated time go through the RouterOS protocol over TCP."""

    out: Path
    modes: tuple[Mode, ...] = (Mode.PLANNED,)
    devices: int = 101
    tenants: int = 3
    hours: float = 24.0
    wire_hours: float = 1.0
    seed: int = 1
    limit_bytes: int = 128_000_000
    window_seconds: float = DEFAULT_WINDOW_SECONDS
    heal_after_hours: float = 1.0
    """From the first refused event until the plan is applied."""


def cadence_of(mode: Mode) -> CadenceSpec:
    """Naive sends five kinds with each poll, as the incident's product; else the defaults."""
    if mode is Mode.PLANNED:
        return CadenceSpec(interval=INTERVAL_SECONDS)
    return CadenceSpec(interval=INTERVAL_SECONDS, firmware=INTERVAL_SECONDS, inventory=86400)
