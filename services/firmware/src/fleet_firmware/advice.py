"""From what a router reports and what its channel offers to advice; no I/O."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from fleet_contracts.gen.fleet.v1.events_pb2 import ChannelSource, Firmware, FirmwareAdvice, Verdict
from fleet_firmware.channels import (
    ChannelAbsent,
    ChannelKey,
    ChannelReading,
    Source,
    channel_named,
)
from fleet_firmware.version import BadVersionError, Version, parse_version

_SOURCES: Final = {
    None: ChannelSource.CHANNEL_SOURCE_UNSPECIFIED,
    Source.UPGRADE_HOST: ChannelSource.CHANNEL_SOURCE_UPGRADE_HOST,
    Source.FILE: ChannelSource.CHANNEL_SOURCE_FILE,
}
_SOURCE_BY_NUMBER: Final = {number: source for source, number in _SOURCES.items()}


class Judgement(Enum):
    """The verdicts, with the numbers of the contract."""

    UP_TO_DATE = Verdict.VERDICT_UP_TO_DATE
    UPGRADE_AVAILABLE = Verdict.VERDICT_UPGRADE_AVAILABLE
    AHEAD_OF_CHANNEL = Verdict.VERDICT_AHEAD_OF_CHANNEL
    CHANNEL_UNKNOWN = Verdict.VERDICT_CHANNEL_UNKNOWN
    VERSION_UNKNOWN = Verdict.VERDICT_VERSION_UNKNOWN

    @property
    def label(self) -> str:
        """The verdict as a metric label."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class FirmwareFacts:
    """What a router says of its firmware; text as the router gave it, empty where it gave none."""

    installed_version: str
    channel: str
    routerboot_current: str
    routerboot_upgrade: str
    routerboard: bool | None

    @classmethod
    def of(cls, message: Firmware) -> "FirmwareFacts":
        """The facts of a firmware event's body."""
        return cls(
            installed_version=message.installed_version,
            channel=message.channel,
            routerboot_current=message.routerboot_current,
            routerboot_upgrade=message.routerboot_upgrade,
            routerboard=message.routerboard if message.HasField("routerboard") else None,
        )

    @property
    def version(self) -> Version | None:
        """The installed version; None when it cannot be read."""
        try:
            return parse_version(self.installed_version)
        except BadVersionError:
            return None

    @property
    def channel_key(self) -> ChannelKey | None:
        """The channel to compare with; None when version or channel is not a known one."""
        version, channel = self.version, channel_named(self.channel)
        if version is None or channel is None:
            return None
        return ChannelKey(version.major, channel)

    @property
    def routerboot_upgrade_available(self) -> bool:
        """The installed packages carry another RouterBOOT than the one in flash."""
        return (
            self.routerboard is not False
            and bool(self.routerboot_current)
            and bool(self.routerboot_upgrade)
            and self.routerboot_current != self.routerboot_upgrade
        )


@dataclass(frozen=True, slots=True)
class Advice:
    """One advice; fields as in the contract's FirmwareAdvice."""

    judgement: Judgement
    installed_version: str
    channel: str
    latest_version: str
    latest_released_unix_seconds: int | None
    routerboot_upgrade_available: bool
    routerboot_current: str
    routerboot_upgrade: str
    channel_read_unix_seconds: int
    channel_source: Source | None

    def says_the_same_as(self, other: "Advice | None") -> bool:
        """Equal but for the time the channel was read: reading it again is no news."""
        return other is not None and other == replace(
            self, channel_read_unix_seconds=other.channel_read_unix_seconds
        )

    def to_message(self) -> FirmwareAdvice:
        """The body of a firmware-advice event."""
        return FirmwareAdvice(
            verdict=self.judgement.value,
            installed_version=self.installed_version,
            channel=self.channel,
            latest_version=self.latest_version,
            latest_released_unix_seconds=self.latest_released_unix_seconds,
            routerboot_upgrade_available=self.routerboot_upgrade_available,
            routerboot_current=self.routerboot_current,
            routerboot_upgrade=self.routerboot_upgrade,
            channel_read_unix_seconds=self.channel_read_unix_seconds,
            channel_source=_SOURCES[self.channel_source],
        )

    @classmethod
    def of(cls, message: FirmwareAdvice) -> "Advice | None":
        """The advice of an event's body; None when a newer checker said what we cannot."""
        try:
            judgement = Judgement(message.verdict)
            source = _SOURCE_BY_NUMBER[message.channel_source]
        except (ValueError, KeyError):
            return None
        has_time = message.HasField("latest_released_unix_seconds")
        return cls(
            judgement=judgement,
            installed_version=message.installed_version,
            channel=message.channel,
            latest_version=message.latest_version,
            latest_released_unix_seconds=message.latest_released_unix_seconds if has_time else None,
            routerboot_upgrade_available=message.routerboot_upgrade_available,
            routerboot_current=message.routerboot_current,
            routerboot_upgrade=message.routerboot_upgrade,
            channel_read_unix_seconds=message.channel_read_unix_seconds,
            channel_source=source,
        )


def advise(facts: FirmwareFacts, reading: ChannelReading | None) -> Advice | None:
    """The advice, or None while the channel has not been read: not knowing yet is no verdict.

    `reading` belongs to `facts.channel_key`; it is ignored where that is None.
    """
    version = facts.version
    if version is None:
        return _advice(facts, Judgement.VERSION_UNKNOWN, None)
    if facts.channel_key is None:
        return _advice(facts, Judgement.CHANNEL_UNKNOWN, None)
    if reading is None:
        return None
    if isinstance(reading, ChannelAbsent):
        return _advice(facts, Judgement.CHANNEL_UNKNOWN, reading)
    if version == reading.version:
        return _advice(facts, Judgement.UP_TO_DATE, reading)
    if version < reading.version:
        return _advice(facts, Judgement.UPGRADE_AVAILABLE, reading)
    return _advice(facts, Judgement.AHEAD_OF_CHANNEL, reading)


def _advice(facts: FirmwareFacts, judgement: Judgement, reading: ChannelReading | None) -> Advice:
    release = None if isinstance(reading, ChannelAbsent) else reading
    return Advice(
        judgement=judgement,
        installed_version=facts.installed_version,
        channel=facts.channel,
        latest_version=str(release.version) if release else "",
        latest_released_unix_seconds=release.released_unix_seconds if release else None,
        routerboot_upgrade_available=facts.routerboot_upgrade_available,
        routerboot_current=facts.routerboot_current,
        routerboot_upgrade=facts.routerboot_upgrade,
        channel_read_unix_seconds=reading.read_unix_seconds if reading else 0,
        channel_source=reading.source if reading else None,
    )
