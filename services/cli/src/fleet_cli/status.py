"""The status line: what is seen between two readings, as one line of text."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fleet_cli.database import DeviceState
from fleet_cli.figures import Figures, StreamSize
from fleet_cli.words import counted
from fleet_common.units import format_duration, format_size

_STREAMS_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading with its time (seconds of a monotonic clock) and its sums."""

    at: float
    polls: int
    events: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Per second, over the last few readings."""

    polls: float
    events: float


@dataclass(frozen=True, slots=True)
class DeviceCount:
    """Devices of the run. `known` have been polled at least once."""

    total: int
    up: int
    down: int

    @property
    def known(self) -> int:
        """Devices with a first status."""
        return self.up + self.down


def count_devices(
    figures: Figures, wanted: AbstractSet[tuple[str, str]], since: datetime
) -> DeviceCount | None:
    """Devices by the state that polls since then found; None when nobody could be asked.

    Devices of earlier fleets, and states from before the run, are left out.
    """
    if figures.devices is None:
        return None
    states = [
        one.reachable
        for one in figures.devices
        if (one.tenant, one.device) in wanted and _polled_since(one, since)
    ]
    return DeviceCount(len(wanted), states.count(True), states.count(False))


def _polled_since(device: DeviceState, since: datetime) -> bool:
    """A poll right after the start may belong to a slot that was already past."""
    times = (device.last_seen, device.status_slot)
    return any(time is not None and time >= since for time in times)


def rates(moments: list[Moment]) -> Rates | None:
    """Between the first and the last reading; None with less than two."""
    if len(moments) < 2 or moments[-1].at <= moments[0].at:  # noqa: PLR2004 - a span has two ends
        return None
    first, last = moments[0], moments[-1]
    seconds = last.at - first.at
    return Rates((last.polls - first.polls) / seconds, (last.events - first.events) / seconds)


def status_line(
    up_seconds: float,
    devices: DeviceCount | None,
    speed: Rates | None,
    figures: Figures,
    restarts: int,
) -> str:
    """`up 1m5s · devices 101/101 · 10.1 polls/s · 42 events/s · 51k rows · …`."""
    parts = [f"up {format_duration(max(1.0, up_seconds))}"]
    if devices is None:
        parts.append("devices unknown (database not ready)")
    else:
        down = f", {devices.down} down" if devices.down else ""
        parts.append(f"devices {devices.up}/{devices.total} up{down}")
    if speed is not None:
        parts.append(f"{speed.polls:.1f} polls/s")
        parts.append(f"{speed.events:.1f} events/s")
    if figures.positions is not None:
        parts.append(counted(sum(one.rows_stored for one in figures.positions), "row"))
    if figures.streams:
        parts.append(f"streams {_sizes(figures.streams)}")
    else:
        parts.append("streams unknown (broker not ready)")
    if restarts:
        parts.append(counted(restarts, "restart"))
    return " · ".join(parts)


def _sizes(streams: Sequence[StreamSize]) -> str:
    """Each stream, or of many the sum and the fullest: the line is to fit a terminal."""
    if len(streams) <= _STREAMS_SHOWN:
        return ", ".join(
            f"{one.tenant} {format_size(one.bytes)} of {format_size(one.max_bytes)}"
            for one in streams
        )
    held, allowed = sum(one.bytes for one in streams), sum(one.max_bytes for one in streams)
    fullest = max(streams, key=_share)
    return (
        f"{format_size(held)} of {format_size(allowed)}, "
        f"fullest {fullest.tenant} {_share(fullest):.0%}"
    )


def _share(one: StreamSize) -> float:
    return one.bytes / one.max_bytes
