"""What the poller remembers of one device between polls.

Cheap on purpose: thousands of these live in one process. Everything in it can be lost;
a new process reads it again with its first poll of the device.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fleet_common.fleet_spec import CadenceSpec
from fleet_contracts.subjects import Kind
from fleet_poller.menus import WirelessMenus
from fleet_poller.routeros.commands import Command
from fleet_poller.routeros.wire import Attributes

REPROBE_MS: Final = 3_600_000
"""How long a refused menu is left alone; a reboot (packages may have changed) ends it early."""

PASSING_MS: Final = 120_000
"""How long a menu may go on refusing for reasons that pass, until it counts as absent."""
LEFT_ALONE_MS: Final = 600_000
"""How long it is left alone then."""


@dataclass(frozen=True, slots=True)
class WirelessSetup:
    """Which menus this device's radios are read from, and its own monitor command."""

    menus: WirelessMenus
    monitor: Command | None
    managed_caps: bool


@dataclass(frozen=True, slots=True)
class InterfaceSet:
    """The interfaces as the last inventory described them; entry n belongs to ids[n].

    The raw bytes are kept to compare a poll's rows with, without parsing them.
    """

    revision: int
    raw: tuple[tuple[bytes | None, bytes | None], ...]
    """`.id` and name of each."""
    ids: tuple[int, ...]
    links: tuple[tuple[bytes | None, bytes | None], ...]
    """`last-link-up-time` and `last-link-down-time` of each."""


@dataclass(slots=True)
class DeviceMemory:
    """Mutable, owned by one device's polls, which never overlap."""

    last_read_ms: dict[Kind, int] = field(default_factory=dict[Kind, int])
    last_slot_ms: int = 0
    uptime_seconds: int | None = None
    cpu_count: int = 1
    absent_until_ms: dict[str, int] = field(default_factory=dict[str, int])
    refusing_since_ms: dict[str, int] = field(default_factory=dict[str, int])
    """Menus that refused the last time for a reason that may pass, and since which slot."""
    wireless: WirelessSetup | None = None
    look_for_radios: bool = False
    """The last look was not settled: look again, whether or not the inventory is due."""
    interfaces: InterfaceSet | None = None

    def may_ask(self, command: Command, slot_ms: int) -> bool:
        """Whether the menu is not known to be absent.

        A time later than can be was reckoned by a clock that has been set back since.
        """
        if not self.absent_until_ms:
            return True
        return not 0 < self.absent_until_ms.get(command.path, 0) - slot_ms <= REPROBE_MS

    def remember_refusal(self, command: Command, slot_ms: int) -> None:
        """The router has no such menu; do not ask again for a while."""
        self.answered(command)
        self.absent_until_ms[command.path] = slot_ms + REPROBE_MS

    def answered(self, command: Command) -> None:
        """The menu is there, or known not to be."""
        if self.refusing_since_ms.pop(command.path, None) is not None:
            self.absent_until_ms.pop(command.path, None)

    def may_pass(self, command: Command, slot_ms: int) -> bool:
        """Whether a refusal may be a passing one; if not, the menu is left alone for a while."""
        since_ms = min(self.refusing_since_ms.get(command.path, slot_ms), slot_ms)
        self.refusing_since_ms[command.path] = since_ms
        if slot_ms - since_ms < PASSING_MS:
            return True
        self.absent_until_ms[command.path] = slot_ms + LEFT_ALONE_MS
        return False

    def due(self, cadence: CadenceSpec, slot_ms: int) -> set[Kind]:
        """The kinds to read at this slot; all of them at the first.

        A cadence is rounded to a whole number of intervals: a reading that half an
        interval later would be late is made now. So is one whose last was in the future:
        the clock has been set back.
        """
        early = cadence.interval * 500
        seconds: Mapping[Kind, float | None] = {
            Kind.HEALTH: cadence.health,
            Kind.INTERFACES: cadence.interfaces,
            Kind.WIRELESS: cadence.wireless,
            Kind.FIRMWARE: cadence.firmware,
            Kind.INVENTORY: cadence.inventory,
        }
        return {
            kind
            for kind, every in seconds.items()
            if every is None
            or (last := self.last_read_ms.get(kind)) is None
            or slot_ms - last >= every * 1000 - early
            or slot_ms < last
        }

    def read_at(self, slot_ms: int) -> list[Kind]:
        """The kinds that the poll of this slot was to read, and has: some may have no answer."""
        return [kind for kind, read_ms in self.last_read_ms.items() if read_ms == slot_ms]

    def rebooted(self, uptime_seconds: int | None, slot_ms: int) -> bool:
        """Whether the router has started anew since the last successful poll.

        Its uptime fell, or it is shorter than the time since then (a reboot during an
        outage that lasted longer than the uptime before it).
        """
        before = self.uptime_seconds
        if before is None or uptime_seconds is None:
            return False
        elapsed = (slot_ms - self.last_slot_ms) // 1000
        return uptime_seconds < before or uptime_seconds + _UPTIME_SLACK_SECONDS < elapsed

    def forget_refusals(self) -> None:
        """After a reboot other packages may be installed."""
        self.absent_until_ms.clear()
        self.refusing_since_ms.clear()


# Slot and reading are up to a poll's deadline apart.
_UPTIME_SLACK_SECONDS: Final = 60


def raw_identities(rows: list[Attributes]) -> tuple[tuple[bytes | None, bytes | None], ...]:
    """`.id` and name of each row, to tell whether the set of interfaces is the same."""
    return tuple((row.get(b".id"), row.get(b"name")) for row in rows)
