"""Update channels: their names, and what a reading of one says."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from fleet_firmware.version import BadVersionError, Version, parse_version

MAX_FILE_BYTES: Final = 256
"""A channel file is about 18 bytes; more is not a channel file."""
# 2000-01-01 and 2100-01-01. MikroTik released nothing before; what is after is in milliseconds.
_EARLIEST_RELEASE: Final = 946_684_800
_RELEASES_END: Final = 4_102_444_800
_MAX_TIME_DIGITS: Final = 20


class Channel(StrEnum):
    """The channels by their present names."""

    STABLE = "stable"
    LONG_TERM = "long-term"
    TESTING = "testing"
    DEVELOPMENT = "development"


class Source(StrEnum):
    """Where a reading came from."""

    UPGRADE_HOST = "upgrade-host"
    FILE = "file"


# RouterOS 6 calls them `current`, `bugfix` (`bugfix-only` before 6.40) and `release-candidate`.
_OLD_NAMES: Final = {
    "current": Channel.STABLE,
    "bugfix": Channel.LONG_TERM,
    "bugfix-only": Channel.LONG_TERM,
    "release-candidate": Channel.TESTING,
}
_BY_NAME: Final = {**_OLD_NAMES, **{channel.value: channel for channel in Channel}}


def channel_named(text: str) -> Channel | None:
    """The channel a router names, old names included; None when it is not a known one."""
    return _BY_NAME.get(text)


@dataclass(frozen=True, slots=True)
class ChannelKey:
    """One channel of one major version: the unit that is read and cached."""

    major: int
    channel: Channel

    def __str__(self) -> str:
        return f"{self.major}.{self.channel.value}"


@dataclass(frozen=True, slots=True)
class ChannelRelease:
    """What a channel offers. Times in Unix seconds; released is None where the file has none."""

    version: Version
    released_unix_seconds: int | None
    read_unix_seconds: int
    source: Source

    def same_offer(self, other: "ChannelReading | None") -> bool:
        """Whether both say the same, whenever they were read."""
        return (
            isinstance(other, ChannelRelease)
            and other.version == self.version
            and other.released_unix_seconds == self.released_unix_seconds
            and other.source is self.source
        )


@dataclass(frozen=True, slots=True)
class ChannelAbsent:
    """There is no such channel for this major version, and why that is known."""

    reason: str
    read_unix_seconds: int
    source: Source

    def same_offer(self, other: "ChannelReading | None") -> bool:
        """Whether both say that there is none."""
        return isinstance(other, ChannelAbsent) and other.source is self.source


type ChannelReading = ChannelRelease | ChannelAbsent


class ChannelReader(Protocol):
    """What the checker needs of channel data; answers at once, without I/O."""

    def reading(self, key: ChannelKey) -> ChannelReading | None:
        """The newest reading; None while there is none, and then the channel will be read."""
        ...


class BadReleaseTimeError(ValueError):
    """Text that is not the time of a release in Unix seconds."""


class MalformedChannelError(ValueError):
    """A body that is no channel file: a captive portal, a cut transfer."""


class WrongMajorError(ValueError):
    """A channel file of another major version.

    Seen at MikroTik: NEWESTa6.testing gives 7.x, NEWEST7.long-term gives 0.00.
    """


def parse_release_time(text: str) -> int:
    """Unix seconds; raises BadReleaseTimeError for what is no time between 2000 and 2100."""
    # The digits are bounded first: int() refuses text of some thousand of them.
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_TIME_DIGITS):
        raise BadReleaseTimeError(f"{text[:32]!r} is not a Unix time")
    seconds = int(text)
    if _EARLIEST_RELEASE <= seconds < _RELEASES_END:
        return seconds
    hint = ""
    if _EARLIEST_RELEASE <= seconds // 1000 < _RELEASES_END:
        hint = f"; is it in milliseconds? In seconds it is {seconds // 1000}"
    raise BadReleaseTimeError(
        f"{seconds} is not a Unix time in seconds between the years 2000 and 2100{hint}"
    )


def parse_channel_file(body: bytes, major: int) -> tuple[Version, int]:
    """Version and release time (Unix seconds) of a `NEWESTa<major>.<channel>` body.

    Raises MalformedChannelError or WrongMajorError.
    """
    if len(body) > MAX_FILE_BYTES:
        raise MalformedChannelError(f"more than {MAX_FILE_BYTES} bytes")
    words = body.decode("ascii", errors="replace").split()
    if len(words) != 2:  # noqa: PLR2004 - version and time
        raise MalformedChannelError(f"{len(words)} words instead of a version and a time")
    version_text, time_text = words
    try:
        version = parse_version(version_text)
    except BadVersionError as error:
        raise MalformedChannelError(str(error)) from error
    if version.major != major:
        raise WrongMajorError(f"offers {version}, which is not version {major}")
    try:
        return version, parse_release_time(time_text)
    except BadReleaseTimeError as error:
        raise MalformedChannelError(str(error)) from error
