"""Channel data from the upgrade host: cached, rate-limited, one request at a time.

A single task makes all requests, one after the other with a least distance: that gives
one flight per channel and a bound on the rate by construction. A good reading stays in
use when later reads fail, and when the channel is not found: a mirror that is being rebuilt
has no files for a while. Only after `retry_seconds` of that is there no such channel any more.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from fleet_common.health import Progress
from fleet_firmware.channels import ChannelAbsent, ChannelKey, ChannelReading, ChannelRelease
from fleet_firmware.metrics import FirmwareMetrics
from fleet_firmware.settings import FirmwareSection
from fleet_firmware.upgrade_host import Fetched, FetchFailedError

_log = logging.getLogger(__name__)

MAX_KEYS: Final = 64
"""Channels kept. Real fleets need at most eight (versions 6 and 7); a device that claims
version 4711 must not make the service ask for ever more files."""
_JITTER: Final = 0.1
_WAKE_SECONDS: Final = 5.0

type OnChange = Callable[[ChannelKey], Awaitable[None]]


class ChannelHost(Protocol):
    """What is asked; UpgradeHost in the service."""

    async def read(self, key: ChannelKey, etag: str | None) -> Fetched:
        """One read; raises FetchFailedError."""
        ...


@dataclass(slots=True)
class _Entry:
    due: float
    reading: ChannelReading | None = None
    etag: str | None = None
    failures: int = 0
    missing_since: float | None = None
    """When a channel with a good reading was first not found, of the reads since then all."""


class HostChannels:
    """Implements ChannelReader. `run` does the reading; nothing happens without it."""

    def __init__(
        self,
        host: ChannelHost,
        settings: FirmwareSection,
        metrics: FirmwareMetrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._host = host
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._jitter = jitter
        self._entries: dict[ChannelKey, _Entry] = {}
        self._wanted = asyncio.Event()
        self._last_request = float("-inf")

    def reading(self, key: ChannelKey) -> ChannelReading | None:
        """The newest good reading; a channel asked for the first time is put in line."""
        entry = self._entries.get(key)
        if entry is not None:
            return entry.reading
        if len(self._entries) >= MAX_KEYS:
            _log.warning(
                "too many channels; not reading another one: do devices report real versions?",
                extra={"channel": str(key), "channels": len(self._entries)},
            )
            return None
        self._entries[key] = _Entry(due=self._clock())
        self._wanted.set()
        return None

    async def run(self, on_change: OnChange, progress: Progress) -> None:
        """Read what is due, for ever; `on_change` is awaited after each change. Cancel to end."""
        while True:
            progress.beat()
            self._wanted.clear()
            key = self.next_due()
            if key is None:
                await self._wait(_WAKE_SECONDS)
                continue
            wait = max(self._entries[key].due, self._next_request_allowed()) - self._clock()
            if wait > 0:
                await self._wait(min(wait, _WAKE_SECONDS))
                continue
            if await self.refresh(key):
                await on_change(key)

    def next_due(self) -> ChannelKey | None:
        """The channel whose turn is next, due or not; None while none is wanted."""
        return min(self._entries, key=lambda key: self._entries[key].due, default=None)

    def due_in_seconds(self, key: ChannelKey) -> float:
        """Seconds until the channel is read again."""
        return self._entries[key].due - self._clock()

    async def refresh(self, key: ChannelKey) -> bool:
        """Read one channel now; True when it says something new."""
        entry = self._entries[key]
        self._last_request = self._clock()
        try:
            fetched = await self._host.read(key, entry.etag)
        except FetchFailedError as error:
            self._metrics.fetches.labels(error.outcome).inc()
            self._after_failure(key, entry, str(error))
            return False
        self._metrics.fetches.labels(fetched.outcome).inc()
        return self._after_answer(key, entry, fetched)

    def _after_failure(self, key: ChannelKey, entry: _Entry, reason: str) -> None:
        """Keep what is known, and ask again; ever less often while it lasts."""
        delay = min(
            self._settings.retry_seconds,
            self._settings.first_retry_seconds * 2.0 ** min(entry.failures, 32),
        )
        entry.failures += 1
        entry.due = self._later(delay)
        _log.warning(
            "channel not read; the last good reading stays in use",
            extra={
                "channel": str(key),
                "reason": reason,
                "known": entry.reading is not None,
                "retry_in_seconds": round(entry.due - self._clock()),
            },
        )

    def _after_answer(self, key: ChannelKey, entry: _Entry, fetched: Fetched) -> bool:
        reading = fetched.reading
        if isinstance(reading, ChannelAbsent) and isinstance(entry.reading, ChannelRelease):
            if entry.missing_since is None:
                entry.missing_since = self._clock()
            if self._clock() - entry.missing_since < self._settings.retry_seconds:
                self._after_failure(key, entry, reading.reason)
                return False
        entry.failures = 0
        entry.missing_since = None
        if reading is None:  # 304: the same as before, read just now
            entry.due = self._later(self._settings.refresh_seconds)
            self._track_age(key)
            return False
        changed = not reading.same_offer(entry.reading)
        entry.reading, entry.etag = reading, fetched.etag
        if isinstance(reading, ChannelAbsent):
            entry.due = self._later(self._settings.retry_seconds)
            if changed:
                _log.warning(
                    "no such channel for this major version",
                    extra={"channel": str(key), "reason": reading.reason},
                )
            return changed
        entry.due = self._later(self._settings.refresh_seconds)
        self._track_age(key)
        if changed:
            _log_release(key, reading)
        return changed

    def _track_age(self, key: ChannelKey) -> None:
        read_at = self._clock()
        self._metrics.channel_age.labels(str(key)).set_function(lambda: self._clock() - read_at)

    def _later(self, seconds: float) -> float:
        # Jitter: many checkers started together must not ask together for ever.
        return self._clock() + seconds * (1 + _JITTER * (2 * self._jitter() - 1))

    def _next_request_allowed(self) -> float:
        return self._last_request + self._settings.request_spacing_seconds

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        except TimeoutError:
            return


def _log_release(key: ChannelKey, reading: ChannelRelease) -> None:
    _log.info("channel read", extra={"channel": str(key), "version": str(reading.version)})
