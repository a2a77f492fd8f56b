"""How large each tenant's stream must be: a pure function of fleet, measurements, budget.

wanted = sum over kinds (devices x window / cadence x bytes of one stored message) x headroom
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from fleet_common.fleet_spec import CadenceSpec, RouterFleet
from fleet_contracts.catalog import load_catalog
from fleet_contracts.streams import DUPLICATE_WINDOW_SECONDS, StreamDefinition, tenant_stream
from fleet_contracts.subjects import Kind, TenantId

HEADROOM = 1.25
"""For bursts, refreshes after changes and records of other sizes than estimated."""
FLOOR_BYTES = 1024 * 1024
"""No stream is planned smaller."""
# Age only bounds what bytes do not; twice the window keeps bytes the deciding limit.
_AGE_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One tenant's outcome. Windows in seconds, sizes and rates in bytes."""

    tenant: TenantId
    devices: int
    bytes_per_second: float
    wanted_bytes: int
    max_bytes: int
    wanted_window_seconds: float
    resulting_window_seconds: float
    definition: StreamDefinition

    @property
    def shortened(self) -> bool:
        """Whether the replay window is less than wanted."""
        return self.max_bytes < self.wanted_bytes


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
        case Kind.FIRMWARE_ADVICE:
            return load_catalog()[kind].cadence_seconds


def bytes_per_second(fleet: RouterFleet, measured: Mapping[Kind, float]) -> float:
    """What the fleet stores each second; `measured` overrides the catalogue's estimates."""
    catalog = load_catalog()
    each = sum(
        measured.get(kind, catalog[kind].stored_bytes) / cadence_seconds(fleet.spec.cadence, kind)
        for kind in Kind
    )
    return each * len(fleet.spec.devices)


def plan(
    fleets: Sequence[RouterFleet],
    budget_bytes: int,
    measured: Mapping[Kind, float] | None = None,
) -> list[StreamPlan]:
    """One plan a fleet; together at most `budget_bytes`, shrunk in proportion above the floor.

    Raises ValueError when the budget is below the sum of the floors.
    """
    floors = FLOOR_BYTES * len(fleets)
    if budget_bytes < floors:
        raise ValueError(
            f"budget of {budget_bytes} bytes is below {floors}, "
            f"the floor of {FLOOR_BYTES} for each of {len(fleets)} fleets"
        )
    rates = [bytes_per_second(fleet, measured or {}) for fleet in fleets]
    wanted = [_wanted(fleet, rate) for fleet, rate in zip(fleets, rates, strict=True)]
    granted = _share(wanted, budget_bytes)
    return [
        _stream_plan(fleet, rate, want, grant)
        for fleet, rate, want, grant in zip(fleets, rates, wanted, granted, strict=True)
    ]


def _wanted(fleet: RouterFleet, rate: float) -> int:
    wanted = max(FLOOR_BYTES, ceil(rate * fleet.spec.events.replay_window * HEADROOM))
    cap = fleet.spec.events.max_bytes
    return wanted if cap is None else max(FLOOR_BYTES, min(wanted, cap))


def _share(wanted: Sequence[int], budget: int) -> list[int]:
    """What exceeds the floors shrinks by one common factor."""
    above = sum(want - FLOOR_BYTES for want in wanted)
    spare = budget - FLOOR_BYTES * len(wanted)
    if above <= spare:
        return list(wanted)
    return [FLOOR_BYTES + (want - FLOOR_BYTES) * spare // above for want in wanted]


def _stream_plan(fleet: RouterFleet, rate: float, wanted: int, granted: int) -> StreamPlan:
    events = fleet.spec.events
    window = granted / (rate * HEADROOM) if rate else events.replay_window
    return StreamPlan(
        tenant=fleet.tenant,
        devices=len(fleet.spec.devices),
        bytes_per_second=rate,
        wanted_bytes=wanted,
        max_bytes=granted,
        wanted_window_seconds=events.replay_window,
        resulting_window_seconds=min(window, events.replay_window * _AGE_FACTOR),
        definition=tenant_stream(
            fleet.tenant,
            max_bytes=granted,
            max_age_seconds=max(events.replay_window * _AGE_FACTOR, DUPLICATE_WINDOW_SECONDS),
            storage=events.storage,
            replicas=events.replicas,
        ),
    )
