"""Why a stream got its size: a reason for machines, a sentence for people, conditions."""

from collections.abc import Iterator
from dataclasses import dataclass

from fleet_common.fleet_spec import RouterFleet
from fleet_common.planning.demand import Implausible, cadence_seconds
from fleet_common.planning.model import (
    DEAD_BAND,
    FLOOR_BYTES,
    Condition,
    ConditionType,
    Reason,
    UnstoredLoss,
)
from fleet_common.planning.stream_state import StreamState, estimate_trim
from fleet_common.units import format_about, format_duration, format_size
from fleet_contracts.subjects import Kind


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided for one stream. Bytes, bytes per second, seconds.

    `ideal` is what the wanted window needs, `wanted` the same within the owner's cap.
    """

    size: int
    held: bool
    ideal: int
    wanted: int
    rate: float
    wanted_seconds: float
    window_seconds: float
    live: StreamState | None
    implausible: tuple[Implausible, ...]

    @property
    def shortened(self) -> bool:
        """Whether the wanted window does not fit, beyond what the dead band leaves open."""
        return self.rate > 0 and self.window_seconds < self.wanted_seconds * (1 - DEAD_BAND)


@dataclass(frozen=True, slots=True)
class Explanation:
    """See the module."""

    reason: Reason
    sentence: str
    loss: UnstoredLoss | None
    conditions: tuple[Condition, ...]


def explain(fleet: RouterFleet, outcome: Outcome) -> Explanation:
    """The reason of an outcome and what there is to say about it."""
    reason = _reason(fleet, outcome)
    loss = _loss(outcome)
    sentence = _sentence(outcome, reason)
    if loss is not None:
        sentence += "; " + _loss_text(loss)
    return Explanation(
        reason, sentence, loss, tuple(_conditions(fleet, outcome, reason, sentence, loss))
    )


def _reason(fleet: RouterFleet, outcome: Outcome) -> Reason:
    if outcome.held:
        return Reason.HELD_FOR_CONSUMER
    if not fleet.spec.devices:
        return Reason.NO_DEVICES
    if not outcome.shortened:
        return Reason.FLOOR if outcome.ideal == FLOOR_BYTES else Reason.FITS
    if outcome.wanted < outcome.ideal and outcome.size >= outcome.wanted * (1 - DEAD_BAND):
        return Reason.CAPPED_BY_OWNER
    return Reason.FLOOR if outcome.size == FLOOR_BYTES else Reason.SHRUNK_TO_BUDGET


def _loss(outcome: Outcome) -> UnstoredLoss | None:
    if outcome.live is None:
        return None
    trim = estimate_trim(outcome.live, outcome.size)
    if not trim.unstored_messages:
        return None
    return UnstoredLoss(trim.unstored_bytes, trim.unstored_messages)


def _sentence(outcome: Outcome, reason: Reason) -> str:
    size = format_size(outcome.size)
    wanted = format_duration(outcome.wanted_seconds)
    reach = format_about(outcome.window_seconds)
    ideal = format_size(outcome.ideal)
    match reason:
        case Reason.FITS:
            return f"{size} hold the wanted {wanted}"
        case Reason.NO_DEVICES:
            return f"no devices: {size}, the least"
        case Reason.FLOOR if outcome.shortened:
            return f"{size}, the least, hold {reach} of the wanted {wanted} ({ideal}): no budget"
        case Reason.FLOOR:
            return f"{size}, the least, hold more than the wanted {wanted}"
        case Reason.CAPPED_BY_OWNER:
            cap = format_size(outcome.wanted)
            return f"events.maxBytes of {cap} hold {reach} of the wanted {wanted} ({ideal})"
        case Reason.SHRUNK_TO_BUDGET:
            return f"{size} hold {reach} of the wanted {wanted} ({ideal}): the budget has no more"
        case Reason.HELD_FOR_CONSUMER:
            unstored = format_size(outcome.live.unstored_bytes if outcome.live else 0)
            return f"held at {size}: a consumer has yet to store {unstored} of it"


def _loss_text(loss: UnstoredLoss) -> str:
    return (
        f"{loss.messages} messages ({format_size(loss.bytes)}) that a consumer has not stored "
        "do not fit and are discarded"
    )


def _conditions(
    fleet: RouterFleet,
    outcome: Outcome,
    reason: Reason,
    sentence: str,
    loss: UnstoredLoss | None,
) -> Iterator[Condition]:
    if not fleet.spec.devices:
        yield Condition(ConditionType.NO_DEVICES, "spec.devices is empty: nothing is polled")
    if outcome.shortened:
        yield Condition(ConditionType.WINDOW_SHORTENED, sentence)
    if reason is Reason.HELD_FOR_CONSUMER:
        yield Condition(ConditionType.HELD_FOR_CONSUMER, sentence)
    if loss is not None:
        yield Condition(ConditionType.UNSTORED_DISCARDED, _loss_text(loss))
    for text in _contradictions(fleet, outcome):
        yield Condition(ConditionType.CONTRADICTORY_WINDOWS, text)
    for one in outcome.implausible:
        yield Condition(
            ConditionType.MEASUREMENT_IMPLAUSIBLE,
            f"{one.kind.value}: {one.measured:g} bytes measured for one message, which is not "
            f"between {one.least:g} and {one.most:g}; the catalogue's size is used",
        )


_EVERY_POLL = (Kind.STATUS, Kind.HEALTH, Kind.INTERFACES, Kind.WIRELESS)
"""Kinds that belong to the picture of now; the others have their newest message asked for."""


def _contradictions(fleet: RouterFleet, outcome: Outcome) -> Iterator[str]:
    """Settings of which one makes the other pointless."""
    cadence, events = fleet.spec.cadence, fleet.spec.events
    window = events.replay_window
    for kind in _EVERY_POLL:
        between = cadence_seconds(cadence, kind)
        if between > window:
            yield (
                f"{kind.value} comes every {format_duration(between)}, "
                f"events.replayWindow is {format_duration(window)}: at times it holds none"
            )
    if events.max_bytes is None or not outcome.rate:
        return
    capped = events.max_bytes / outcome.rate
    if capped < cadence.interval:
        yield (
            f"events.maxBytes of {format_size(events.max_bytes)} hold {format_duration(capped)}, "
            f"less than one poll of all devices each {format_duration(cadence.interval)}"
        )
