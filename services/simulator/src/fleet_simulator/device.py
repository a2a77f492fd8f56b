"""One device as the engine serves it: its router, who may log in, its sessions and faults."""

from __future__ import annotations

from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

from fleet_simulator.faults import LISTENER_FAULTS, LOGIN_FAULTS, Fault, FaultRule
from fleet_simulator.jobs import Context
from fleet_simulator.ledger import DeviceLedger
from fleet_simulator.login import Credentials
from fleet_simulator.tables import Router

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from fleet_simulator.clock import VirtualClock
    from fleet_simulator.command import Command, CommandReader
    from fleet_simulator.session import Session

DEFAULT_MAX_SESSIONS: Final = 20
"""RouterOS's own default of `/ip/service max-sessions`."""

_LEDGER_COMMANDS: Final = 512


class TlsMode(StrEnum):
    """How a device's API is reached: plainly, or through TLS with or without a certificate."""

    NONE = "none"
    CERTIFICATE = "certificate"
    ANONYMOUS = "anonymous"


class FleetRouter(Router, Protocol):
    """A simulated router that knows whose it is and who may log in."""

    @property
    def tenant(self) -> str:
        """The tenant that owns the device."""
        ...

    @property
    def username(self) -> str:
        """The user of the API."""
        ...

    @property
    def password(self) -> str:
        """That user's password."""
        ...


class Device:
    """What all sessions of one device share. Not thread safe: one event loop uses it."""

    __slots__ = (
        "away_until",
        "chance",
        "clock",
        "command_rules",
        "context",
        "ledger",
        "listener_rules",
        "login_rules",
        "max_sessions",
        "monotonic",
        "name",
        "reader",
        "router",
        "sessions",
        "tenant",
        "users",
    )

    def __init__(
        self,
        router: FleetRouter,
        *,
        clock: VirtualClock,
        reader: CommandReader,
        monotonic: Callable[[], float],
        max_sessions: int,
        seed: int,
    ) -> None:
        self.router = router
        self.name = router.name
        self.tenant = router.tenant
        self.users: tuple[Credentials, ...] = (
            Credentials(router.username.encode(), router.password.encode()),
        )
        self.clock = clock
        self.reader = reader
        self.context = Context(router, clock.now, self.changed, self.note_refusal)
        self.monotonic = monotonic
        self.max_sessions = max_sessions
        self.chance = Random(f"{seed}/{router.tenant}/{router.name}")  # noqa: S311 - repeatable, no secret
        self.ledger = DeviceLedger()
        self.sessions: set[Session] = set()
        self.away_until = 0.0
        self.listener_rules: tuple[FaultRule, ...] = ()
        self.login_rules: tuple[FaultRule, ...] = ()
        self.command_rules: tuple[FaultRule, ...] = ()

    @property
    def closed(self) -> bool:
        """Whether nothing should listen: the device is unreachable for certain."""
        return any(rule.probability >= 1 for rule in self.listener_rules)

    def use(self, rules: tuple[FaultRule, ...]) -> None:
        """Follow these rules from now on; a device taken offline loses its sessions."""
        self.listener_rules = tuple(rule for rule in rules if rule.kind in LISTENER_FAULTS)
        self.login_rules = tuple(rule for rule in rules if rule.kind in LOGIN_FAULTS)
        self.command_rules = tuple(
            rule for rule in rules if rule.kind not in LISTENER_FAULTS | LOGIN_FAULTS
        )
        if any(rule.kind is Fault.OFFLINE and rule.probability >= 1 for rule in rules):
            self.cut()

    def turns_away(self) -> bool:
        """Decide on a new connection; counts it."""
        self.ledger.connections += 1
        struck = [rule for rule in self.listener_rules if self.chance.random() < rule.probability]
        for rule in struck:
            self.ledger.faults[rule.kind] += 1
        away = self.monotonic() < self.away_until
        if struck or away or len(self.sessions) >= self.max_sessions:
            self.ledger.connections_refused += 1
            return True
        return False

    def note_command(self, command: Command) -> None:
        """Count a command; names beyond a bound are counted together."""
        _count(self.ledger.commands, command.full_name)

    def note_refusal(self, command: Command) -> None:
        """Count a command that the router answered with a trap of its own."""
        _count(self.ledger.refusals, command.full_name)

    def forget(self) -> None:
        """Begin the ledger anew."""
        self.ledger = DeviceLedger()

    def changed(self) -> None:
        """A table was written: whoever follows one looks at once."""
        for session in tuple(self.sessions):
            session.wake_followers()

    def reboot(self, seconds: float) -> None:
        """Restart the router and be away for `seconds` of real time."""
        self.router.reboot(self.clock.now())
        self.restarted(seconds)

    def restarted(self, seconds: float) -> None:
        """The router has restarted: hang up and be away for `seconds` of real time."""
        self.ledger.reboots += 1
        self.away_until = self.monotonic() + seconds
        self.cut()

    def cut(self) -> None:
        """End all sessions without a word."""
        for session in tuple(self.sessions):
            session.abort()


def _count(counts: Counter[str], name: str) -> None:
    if name not in counts and len(counts) >= _LEDGER_COMMANDS:
        name = "(other)"
    counts[name] += 1
