"""Which shards live, judged by signs that they write themselves. Pure.

A shard writes a beat a second. Whoever assigns looks at the beats and judges by its own
clock alone: a shard lives while its beat changes. So no clocks are compared, a beat left by
an earlier process proves nothing, and a stopped (SIGSTOP) or hanging process is as dead as
an ended one. An observer that could not look for a while (stopped itself, or the broker was
away for everybody) gives all of them their time anew instead of finding all of them dead.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

BEAT_SECONDS: Final = 1.0
"""How often a shard writes."""
LEASE_SECONDS: Final = 5.0
"""A shard whose beat has not changed for so long is dead."""
FIRST_SIGN_SECONDS: Final = 8.0
"""How long a shard may take from when it is first looked for to its first beat."""
OBSERVER_GAP_SECONDS: Final = 2.0
"""Not having looked for longer than this, the observer cannot blame the shards."""


class RejectedLogins(BaseModel):
    """So many of a shard's devices do not let the user of a Secret in; `first` by name."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    secret: str
    devices: int
    first: str


class Beat(BaseModel):
    """A shard's sign of life. `incarnation` names the process, `count` its beats.

    `revision` is that of the assignment in force: its devices, and no others, have sessions.
    -1 before the first. The others are the shard's own figures, None where it has none (yet):
    how it is doing over the last half minute (`cpu_ratio` of the processor that it may use,
    `slot_lag_seconds` the 95th percentile of how late polls begin), and its devices by the
    newest poll of each. A shard that is `leaving` ends soon; until its devices are taken from
    it, it polls them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    tenant: str
    shard: str
    incarnation: str
    count: int
    revision: int
    cpu_ratio: float | None = None
    slot_lag_seconds: float | None = None
    devices: int | None = None
    devices_up: int | None = None
    devices_down: int | None = None
    rejected: tuple[RejectedLogins, ...] = ()
    leaving: bool = False


class State(StrEnum):
    """What is known of a shard."""

    STARTING = "starting"
    """No sign yet, and none overdue."""
    ALIVE = "alive"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class _Sign:
    """The last beat, since when it stands, and whether it was seen to change."""

    beat: Beat | None
    since: float
    proven: bool


class Liveness:
    """What one observer has seen. Times are seconds of any clock that only goes forward."""

    def __init__(
        self, lease_seconds: float = LEASE_SECONDS, first_seconds: float = FIRST_SIGN_SECONDS
    ) -> None:
        self._lease_seconds = lease_seconds
        self._first_seconds = first_seconds
        self._signs: dict[str, _Sign] = {}
        self._looked_at: float | None = None

    def observe(self, now: float, beats: Mapping[str, Beat | None]) -> None:
        """Take what was read just now; None: the shard has written nothing yet.

        Shards that are no key are forgotten.
        """
        away = self._looked_at is not None and now - self._looked_at > OBSERVER_GAP_SECONDS
        self._looked_at = now
        signs: dict[str, _Sign] = {}
        for shard, beat in beats.items():
            known = self._signs.get(shard)
            if known is None:
                signs[shard] = _Sign(beat, now, proven=False)
            elif beat is not None and beat != known.beat:
                signs[shard] = _Sign(beat, now, proven=True)
            elif away:
                signs[shard] = _Sign(known.beat, now, known.proven)
            else:
                signs[shard] = known
        self._signs = signs

    def state(self, shard: str) -> State:
        """Its state as of the last observation. Raises KeyError for one not looked for."""
        sign, looked_at = self._signs[shard], self._looked_at or 0.0
        silent = looked_at - sign.since
        if sign.proven:
            return State.ALIVE if silent <= self._lease_seconds else State.DEAD
        return State.STARTING if silent <= self._first_seconds else State.DEAD

    def fell_silent(self, shard: str) -> bool:
        """Whether it lived and is dead: its process hangs, or has ended."""
        return self._signs[shard].proven and self.state(shard) is State.DEAD

    def has_sign(self, shard: str) -> bool:
        """Whether there is a beat of it, be it an old one."""
        sign = self._signs.get(shard)
        return sign is not None and sign.beat is not None

    def leaving(self, shard: str) -> bool:
        """Whether it said last that it ends soon."""
        sign = self._signs.get(shard)
        return sign is not None and sign.beat is not None and sign.beat.leaving

    def revision(self, shard: str) -> int:
        """The assignment that it last said to be in force; -1 for none."""
        sign = self._signs.get(shard)
        return -1 if sign is None or sign.beat is None else sign.beat.revision


def eligible(
    wanted: Sequence[str],
    states: Mapping[str, State],
    holders: Collection[str],
    leaving: Collection[str] = (),
) -> list[str]:
    """The shards that should have devices, in the order of `wanted`.

    Those alive and not leaving; and those starting that hold devices already (a new one gets
    its first when it lives, so that nothing waits for a process to start). With none of these
    nothing is gained by moving: the holders keep what they have, at the very first all get a
    share.
    """
    alive = [
        shard
        for shard in wanted
        if shard not in leaving
        and (states[shard] is State.ALIVE or (states[shard] is State.STARTING and shard in holders))
    ]
    return alive or [shard for shard in wanted if shard in holders] or list(wanted)
