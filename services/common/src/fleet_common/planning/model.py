"""The planner's words: what it is asked, what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from fleet_common.fleet_spec import RouterFleet
from fleet_common.planning.budget import StreamBudget
from fleet_common.planning.demand import Sizes
from fleet_common.planning.stream_state import StreamState
from fleet_contracts.streams import StreamDefinition
from fleet_contracts.subjects import TenantId

HEADROOM: Final = 1.25
"""For bursts, refreshes after changes and records of other sizes than estimated."""
FLOOR_BYTES: Final = 1024 * 1024
"""No stream is planned smaller."""
AGE_FACTOR: Final = 2.0
"""max_age over the wanted window: age only bounds what bytes do not."""
DEAD_BAND: Final = 0.05
"""A stream keeps its size while the right one is no further away than this part of it."""


class Reason(StrEnum):
    """Why a stream has the size it has."""

    FITS = "fits"
    """The wanted window, whole."""
    NO_DEVICES = "no-devices"
    """Nobody publishes: the floor."""
    FLOOR = "floor"
    """The wanted window needs less than the floor, or the budget leaves no more."""
    CAPPED_BY_OWNER = "capped-by-owner"
    """`events.maxBytes` holds less than the wanted window."""
    SHRUNK_TO_BUDGET = "shrunk-to-budget"
    """The budget does not hold all wanted windows."""
    HELD_FOR_CONSUMER = "held-for-consumer"
    """It would be smaller, but a consumer has not stored what is in it."""


class ConditionType(StrEnum):
    """What someone should know of a fleet; the type of a status condition."""

    NO_DEVICES = "NoDevices"
    WINDOW_SHORTENED = "WindowShortened"
    HELD_FOR_CONSUMER = "HeldForConsumer"
    UNSTORED_DISCARDED = "UnstoredDiscarded"
    CONTRADICTORY_WINDOWS = "ContradictoryWindows"
    MEASUREMENT_IMPLAUSIBLE = "MeasurementImplausible"


@dataclass(frozen=True, slots=True)
class Condition:
    """One of them, with the figures in the message."""

    type: ConditionType
    message: str


@dataclass(frozen=True, slots=True)
class UnstoredLoss:
    """What applying the plan discards before the slowest consumer stored it (estimated)."""

    bytes: int
    messages: int


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """All that a plan depends on.

    `measured`: sizes by tenant and kind, the catalogue's where missing. `streams`: the live
    streams by tenant. `previous`: max_bytes by tenant as planned last, for the dead band;
    a tenant that is missing is planned afresh.
    """

    fleets: Sequence[RouterFleet]
    budget: StreamBudget
    measured: Mapping[TenantId, Sizes] = field(default_factory=dict[TenantId, Sizes])
    streams: Mapping[TenantId, StreamState] = field(default_factory=dict[TenantId, StreamState])
    previous: Mapping[TenantId, int] = field(default_factory=dict[TenantId, int])


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One tenant's outcome. Windows in seconds, sizes and rates in bytes.

    `wanted_bytes` is what the wanted window needs, headroom included, within the owner's
    cap. `resulting_window_seconds` is what `max_bytes` reach back with the same headroom;
    with reason `fits` it may be up to the dead band below the wanted one, headroom covers it.
    """

    tenant: TenantId
    devices: int
    bytes_per_second: float
    wanted_bytes: int
    max_bytes: int
    wanted_window_seconds: float
    resulting_window_seconds: float
    definition: StreamDefinition
    reason: Reason
    sentence: str
    loss: UnstoredLoss | None = None
    conditions: tuple[Condition, ...] = ()

    @property
    def shortened(self) -> bool:
        """Whether the replay window is less than wanted."""
        return any(one.type is ConditionType.WINDOW_SHORTENED for one in self.conditions)
