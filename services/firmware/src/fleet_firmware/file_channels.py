"""Channel data from a file, for fleets without a way to the upgrade host.

    7:
      stable: {version: 7.24.4, released_unix_seconds: 1789558341}
      long-term: 7.23.7
    6:
      stable: 6.49.22

JSON of the same shape is read too. A channel that is not listed does not exist. The time of a
release, in seconds, may be left out.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import yaml

from fleet_common.errors import ConfigurationError
from fleet_common.health import Progress
from fleet_firmware.channels import (
    BadReleaseTimeError,
    ChannelAbsent,
    ChannelKey,
    ChannelReading,
    ChannelRelease,
    Source,
    channel_named,
    parse_release_time,
)
from fleet_firmware.metrics import FirmwareMetrics
from fleet_firmware.version import BadVersionError, parse_version

_log = logging.getLogger(__name__)

MAX_BYTES: Final = 64 * 1024
_VARIABLE: Final = "FLEET_FIRMWARE__CHANNEL_FILE"
_LOOK_SECONDS: Final = 2.0
_MAX_MAJOR_DIGITS: Final = 4

type OnChange = Callable[[ChannelKey], Awaitable[None]]


def parse_channels(text: str, read_unix_seconds: int) -> dict[ChannelKey, ChannelRelease]:
    """The file's channels; raises ConfigurationError that names the wrong entry."""
    try:
        # BaseLoader keeps every scalar text: 7.20 must not become the number 7.2.
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - builds text, lists and maps only
    except yaml.YAMLError as error:
        raise ConfigurationError(f"not YAML or JSON: {error}") from error
    if not isinstance(document, dict) or not document:
        raise ConfigurationError("not a map of major versions (`7: {stable: 7.24.4}`)")
    releases: dict[ChannelKey, ChannelRelease] = {}
    for major, channels in cast("Mapping[str, Any]", document).items():
        if not (major.isascii() and major.isdigit() and len(major) <= _MAX_MAJOR_DIGITS):
            raise ConfigurationError(f"{major[:32]!r} is not a major version (a whole number)")
        if not isinstance(channels, dict):
            raise ConfigurationError(f"{major}: not a map of channels")
        for name, entry in cast("Mapping[str, Any]", channels).items():
            key, release = _parse_entry(int(major), name, entry, read_unix_seconds)
            releases[key] = release
    return releases


def _parse_entry(
    major: int, name: str, entry: object, read_unix_seconds: int
) -> tuple[ChannelKey, ChannelRelease]:
    where = f"{major}.{name}"
    channel = channel_named(name)
    if channel is None:
        raise ConfigurationError(
            f"{where}: not a channel (stable, long-term, testing, development)"
        )
    fields = cast("Mapping[str, Any]", entry) if isinstance(entry, dict) else {"version": entry}
    unknown = sorted(set(fields) - {"version", "released_unix_seconds"})
    if unknown:
        raise ConfigurationError(
            f"{where}: unknown field {unknown[0]!r} (version, released_unix_seconds)"
        )
    try:
        version = parse_version(str(fields.get("version", "")))
    except BadVersionError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    if version.major != major:
        raise ConfigurationError(f"{where}: {version} is not version {major}")
    released: int | None = None
    if "released_unix_seconds" in fields:
        try:
            released = parse_release_time(str(fields["released_unix_seconds"]))
        except BadReleaseTimeError as error:
            raise ConfigurationError(f"{where}: released_unix_seconds: {error}") from error
    return ChannelKey(major, channel), ChannelRelease(
        version, released, read_unix_seconds, Source.FILE
    )


class FileChannels:
    """Implements ChannelReader from a file that is read again when it changes.

    The first read is at construction and raises ConfigurationError; later a bad file is
    logged and the last good content stays in use.
    """

    def __init__(
        self,
        path: Path,
        metrics: FirmwareMetrics,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._metrics = metrics
        self._wall_clock = wall_clock
        self._stamp: tuple[int, int, int] | None = None
        self._releases: dict[ChannelKey, ChannelRelease] = {}
        self._read_unix_seconds = 0
        self._good = False
        """Whether what is in use is what the file held at the last look."""
        self._good_unix_seconds = 0.0
        """The last look at which it was. A file is not old because nobody had to change it."""
        try:
            self._load()
        except (ConfigurationError, OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{_VARIABLE}: {path}: {error}") from error

    def reading(self, key: ChannelKey) -> ChannelReading:
        """What the file says of the channel."""
        release = self._releases.get(key)
        if release is not None:
            return release
        return ChannelAbsent(f"not in {self._path.name}", self._read_unix_seconds, Source.FILE)

    async def run(self, on_change: OnChange, progress: Progress) -> None:
        """Look for changes, for ever; `on_change` is awaited for each changed channel."""
        while True:
            progress.beat()
            for key in self.reload():
                await on_change(key)
            await asyncio.sleep(_LOOK_SECONDS)

    def reload(self) -> list[ChannelKey]:
        """Read the file if it is another one than before; the channels that changed."""
        before = self._releases
        try:
            if self._stat() == self._stamp:
                self._looked()
                return []
            self._load()
        except (ConfigurationError, OSError, UnicodeDecodeError) as error:
            self._metrics.fetches.labels("malformed").inc()
            _log.warning(
                "channel file not read; the last good content stays in use",
                extra={"file": str(self._path), "reason": str(error)},
            )
            return []
        _log.info("channel file read", extra={"channels": len(self._releases)})
        return [
            key
            for key in before.keys() | self._releases.keys()
            if not self.reading(key).same_offer(before.get(key))
        ]

    def _load(self) -> None:
        stamp = self._stat()
        # Remembered before the content is judged: a bad file is reported once, not every look.
        self._stamp, self._good = stamp, False
        with self._path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigurationError(f"more than {MAX_BYTES} bytes")
        now = int(self._wall_clock())
        self._releases = parse_channels(content.decode("utf-8"), now)
        self._read_unix_seconds = now
        self._good = True
        self._looked()
        self._metrics.fetches.labels("fresh").inc()
        for key in self._releases:
            self._metrics.channel_age.labels(str(key)).set_function(
                lambda: self._wall_clock() - self._good_unix_seconds
            )

    def _looked(self) -> None:
        if self._good:
            self._good_unix_seconds = self._wall_clock()

    def _stat(self) -> tuple[int, int, int]:
        # Follows links: Kubernetes swaps a link when a mounted ConfigMap changes.
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
