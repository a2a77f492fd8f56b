"""Faults: what may go wrong with a device, for whom, how often and when.

A rule names a kind, the devices (shell patterns), a probability and a time window. Rules are
drawn per connection (`refuse`, `wrong-password`) or per command (all others) from a generator
seeded by the device, so a run with the same questions meets the same faults.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from random import Random
from typing import Any, Final, cast


class FaultError(Exception):
    """A fault plan or rule that cannot be used; the message names the field and what is wrong."""


class Fault(StrEnum):
    """The kinds of faults, each from a field report."""

    OFFLINE = "offline"
    """Nothing listens and open sessions are cut: connecting is refused by the system."""
    REFUSE = "refuse"
    """New connections are reset; those that are open go on."""
    WRONG_PASSWORD = "wrong-password"  # noqa: S105 - the name of a fault
    """The login is refused, whatever the password."""
    STALL_BEFORE = "stall-before"
    """Nothing is answered for `seconds` (no value: for ever), then all of it."""
    STALL_INSIDE = "stall-inside"
    """As stall-before, but in the middle of a sentence."""
    TRICKLE = "trickle"
    """Replies come at `rate` bytes a second."""
    CUT = "cut"
    """The connection ends in the middle of a sentence."""
    GARBAGE = "garbage"
    """Random bytes instead of a reply."""
    TRAP = "trap"
    """The command fails with `message` and `category`."""
    FATAL = "fatal"
    """`!fatal` with `message`, then the connection closes."""
    REBOOT = "reboot"
    """The device restarts: sessions are cut, counters begin anew, away for `seconds`."""
    LATENCY = "latency"
    """Every reply begins `seconds` later, 0.2 when no value is given."""
    HUGE = "huge"
    """Tables whose records have an `.id` have `rows` records, 10,000 when no value is given."""


LISTENER_FAULTS: Final = frozenset({Fault.OFFLINE, Fault.REFUSE})
LOGIN_FAULTS: Final = frozenset({Fault.WRONG_PASSWORD})

_MAY_BE_NONE: Final = frozenset({"seconds", "lasting", "category"})
_DEFAULT_SECONDS: Final = {Fault.LATENCY: 0.2, Fault.REBOOT: 2.0}


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One rule; `after` and `lasting` are real seconds from when the simulator started.

    `devices` and `commands` are shell patterns (`ap-*`, `acme/*`, `/interface/*/print`); a device
    is matched by its name, or by `tenant/name` when the pattern has a slash.
    """

    kind: Fault
    probability: float = 1.0
    devices: tuple[str, ...] = ("*",)
    commands: tuple[str, ...] = ("*",)
    seconds: float | None = None
    rate: float = 200.0
    rows: int = 10_000
    message: str = "failure: simulated fault"
    category: int | None = 4
    after: float = 0.0
    lasting: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise FaultError(f"{self.kind}: probability must be between 0 and 1")
        for name in ("seconds", "rate", "after", "lasting"):
            value = cast("float | None", getattr(self, name))
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise FaultError(f"{self.kind}: {name} must be a number, 0 or more")
        if self.rate < 1:
            raise FaultError(f"{self.kind}: rate must be at least 1 byte a second")
        if not 1 <= self.rows <= 1_000_000:  # noqa: PLR2004 - a table that memory can hold
            raise FaultError(f"{self.kind}: rows must be between 1 and 1000000")

    def concerns(self, tenant: str, device: str) -> bool:
        """Whether the rule is about this device."""
        full = f"{tenant}/{device}"
        return any(
            fnmatchcase(full if "/" in pattern else device, pattern) for pattern in self.devices
        )

    def concerns_command(self, full_name: str) -> bool:
        """Whether the rule is about this command."""
        return any(fnmatchcase(full_name, pattern) for pattern in self.commands)

    def active(self, elapsed: float) -> bool:
        """Whether the rule holds `elapsed` real seconds after the start."""
        return elapsed >= self.after and (
            self.lasting is None or elapsed < self.after + self.lasting
        )

    @property
    def delay(self) -> float | None:
        """`seconds`, or the kind's own default."""
        return self.seconds if self.seconds is not None else _DEFAULT_SECONDS.get(self.kind)


class FaultBook:
    """The rules in force. Changing them tells whoever subscribed (the listeners do)."""

    def __init__(self, rules: Iterable[FaultRule] = ()) -> None:
        self._rules = tuple(rules)
        self._subscribers: list[Callable[[], None]] = []

    @property
    def rules(self) -> tuple[FaultRule, ...]:
        """All rules, active now or not."""
        return self._rules

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call back after each change of the rules."""
        self._subscribers.append(callback)

    def replace(self, rules: Iterable[FaultRule]) -> None:
        """Use these rules and no others from now on."""
        self._rules = tuple(rules)
        for callback in self._subscribers:
            callback()

    def add(self, rule: FaultRule) -> None:
        """One rule more."""
        self.replace((*self._rules, rule))

    def remove(self, kind: Fault | None = None, device: str | None = None) -> int:
        """Drop the rules of a kind, or about exactly this device, or all; gives how many."""
        kept = [
            rule
            for rule in self._rules
            if (kind is not None and rule.kind is not kind)
            or (device is not None and rule.devices != (device,))
        ]
        removed = len(self._rules) - len(kept)
        self.replace(kept)
        return removed

    def for_device(self, tenant: str, device: str, elapsed: float) -> tuple[FaultRule, ...]:
        """The rules that hold for a device at this moment."""
        return tuple(
            rule for rule in self._rules if rule.active(elapsed) and rule.concerns(tenant, device)
        )

    def next_change(self, elapsed: float) -> float | None:
        """The next moment (seconds from the start) at which a rule begins or ends."""
        moments = [rule.after for rule in self._rules]
        moments += [rule.after + rule.lasting for rule in self._rules if rule.lasting is not None]
        return min((moment for moment in moments if moment > elapsed), default=None)


def draw(rules: Iterable[FaultRule], chance: Random) -> list[FaultRule]:
    """The rules that strike this time: each is drawn once, in order."""
    return [rule for rule in rules if chance.random() < rule.probability]


def parse_rule(value: object) -> FaultRule:
    """A rule from a mapping, e.g. out of YAML or JSON. Raises FaultError naming the field."""
    if not isinstance(value, Mapping):
        raise FaultError("a fault must be a mapping with at least `kind`")
    given = dict(cast("Mapping[str, Any]", value))
    known = {field.name for field in fields(FaultRule)}
    for name in given:
        if name not in known:
            raise FaultError(f"unknown field {name!r}; known are {', '.join(sorted(known))}")
    kind = parse_kind(given.pop("kind", None))
    for name in ("devices", "commands"):
        if name in given:
            given[name] = _texts(name, given[name])
    for name in ("probability", "seconds", "rate", "after", "lasting", "rows", "category"):
        number = given.get(name, 0)
        if number is None and name in _MAY_BE_NONE:
            continue
        # JSON and YAML know infinity, and YAML reads a key without a value as null.
        if (
            isinstance(number, bool)
            or not isinstance(number, int | float)
            or not math.isfinite(number)
        ):
            raise FaultError(f"{kind}: {name} must be a number")
    if not isinstance(given.get("message", ""), str):
        raise FaultError(f"{kind}: message must be text")
    for name in ("rows", "category"):
        if given.get(name) is not None:
            given[name] = int(given[name])
    return FaultRule(kind, **given)


def parse_kind(value: object) -> Fault:
    """A kind by its name. Raises FaultError listing the kinds."""
    try:
        return Fault(str(value))
    except ValueError:
        raise FaultError(f"unknown fault {value!r}; known are {', '.join(Fault)}") from None


def parse_plan(document: object) -> list[FaultRule]:
    """The rules of a fault plan: a mapping whose `faults` is a list of rules."""
    plan: Mapping[str, object] = {}
    if isinstance(document, Mapping):
        plan = cast("Mapping[str, object]", document)
    rules = plan.get("faults")
    if set(plan) != {"faults"} or not isinstance(rules, list):
        raise FaultError("a fault plan is a mapping with one key, `faults`: a list of rules")
    return [parse_rule(rule) for rule in cast("list[object]", rules)]


def _texts(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(
        isinstance(item, str) for item in cast("list[object]", value)
    ):
        return tuple(cast("list[str]", value))
    raise FaultError(f"{name} must be text or a list of texts")
