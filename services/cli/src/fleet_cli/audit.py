"""Whether every message a stream ever took is where it should be. Pure.

Of each stream, over its whole life:

    published = stored + rejected + recorded as lost        (what the position claims)
              + discarded before it was stored, not recorded yet
              + still in the stream, unread

Each term is checked against what proves it: the position against its own counts, the
counts against the ranges and messages they count, messages that the stream still holds
against the keys in the tables, the tables against the number of rows that went in. A stream
may reach further back than rows are kept: what it holds of then is aged out, and no loss.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum

from fleet_cli.accounting import (
    EventKey,
    StoredCounts,
    StreamContent,
    keys_without_row,
    overclaimed,
    unexplained,
)
from fleet_contracts.subjects import Kind

type Ranges = Sequence[tuple[int, int]]
"""Sequences, both ends included, in order."""


class Problem(StrEnum):
    """A way in which messages are not accounted for."""

    WITHOUT_ROW = "passed by the writer, but in no table and not set aside"
    VANISHED = "not stored, not recorded as lost, and no longer in the stream"
    AHEAD = "counted as dealt with, but behind the position"
    NOT_COUNTED = "claimed by the position, but not counted as stored, rejected or lost"
    BEFORE_LINEAGE = "before the first sequence of the position, and in no earlier one"
    LOST_RANGES = "counted as lost, but not what the recorded ranges say"
    REJECTED = "counted as rejected, but not what was set aside"
    ROWS = "rows differ from what the writer counted"
    INVENTED = "more answered polls recorded than the routers answered"


@dataclass(frozen=True, slots=True)
class Finding:
    """So many messages (or rows) in one way; `ranges` of sequences, empty where unknown."""

    problem: Problem
    count: int
    ranges: Ranges = ()

    def __str__(self) -> str:
        where = f" (sequences {show_ranges(self.ranges)})" if self.ranges else ""
        return f"{self.count} {self.problem.value}{where}"


@dataclass(frozen=True, slots=True)
class Lineage:
    """A stored position: its counts, and what the tables beside it hold."""

    created: str
    generation: int
    counts: StoredCounts
    lost: Ranges
    rejected: AbstractSet[int]


@dataclass(frozen=True, slots=True)
class Rows:
    """All of a tenant's sample rows: counted when they went in, and found now.

    `found` is None where nobody counted them: once rows may have been dropped by age, fewer of
    them say nothing.
    """

    counted: int
    found: int | None


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What was read of a live stream and its tables.

    `first` and `last` as the stream was when the tables had been read, `first_after` its first
    sequence when `content` had been read to the end.
    """

    created: str
    first: int
    last: int
    first_after: int
    lineages: Sequence[Lineage]
    """All of the stream's name, oldest first."""
    content: StreamContent
    stored_keys: AbstractSet[EventKey]
    rows: Rows
    kept_since_ms: Mapping[Kind, int] = field(default_factory=dict[Kind, int])
    """The slot from which on a kind's rows must be there; all of a kind that is missing."""


@dataclass(frozen=True, slots=True)
class StreamAudit:
    """The balance. `removed`: messages taken out of the stream by hand after they were stored."""

    published: int
    earlier: int
    """Sequences that an earlier position of the same stream dealt with."""
    stored: int
    rejected: int
    lost: int
    lost_ranges: Ranges
    discarded: int
    """Gone from the stream before they were stored; the writer will record them as lost."""
    discarded_ranges: Ranges
    unread: int
    removed: Ranges
    aged_out: Ranges
    """Of what is stored or was too old to be stored, still in the stream, but no longer kept."""
    rows: Rows
    findings: Sequence[Finding] = field(default_factory=tuple[Finding, ...])

    @property
    def unaccounted(self) -> int:
        """Messages and rows of which nobody can say where they are."""
        return sum(finding.count for finding in self.findings)


def audit(facts: StreamFacts) -> StreamAudit:
    """Compare everything that was read of one stream."""
    live = [one for one in facts.lineages if one.created == facts.created]
    newest = max(live, key=lambda one: one.generation, default=None)
    counts = StoredCounts(1, 0, 0, 0, 0) if newest is None else newest.counts
    rejected = frozenset[int]() if newest is None else newest.rejected
    lost = () if newest is None else newest.lost
    passed = counts.sequences_to
    holes = _holes(facts)
    vanished = cut(holes, passed + 1, facts.last)
    discarded = cut([(passed + 1, facts.first - 1)], 1, facts.last)
    unread = cut([(max(passed + 1, facts.first), facts.last)], 1, facts.last)
    missing, aged_out = _without_row(facts, passed, rejected)
    findings = [
        *_ranged(Problem.VANISHED, vanished),
        *_ranged(Problem.WITHOUT_ROW, _without(missing, lost)),
        *_before(live, newest),
        *_rows(facts.rows),
    ]
    for lineage in facts.lineages:
        findings += _claims(lineage)
    return StreamAudit(
        published=facts.last,
        earlier=counts.sequences_from - 1,
        stored=counts.stored,
        rejected=counts.rejected,
        lost=counts.lost,
        lost_ranges=lost,
        discarded=size_of(discarded),
        discarded_ranges=discarded,
        unread=size_of(unread) - size_of(vanished),
        removed=_without(cut(holes, 1, passed), lost),
        aged_out=_without(aged_out, lost),
        rows=facts.rows,
        findings=findings,
    )


def audit_gone(lineages: Iterable[Lineage], rows: Rows) -> list[Finding]:
    """What can be said of positions whose stream is no longer there."""
    return [*(finding for one in lineages for finding in _claims(one)), *_rows(rows)]


def compare_polls(answered: Mapping[str, int], recorded: Mapping[str, int]) -> list[Finding]:
    """By device: no poll can be recorded as answered that the router did not answer."""
    surplus = sum(max(0, count - answered.get(name, 0)) for name, count in recorded.items())
    return [Finding(Problem.INVENTED, surplus)] if surplus else []


def _holes(facts: StreamFacts) -> Ranges:
    """Sequences between the stream's ends that it does not hold.

    What it discarded while it was read is none: only what is behind `first_after` counts.
    """
    begin = max(facts.first, facts.first_after)
    return _without([(begin, facts.last)] if begin <= facts.last else [], facts.content.ranges)


def _without_row(
    facts: StreamFacts, passed: int, rejected: AbstractSet[int]
) -> tuple[Ranges, Ranges]:
    """Messages without a row: those that must have one, and those of which it is no longer kept."""
    missing = keys_without_row(facts.content, passed, facts.stored_keys, rejected)
    aged_out = {
        sequence
        for (_, kind, slot_ms), sequence in missing.items()
        if slot_ms < facts.kept_since_ms.get(kind, 0)
    }
    needed = {*missing.values(), *unexplained(facts.content, passed, rejected)} - aged_out
    return ranges_of(sorted(needed)), ranges_of(sorted(aged_out))


def _before(live: Sequence[Lineage], newest: Lineage | None) -> list[Finding]:
    """A lineage begins at 1, or where an earlier one of the same stream has been."""
    if newest is None or newest.counts.sequences_from == 1:
        return []
    before = max(
        (one.counts.sequences_to for one in live if one.generation < newest.generation), default=0
    )
    begin = newest.counts.sequences_from
    return _ranged(Problem.BEFORE_LINEAGE, [(before + 1, begin - 1)] if before + 1 < begin else [])


def _claims(lineage: Lineage) -> list[Finding]:
    """The position against its counts, the counts against what they count."""
    counts = lineage.counts
    findings: list[Finding] = []
    surplus = overclaimed(counts)
    end = counts.sequences_to
    if surplus > 0:
        findings += _ranged(Problem.NOT_COUNTED, [(end - surplus + 1, end)])
    elif surplus < 0:
        findings += _ranged(Problem.AHEAD, [(end + 1, end - surplus)])
    difference = abs(counts.lost - size_of(lineage.lost))
    if difference:
        findings.append(Finding(Problem.LOST_RANGES, difference, lineage.lost))
    difference = abs(counts.rejected - len(lineage.rejected))
    if difference:
        findings.append(Finding(Problem.REJECTED, difference, ranges_of(sorted(lineage.rejected))))
    return findings


def _rows(rows: Rows) -> list[Finding]:
    if rows.found is None or rows.found == rows.counted:
        return []
    return [Finding(Problem.ROWS, abs(rows.found - rows.counted))]


def _ranged(problem: Problem, ranges: Ranges) -> list[Finding]:
    return [Finding(problem, size_of(ranges), ranges)] if ranges else []


def ranges_of(sequences: Iterable[int]) -> list[tuple[int, int]]:
    """Sequences in order as ranges."""
    found: list[tuple[int, int]] = []
    for sequence in sequences:
        if found and found[-1][1] >= sequence - 1:
            found[-1] = (found[-1][0], max(sequence, found[-1][1]))
        else:
            found.append((sequence, sequence))
    return found


def size_of(ranges: Ranges) -> int:
    """How many sequences."""
    return sum(to - begin + 1 for begin, to in ranges)


def cut(ranges: Ranges, first: int, last: int) -> list[tuple[int, int]]:
    """The part of the ranges from `first` to `last`."""
    parts = ((max(begin, first), min(to, last)) for begin, to in ranges)
    return [(begin, to) for begin, to in parts if begin <= to]


def _without(ranges: Ranges, taken: Ranges) -> list[tuple[int, int]]:
    """The ranges less those taken away. One walk over both."""
    left: list[tuple[int, int]] = []
    number = 0
    for begin, to in ranges:
        at = begin
        while number < len(taken) and taken[number][1] < at:
            number += 1
        look = number
        while at <= to and look < len(taken) and taken[look][0] <= to:
            if taken[look][0] > at:
                left.append((at, taken[look][0] - 1))
            at = max(at, taken[look][1] + 1)
            look += 1
        if at <= to:
            left.append((at, to))
    return left


def show_ranges(ranges: Ranges, most: int = 20) -> str:
    """`7, 12-15 and 3 more`."""
    shown = [str(begin) if begin == to else f"{begin}-{to}" for begin, to in ranges[:most]]
    more = f" and {len(ranges) - most} more ranges" if len(ranges) > most else ""
    return ", ".join(shown) + more
