"""All devices of a shard as text, in pieces, without holding up the polls.

A scrape decodes each device once, then walks over the table: a family's samples must stand
together. What it has to keep meanwhile are the decoded events, not the text.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final, Protocol

from fleet_common.inventory import DeviceRecord
from fleet_contracts.subjects import Kind
from fleet_poller.exposition.families import KINDS, SHARING, Family, Group, interfaces
from fleet_poller.exposition.held import HeldEvents
from fleet_poller.exposition.table import FAMILIES
from fleet_poller.exposition.view import View
from fleet_poller.metrics import PollerMetrics

_log = logging.getLogger(__name__)

_PIECE_CHARACTERS: Final = 32 * 1024
_LONGEST_HOLD_SECONDS: Final = 0.001
"""How long a scrape keeps the event loop, but for the work that is not divided: one device's
decoding, and one family of a block of devices."""
_BLOCK_LINES: Final = 300


class ScrapedDevice(Protocol):
    """What a scrape needs of a device."""

    @property
    def record(self) -> DeviceRecord:
        """Its names."""
        ...

    @property
    def held(self) -> HeldEvents:
        """Its newest events."""
        ...


def wanted_kinds(groups: Iterable[Group]) -> frozenset[Kind]:
    """The events to be held for these groups."""
    return frozenset(kind for group in groups for kind in KINDS[group])


class DeviceExposition:
    """Renders the devices that `devices` gives at the moment of the scrape."""

    def __init__(
        self,
        devices: Callable[[], Iterable[ScrapedDevice]],
        groups: frozenset[Group],
        max_series: int,
        metrics: PollerMetrics,
    ) -> None:
        self._devices = devices
        self._families = [one for one in FAMILIES if one.group in groups | {Group.DEVICE}]
        self._most = Counter(one.most for one in self._families)
        self._most.update(
            {shared: 1 - self._most[shared] for shared in SHARING & self._most.keys()}
        )
        self._max_series = max_series
        self._metrics = metrics
        self._left_out = 0

    async def stream(self, *, openmetrics: bool) -> AsyncIterator[bytes]:
        """The text in pieces of about 32 KiB; without OpenMetrics' closing line."""
        pace = _Pace()
        blocks = _blocks(await self._views(pace))
        parts: list[str] = []
        size = 0
        for family in self._families:
            begun = False
            for block in blocks:
                text = "".join(map(family.lines, block))
                if text:
                    if not begun:
                        begun = True
                        parts.append(header(family, openmetrics=openmetrics))
                    parts.append(text)
                    size += len(text)
                if size > _PIECE_CHARACTERS:
                    yield "".join(parts).encode()
                    parts.clear()
                    size = 0
                await pace.keep()
        yield "".join(parts).encode()
        while blocks:  # thousands of objects at once would take their time
            blocks.pop()
            await pace.keep()

    async def _views(self, pace: "_Pace") -> list[View]:
        """The devices that have been polled, by name, as far as the bound on series allows."""
        views: list[View] = []
        room, left_out = self._max_series, 0
        # By name, so that each scrape and each restart leaves out the same ones.
        for device in sorted(self._devices(), key=lambda one: one.record.device):
            if Kind.STATUS not in device.held.payloads:
                continue
            view = View(device.record.tenant, device.record.device, device.held)
            series = sum([most(view) * number for most, number in self._most.items()])
            if left_out or series > room:
                left_out += 1
            else:
                room -= series
                views.append(view)
            await pace.keep()
        self._tell(self._max_series - room, left_out)
        return views

    def _tell(self, series: int, left_out: int) -> None:
        self._metrics.device_series.set(series)
        self._metrics.devices_left_out.set(left_out)
        if left_out and not self._left_out:
            _log.warning(
                "device metrics leave out devices; raise FLEET_POLLER__DEVICE_METRICS_MAX_SERIES "
                "or switch off groups",
                extra={"devices": left_out, "max_series": self._max_series},
            )
        self._left_out = left_out


def header(family: Family, *, openmetrics: bool) -> str:
    """HELP and TYPE. OpenMetrics names the family, the older format its samples."""
    name, kind = family.name, family.type
    if openmetrics:
        name = name.removesuffix("_total") if kind == "counter" else name.removesuffix("_info")
    elif kind == "info":
        kind = "gauge"
    return f"# HELP {name} {family.help}\n# TYPE {name} {kind}\n"


def _blocks(views: Sequence[View]) -> list[list[View]]:
    """Neighbours together, at most about _BLOCK_LINES lines of a family each."""
    blocks: list[list[View]] = []
    lines = _BLOCK_LINES
    for view in views:
        if lines >= _BLOCK_LINES:
            blocks.append([])
            lines = 0
        blocks[-1].append(view)
        lines += 1 + max(interfaces(view), len(view.clients))
    return blocks


class _Pace:
    """Lets others run when it has been a while."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def keep(self) -> None:
        """Call after each bit of work."""
        if time.perf_counter() - self._since > _LONGEST_HOLD_SECONDS:
            await asyncio.sleep(0)
            self._since = time.perf_counter()
