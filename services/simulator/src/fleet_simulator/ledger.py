"""What each device was asked and what it answered: the truth that tests compare with."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class DeviceLedger:
    """Counts of one device since the simulator started (or the ledger was reset).

    `commands` are those sent after login by path and name, `refusals` those that the router
    (not a fault) answered with a trap. A poll is an `/interface/print` that was answered
    completely, count-only excepted.
    """

    connections: int = 0
    connections_refused: int = 0
    logins: int = 0
    logins_refused: int = 0
    polls: int = 0
    reboots: int = 0
    commands: Counter[str] = field(default_factory=Counter[str])
    refusals: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
