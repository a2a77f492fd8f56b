"""What a resolution and a plan say as conditions and figures of the status. Pure."""

from collections.abc import Sequence
from typing import Final

from fleet_common.fleet_spec import Problem, summarize
from fleet_common.liveness import RejectedLogins
from fleet_common.planning.model import ConditionType as PlanCondition
from fleet_common.planning.model import Reason, StreamPlan
from fleet_common.planning.stream_state import StreamState
from fleet_common.units import format_about, format_duration, format_size
from fleet_operator.resolve import Resolution
from fleet_operator.status import (
    ConditionStatus,
    ConditionType,
    StreamStatus,
    Verdict,
    stream_summary,
)

_ALSO_SAID: Final = (
    PlanCondition.UNSTORED_DISCARDED,
    PlanCondition.CONTRADICTORY_WINDOWS,
    PlanCondition.MEASUREMENT_IMPLAUSIBLE,
)


def inventory_verdict(resolution: Resolution) -> Verdict:
    """InventoryValid: False names the first wrong entries and counts the rest."""
    type_ = ConditionType.INVENTORY_VALID
    if resolution.problems:
        reason = resolution.problems[0].kind.value
        message = summarize(resolution.problems)
        if resolution.fleet is not None:
            message += _others(len(resolution.fleet.spec.devices))
        return Verdict(type_, ConditionStatus.FALSE, reason, message)
    count = len(resolution.fleet.spec.devices) if resolution.fleet is not None else 0
    if not count:
        return Verdict(type_, ConditionStatus.TRUE, "NoDevices", "no device is listed")
    return Verdict(type_, ConditionStatus.TRUE, "AllValid", f"{_devices(count)} listed")


def credentials_verdict(
    problems: Sequence[Problem], secrets: int, rejected: Sequence[RejectedLogins] = ()
) -> Verdict:
    """CredentialsValid, from the problems of so many Secrets that are needed.

    `rejected`: what routers say of the users and passwords in them.
    """
    type_ = ConditionType.CREDENTIALS_VALID
    refusals = [
        f"{_devices(one.devices)} reject{'s' if one.devices == 1 else ''} the login of Secret "
        f"{one.secret} ({'e.g. ' if one.devices > 1 else ''}{one.first})"
        for one in rejected
    ]
    if problems:
        message = (
            f"{'; '.join([summarize(problems), *refusals])}. Devices of other Secrets are polled"
        )
        return Verdict(type_, ConditionStatus.FALSE, problems[0].kind.value, message)
    if refusals:
        message = f"{'; '.join(refusals)}. They are tried again when it changes, and now and then"
        return Verdict(type_, ConditionStatus.FALSE, "LoginRejected", message)
    count = f"{secrets} Secret{'' if secrets == 1 else 's'}"
    message = f"{count} with all keys" if secrets else "no device needs a Secret"
    return Verdict(type_, ConditionStatus.TRUE, "AllFound", message)


def window_verdict(plan: StreamPlan) -> Verdict:
    """ReplayWindowReduced: True says to what, and why."""
    status = ConditionStatus.TRUE if plan.shortened else ConditionStatus.FALSE
    reason = reason_word(plan.reason)
    said = [plan.sentence]
    said.extend(one.message for one in plan.conditions if one.type in _ALSO_SAID)
    return Verdict(
        ConditionType.REPLAY_WINDOW_REDUCED, status, reason, "; ".join(dict.fromkeys(said))
    )


def sized_verdict(plan: StreamPlan, live_max_bytes: int | None) -> Verdict:
    """StreamSized, from the limit that the live stream has; None: there is no stream."""
    type_ = ConditionType.STREAM_SIZED
    planned = format_size(plan.max_bytes)
    if live_max_bytes is None:
        message = f"{plan.definition.name} is not there; planned with {planned}"
        return Verdict(type_, ConditionStatus.FALSE, "NoStream", message)
    if live_max_bytes != plan.max_bytes:
        message = (
            f"{plan.definition.name} has {format_size(live_max_bytes)}, planned with {planned}"
        )
        return Verdict(type_, ConditionStatus.FALSE, "OtherSize", message)
    message = f"{plan.definition.name} has {planned} for {_devices(plan.devices)}"
    return Verdict(type_, ConditionStatus.TRUE, "AsPlanned", message)


def stream_status(plan: StreamPlan, state: StreamState | None, now: float) -> StreamStatus:
    """The stream's figures; `state` is None while the broker is away. `now`: Unix seconds."""
    wanted = format_duration(plan.wanted_window_seconds)
    held = None if state is None else state.bytes
    reach = None
    if state is not None and state.messages and state.first_time is not None:
        reach = format_about(max(1.0, now - state.first_time))
    return StreamStatus(
        name=plan.definition.name,
        max_bytes=plan.max_bytes,
        window_wanted=wanted,
        window_planned=format_about(plan.resulting_window_seconds) if plan.shortened else wanted,
        bytes=held,
        messages=None if state is None else state.messages,
        window_now=reach,
        summary=None if held is None else stream_summary(held, plan.max_bytes),
    )


def reason_word(reason: Reason) -> str:
    """The planner's reason as a condition's: `shrunk-to-budget` becomes `ShrunkToBudget`."""
    return "".join(part.capitalize() for part in reason.value.split("-"))


def _others(count: int) -> str:
    if not count:
        return ""
    return f". The other {_devices(count)} are polled" if count > 1 else ". The other one is polled"


def counted(count: int, noun: str) -> str:
    """`1 device`, `2 devices`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _devices(count: int) -> str:
    return counted(count, "device")
