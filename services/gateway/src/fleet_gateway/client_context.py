"""What a client is given: where it writes, what it resumes from, what all clients share."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from fleet_contracts.subjects import TenantId
from fleet_gateway.hub import Hub
from fleet_gateway.positions import Mark
from fleet_gateway.replay import Replays
from fleet_gateway.telemetry import GatewayMetrics

type Send = Callable[[dict[str, Any]], Awaitable[None]]

RESET_TEXT: Final = {
    "discarded": "events after your position are no longer on the stream",
    "recreated": "the stream was made anew since your position",
    "ahead": "your position is beyond the end of the stream",
    "too_far": "your position is further back than a replay may reach",
    "unreadable": "your Last-Event-ID is not a position",
}
"""Why a position cannot be resumed: the `reason` of a reset, and its words."""


class Outlet(Protocol):
    """Where bytes go; see outlet.py."""

    def write(self, chunk: bytes) -> None:
        """Write without waiting."""
        ...

    def buffered(self) -> int:
        """Bytes not taken yet."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """When a client is cut, and what it is told at the start."""

    max_backlog_bytes: int
    stall_seconds: float
    retry_milliseconds: int
    replay_max_events: int


@dataclass(frozen=True, slots=True)
class Resume:
    """What a client asked to resume from: marks, or the reason why its id is no use."""

    marks: Mapping[TenantId, Mark]
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class ClientContext:
    """What all clients share."""

    hub: Hub
    replayer: Replays
    limits: ClientLimits
    metrics: GatewayMetrics
