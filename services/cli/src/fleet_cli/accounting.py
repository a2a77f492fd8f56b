"""Whether every event is where it should be: pure arithmetic over what was read.

An event of the run is accounted for when it was acknowledged to a poller and stands in
the stream, and each message of the stream from the run's first to its last is stored,
rejected (with its reason), or recorded as lost. Three independent readings are compared:
the broker's sequences, the writer's own counts, and the keys found in the tables.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from fleet_contracts.subjects import Kind

type EventKey = tuple[str, Kind, int]
"""Device, kind, slot in ms."""


@dataclass(frozen=True, slots=True)
class StreamEnds:
    """The broker's figures: last sequence before the run, first and last after it."""

    before: int
    first: int
    last: int

    @property
    def published(self) -> int:
        """Messages that entered the stream in the run."""
        return self.last - self.before

    @property
    def run_first(self) -> int:
        """The first sequence of the run that the stream still holds."""
        return max(self.before + 1, self.first)


@dataclass(frozen=True, slots=True)
class StoredCounts:
    """The writer's counts of one stream over all its lives; see its table stream_positions.

    `sequences_from` and `sequences_to` bound what the position claims to have dealt with.
    """

    sequences_from: int
    sequences_to: int
    stored: int
    rejected: int
    lost: int
    rows: int = 0
    rows_duplicate: int = 0
    rows_expired: int = 0


NOTHING_STORED = StoredCounts(1, 0, 0, 0, 0)
"""A stream the writer has not begun."""


@dataclass(slots=True)
class StreamContent:
    """What was read from the stream for the run: keys of valid events, sequences of others."""

    keys: dict[EventKey, int] = field(default_factory=dict[EventKey, int])
    """Key to its (last) sequence."""
    twice: int = 0
    """Messages whose key came before: one event delivered twice to the stream."""
    rejectable: set[int] = field(default_factory=set[int])
    """Sequences of messages that are no valid events."""
    by_kind: Counter[Kind] = field(default_factory=Counter[Kind])
    answered: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    """(device, sequence) of each poll that the device answered, to when, in Unix ms."""
    ranges: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """All sequences that were read, as ranges in order, both ends included."""

    def saw(self, sequence: int) -> None:
        """A message, whatever it is; in the stream's order."""
        if self.ranges and self.ranges[-1][1] == sequence - 1:
            self.ranges[-1] = (self.ranges[-1][0], sequence)
        else:
            self.ranges.append((sequence, sequence))

    def add(self, key: EventKey, sequence: int, *, has_row: bool) -> None:
        """A valid event; interfaces of a device without any leave no row by their nature."""
        self.by_kind[key[1]] += 1
        if not has_row:
            return
        if key in self.keys:
            self.twice += 1
        self.keys[key] = sequence


@dataclass(frozen=True, slots=True)
class StreamAccount:
    """One stream's balance over the run: from `behind` on, all should be 0."""

    published: int
    backlog: int
    """In the stream but not stored when the run began: what an earlier run left is stored now."""
    stored: int
    rejected: int
    lost: int
    behind: int
    """In the stream, not yet reached by the writer."""
    miscounted: int
    """Difference between the writer's counts and the sequences it claims."""
    without_row: int
    """In the stream and passed by the writer, but in no table and not rejected."""
    not_in_stream: int
    """Acknowledged to a poller, but not in the stream."""
    twice_in_stream: int

    @property
    def unaccounted(self) -> int:
        """Events of which nobody can say where they are."""
        return self.behind + self.miscounted + self.without_row + self.not_in_stream

    def explain(self) -> list[str]:
        """A line for each way in which events are missing."""
        reasons = {
            "not stored when the run ended": self.behind,
            "that the writer's own counts do not explain": self.miscounted,
            "passed by the writer, but in no table": self.without_row,
            "acknowledged to a poller, but not in the stream": self.not_in_stream,
        }
        return [f"{count} {reason}" for reason, count in reasons.items() if count]


@dataclass(frozen=True, slots=True)
class Readings:
    """All that was read about one stream."""

    ends: StreamEnds
    before: StoredCounts
    after: StoredCounts
    content: StreamContent
    stored_keys: AbstractSet[EventKey]
    rejected_sequences: AbstractSet[int]
    acknowledged: Mapping[Kind, int]
    """By kind, what the pollers were told is stored; acknowledgements of retries left out."""


def balance(readings: Readings) -> StreamAccount:
    """Compare the readings of one stream."""
    before, after = readings.before, readings.after
    return StreamAccount(
        published=readings.ends.published,
        backlog=max(0, readings.ends.before - before.sequences_to),
        stored=after.stored - before.stored,
        rejected=after.rejected - before.rejected,
        lost=after.lost - before.lost,
        behind=max(0, readings.ends.last - after.sequences_to),
        miscounted=abs(overclaimed(after)),
        without_row=_without_row(readings),
        not_in_stream=_not_in_stream(readings),
        twice_in_stream=readings.content.twice,
    )


def overclaimed(counts: StoredCounts) -> int:
    """Sequences that the position claims beyond what was counted; negative: counted beyond it."""
    claimed = counts.sequences_to - counts.sequences_from + 1
    return claimed - counts.stored - counts.rejected - counts.lost


def _without_row(readings: Readings) -> int:
    return len(
        sequences_without_row(
            readings.content,
            readings.after.sequences_to,
            readings.stored_keys,
            readings.rejected_sequences,
        )
    )


def sequences_without_row(
    content: StreamContent,
    passed: int,
    stored_keys: AbstractSet[EventKey],
    rejected: AbstractSet[int],
) -> list[int]:
    """Messages that the writer passed and that are neither in a table nor set aside, in order."""
    missing = keys_without_row(content, passed, stored_keys, rejected).values()
    return sorted([*missing, *unexplained(content, passed, rejected)])


def keys_without_row(
    content: StreamContent,
    passed: int,
    stored_keys: AbstractSet[EventKey],
    rejected: AbstractSet[int],
) -> dict[EventKey, int]:
    """Valid events that the writer passed and that are neither in a table nor set aside."""
    return {
        key: sequence
        for key, sequence in content.keys.items()
        if sequence <= passed and key not in stored_keys and sequence not in rejected
    }


def unexplained(content: StreamContent, passed: int, rejected: AbstractSet[int]) -> list[int]:
    """Messages that are no valid events, which the writer passed without setting them aside."""
    return [
        sequence
        for sequence in content.rejectable
        if sequence <= passed and sequence not in rejected
    ]


def _not_in_stream(readings: Readings) -> int:
    ends, acknowledged = readings.ends, readings.acknowledged
    if ends.first > ends.before + 1:
        # Part of the run has been discarded to keep the limit: only the sum can be compared.
        return max(0, sum(acknowledged.values()) - ends.published)
    by_kind = readings.content.by_kind
    return sum(max(0, count - by_kind[kind]) for kind, count in acknowledged.items())


def total_unaccounted(accounts: Iterable[StreamAccount]) -> int:
    """Over all streams."""
    return sum(account.unaccounted for account in accounts)
