"""What a fleet stores each second: by the catalogue, and as measured."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fleet_common.fleet_spec import CadenceSpec, RouterFleet
from fleet_contracts.catalog import load_catalog
from fleet_contracts.subjects import DEVICE_KINDS, Kind

type Sizes = Mapping[Kind, float]
"""Mean bytes of one stored message, subject, headers and record included, by kind."""

LEAST_STORED_BYTES: Final = 40
"""No stored event is smaller: 30 for the file store's record, the rest subject and payload."""
_LARGEST_OVERHEAD_BYTES: Final = 512
"""Subject (two labels of 63), message id, trace context and record, generously."""


@dataclass(frozen=True, slots=True)
class Implausible:
    """A measured size outside what the contracts allow; the catalogue's is used instead."""

    kind: Kind
    measured: float
    least: float
    most: float


def cadence_seconds(cadence: CadenceSpec, kind: Kind) -> float:
    """Seconds between two events of a kind with these settings."""
    match kind:
        case Kind.STATUS:
            return cadence.interval
        case Kind.HEALTH:
            return max(cadence.health or cadence.interval, cadence.interval)
        case Kind.INTERFACES:
            return max(cadence.interfaces or cadence.interval, cadence.interval)
        case Kind.WIRELESS:
            return max(cadence.wireless or cadence.interval, cadence.interval)
        case Kind.FIRMWARE:
            return max(cadence.firmware, cadence.interval)
        case Kind.INVENTORY:
            return max(cadence.inventory, cadence.interval)
        case Kind.FIRMWARE_ADVICE | Kind.TRIM:
            return load_catalog()[kind].cadence_seconds


def plausible_sizes(measured: Sizes) -> tuple[dict[Kind, float], list[Implausible]]:
    """The measured sizes that can be true, and those that cannot: not finite, or out of bounds.

    One absurd figure (a foreign publisher, a reader's bug) must not size a stream.
    """
    catalog = load_catalog()
    good: dict[Kind, float] = {}
    bad: list[Implausible] = []
    for kind, size in measured.items():
        most = catalog[kind].max_payload_bytes + _LARGEST_OVERHEAD_BYTES
        if math.isfinite(size) and LEAST_STORED_BYTES <= size <= most:
            good[kind] = size
        else:
            bad.append(Implausible(kind, size, LEAST_STORED_BYTES, most))
    return good, bad


def bytes_per_second(fleet: RouterFleet, measured: Sizes) -> float:
    """What the fleet stores each second; `measured` overrides the catalogue's estimates.

    Every device counts, suspended ones too: a pause must not throw history away.
    """
    catalog = load_catalog()
    each = sum(
        measured.get(kind, catalog[kind].stored_bytes) / cadence_seconds(fleet.spec.cadence, kind)
        for kind in DEVICE_KINDS
    )
    return each * len(fleet.spec.devices)


def messages_per_second(fleet: RouterFleet) -> float:
    """How many events the fleet stores each second, with every kind on every device."""
    each = sum(1 / cadence_seconds(fleet.spec.cadence, kind) for kind in DEVICE_KINDS)
    return each * len(fleet.spec.devices)
