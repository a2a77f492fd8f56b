"""What the owner of the streams says to a person."""

import logging

from fleet_common.planning import StreamPlan, StreamState, estimate_trim
from fleet_common.streams.live import LiveStream
from fleet_common.units import format_duration, format_size

_log = logging.getLogger(__name__)


def foretell(one: StreamPlan, state: StreamState) -> list[str]:
    """A line (and a log record) before messages go that a consumer has not stored."""
    trim = estimate_trim(state, one.max_bytes)
    if not trim.unstored_messages:
        return []
    _log.warning(
        "the plan drops messages that a consumer has not stored",
        extra={
            "tenant": one.tenant,
            "unstored_messages": trim.unstored_messages,
            "unstored_bytes": trim.unstored_bytes,
            "max_bytes": one.max_bytes,
        },
    )
    return [
        (
            f"stream {one.definition.name}: {format_size(one.max_bytes)} drop about "
            f"{trim.unstored_messages} messages ({format_size(trim.unstored_bytes)}) that a "
            "consumer has not stored: the budget leaves no more"
        )
    ]


def describe(one: StreamPlan, before: LiveStream | None, *, drifted: bool) -> str:
    """What was done to a stream; `before` is how it stood, None: there was none."""
    name = one.definition.name
    size = format_size(one.max_bytes)
    window = format_duration(one.resulting_window_seconds)
    if drifted:
        what = "deleted" if before is None else "changed"
        line = f"stream {name} was {what} by someone else; it is {size} again"
    elif before is None:
        line = f"stream {name}: {size}, replay window {window}"
    else:
        line = (
            f"stream {name}: {format_size(before.max_bytes or 0)} → {size}, replay window {window}"
        )
    if one.shortened:
        wanted = format_duration(one.wanted_window_seconds)
        line += f" (wanted {wanted}; the budget allows no more)"
    return line
