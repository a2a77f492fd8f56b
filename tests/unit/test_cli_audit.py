"""Each way in which a stream's balance can be off, one by one, with the exact sequences."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_cli.accounting import StoredCounts, StreamContent
from fleet_cli.audit import (
    Lineage,
    Problem,
    Ranges,
    Rows,
    StreamAudit,
    StreamFacts,
    audit,
    audit_gone,
    compare_polls,
    cut,
    ranges_of,
    show_ranges,
    size_of,
)
from fleet_cli.retention import kept_since_ms, surely_kept_since_ms
from fleet_contracts.subjects import Kind

ROWS = Rows(counted=40, found=40)


def content_of(*ranges: tuple[int, int]) -> StreamContent:
    content = StreamContent()
    for first, last in ranges:
        for sequence in range(first, last + 1):
            content.saw(sequence)
            content.add(("core-1", Kind.STATUS, sequence * 1000), sequence, has_row=True)
    return content


def lineage(counts: StoredCounts, lost: Ranges = (), generation: int = 0) -> Lineage:
    return Lineage("today", generation, counts, lost, frozenset())


def good() -> StreamFacts:
    """Sequences 1 to 30: 10 were discarded after they were stored, 20 stand, 5 are unread."""
    content = content_of((11, 30))
    return StreamFacts(
        created="today",
        first=11,
        last=30,
        first_after=11,
        lineages=(lineage(StoredCounts(1, 25, stored=25, rejected=0, lost=0)),),
        content=content,
        stored_keys={key for key, sequence in content.keys.items() if sequence <= 25},
        rows=ROWS,
    )


def only(found: StreamAudit) -> tuple[Problem, int, list[tuple[int, int]]]:
    (finding,) = found.findings
    return finding.problem, finding.count, list(finding.ranges)


def test_a_stream_that_is_read_and_written_meanwhile_balances() -> None:
    found = audit(good())
    assert (found.published, found.stored, found.unread, found.unaccounted) == (30, 25, 5, 0)
    assert (found.discarded, found.removed) == (0, [])


def test_a_stream_that_nobody_stored_yet_is_unread_or_discarded() -> None:
    found = audit(replace(good(), lineages=(), stored_keys=set()))
    assert (found.unaccounted, found.unread, found.discarded_ranges) == (0, 20, [(1, 10)])


def test_what_was_discarded_before_it_was_stored_is_said_with_its_sequences() -> None:
    one = lineage(StoredCounts(1, 6, stored=6, rejected=0, lost=0))
    found = audit(replace(good(), lineages=(one,), stored_keys=set()))
    assert (found.discarded, found.discarded_ranges) == (4, [(7, 10)])
    assert (found.unread, found.unaccounted) == (20, 0)


def test_a_stored_row_that_is_gone_is_named_by_its_sequence() -> None:
    facts = good()
    lacking = set(facts.stored_keys) - {
        ("core-1", Kind.STATUS, 13_000),
        ("core-1", Kind.STATUS, 14_000),
    }
    found = audit(replace(facts, stored_keys=lacking))
    assert only(found) == (Problem.WITHOUT_ROW, 2, [(13, 14)])


def test_a_message_that_the_database_refused_needs_no_row() -> None:
    facts = good()
    counts = StoredCounts(1, 25, stored=24, rejected=1, lost=0)
    one = replace(facts.lineages[0], counts=counts, rejected=frozenset({13}))
    lacking = set(facts.stored_keys) - {("core-1", Kind.STATUS, 13_000)}
    assert audit(replace(facts, lineages=(one,), stored_keys=lacking)).unaccounted == 0


def test_a_message_deleted_by_hand_before_it_was_stored_is_unaccounted_for() -> None:
    found = audit(replace(good(), content=content_of((11, 26), (29, 30))))
    assert only(found) == (Problem.VANISHED, 2, [(27, 28)])
    assert found.unread == 3


def test_a_message_deleted_by_hand_after_it_was_stored_is_shown_and_no_loss() -> None:
    found = audit(replace(good(), content=content_of((11, 14), (16, 30))))
    assert (found.removed, found.unaccounted) == ([(15, 15)], 0)


def test_a_deletion_that_the_writer_recorded_as_lost_balances() -> None:
    one = lineage(StoredCounts(1, 25, stored=23, rejected=0, lost=2), [(15, 16)])
    facts = replace(good(), lineages=(one,), content=content_of((11, 14), (17, 30)))
    found = audit(facts)
    assert (found.unaccounted, found.lost, found.removed) == (0, 2, [])


def test_a_lowered_position_is_named_by_what_lies_behind_it() -> None:
    one = lineage(StoredCounts(1, 22, stored=25, rejected=0, lost=0))
    assert only(audit(replace(good(), lineages=(one,)))) == (Problem.AHEAD, 3, [(23, 25)])


def test_a_raised_position_is_named_by_what_it_claims() -> None:
    one = lineage(StoredCounts(1, 27, stored=25, rejected=0, lost=0))
    found = audit(replace(good(), lineages=(one,)))
    assert {finding.problem: list(finding.ranges) for finding in found.findings} == {
        Problem.NOT_COUNTED: [(26, 27)],
        Problem.WITHOUT_ROW: [(26, 27)],
    }


def test_a_lost_range_that_was_taken_out_is_missed() -> None:
    one = lineage(StoredCounts(1, 25, stored=20, rejected=0, lost=5), [(1, 3)])
    assert only(audit(replace(good(), lineages=(one,)))) == (Problem.LOST_RANGES, 2, [(1, 3)])


def test_a_rejected_message_that_was_not_kept_is_missed() -> None:
    one = lineage(StoredCounts(1, 25, stored=24, rejected=1, lost=0))
    assert only(audit(replace(good(), lineages=(one,)))) == (Problem.REJECTED, 1, [])


def test_rows_that_are_fewer_or_more_than_went_in_are_missed() -> None:
    for found in (39, 41):
        facts = replace(good(), rows=Rows(counted=40, found=found))
        assert only(audit(facts)) == (Problem.ROWS, 1, [])


def test_rows_that_nobody_counted_are_not_missed() -> None:
    assert audit(replace(good(), rows=Rows(40, None))).unaccounted == 0


def test_events_of_days_that_are_no_longer_kept_are_aged_out_and_no_loss() -> None:
    facts = good()
    lacking = {key for key in facts.stored_keys if key[2] >= 14_000} - {
        ("core-1", Kind.STATUS, 17_000)
    }
    since = {Kind.STATUS: 13_000}
    found = audit(replace(facts, stored_keys=lacking, kept_since_ms=since))
    assert found.aged_out == [(11, 12)]
    assert only(found) == (Problem.WITHOUT_ROW, 2, [(13, 13), (17, 17)])
    # Another kind's days say nothing of this one's.
    other = audit(replace(facts, stored_keys=lacking, kept_since_ms={Kind.HEALTH: 13_000}))
    assert (other.aged_out, other.unaccounted) == ([], 4)


def test_aged_out_are_only_events_that_the_writer_passed() -> None:
    facts = replace(good(), stored_keys=set(), kept_since_ms={Kind.STATUS: 40_000})
    found = audit(facts)
    assert (found.aged_out, found.unread, found.unaccounted) == ([(11, 25)], 5, 0)


NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def day_ms(day: int, hour: int = 0) -> int:
    return int(datetime(2026, 11, day, hour, tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("asked", "oldest", "since"),
    [
        (None, None, 23),  # no row at all: nothing but the shortest retention is sure
        (None, day_ms(21, 17), 21),  # the oldest day there is tells how long the writer keeps
        (None, day_ms(24, 1), 23),
        (1, day_ms(23, 2), 23),
        (1, day_ms(21, 17), 23),  # not purged yet, but late events of then were not stored
        (30, day_ms(21, 17), 21),  # asked to keep longer, after what was older had gone
        (30, None, 23),
    ],
)
def test_rows_must_be_there_from_the_first_day_that_is_kept(
    asked: int | None, oldest: int | None, since: int
) -> None:
    assert kept_since_ms(NOW, asked, oldest) == day_ms(since)
    assert surely_kept_since_ms(NOW) == day_ms(23)


def test_a_position_that_begins_late_needs_one_before_it() -> None:
    late = lineage(StoredCounts(9, 25, stored=17, rejected=0, lost=0), generation=1)
    alone = audit(replace(good(), lineages=(late,)))
    assert only(alone) == (Problem.BEFORE_LINEAGE, 8, [(1, 8)])
    earlier = lineage(StoredCounts(1, 12, stored=12, rejected=0, lost=0))
    both = audit(replace(good(), lineages=(earlier, late)))
    assert (both.unaccounted, both.earlier) == (0, 8)


def test_what_is_discarded_while_it_is_read_is_no_hole() -> None:
    facts = replace(good(), content=content_of((16, 30)), first_after=16)
    found = audit(facts)
    assert (found.unaccounted, found.removed) == (0, [])


def test_positions_of_a_stream_that_is_gone_are_checked_by_their_own_counts() -> None:
    whole = lineage(StoredCounts(1, 5, stored=5, rejected=0, lost=0))
    assert audit_gone([whole], ROWS) == []
    (finding,) = audit_gone([lineage(StoredCounts(1, 6, 5, 0, 0))], ROWS)
    assert (finding.problem, finding.ranges) == (Problem.NOT_COUNTED, [(6, 6)])


def test_more_answers_recorded_than_given_are_an_invention_fewer_are_not() -> None:
    assert compare_polls({"a/x": 3, "a/y": 1}, {"a/x": 2}) == []
    (finding,) = compare_polls({"a/x": 3, "a/y": 1}, {"a/x": 2, "a/y": 3})
    assert (finding.problem, finding.count) == (Problem.INVENTED, 2)


@given(st.sets(st.integers(1, 40)), st.sets(st.integers(1, 40)))
def test_holes_are_exactly_the_sequences_that_are_not_there(held: set[int], lost: set[int]) -> None:
    content = StreamContent()
    for sequence in sorted(held):
        content.saw(sequence)
    ranges = ranges_of(sorted(lost))
    counts = StoredCounts(1, 40, stored=40 - len(lost), rejected=0, lost=len(lost))
    facts = replace(
        good(), first=1, first_after=1, last=40, content=content, stored_keys=set(),
        lineages=(lineage(counts, ranges),),
    )  # fmt: skip
    found = audit(facts)
    removed = {n for first, last in found.removed for n in range(first, last + 1)}
    assert removed == set(range(1, 41)) - held - lost
    assert found.unaccounted == 0


@given(st.sets(st.integers(1, 60)), st.integers(1, 60), st.integers(1, 60))
def test_ranges_hold_what_they_were_made_of(sequences: set[int], first: int, last: int) -> None:
    ranges = ranges_of(sorted(sequences))
    assert size_of(ranges) == len(sequences)
    assert size_of(cut(ranges, first, last)) == len(sequences & set(range(first, last + 1)))


def test_many_ranges_are_shown_in_few_words() -> None:
    assert show_ranges([(7, 7), (9, 12)]) == "7, 9-12"
    assert show_ranges([(n * 2, n * 2) for n in range(25)]).endswith("and 5 more ranges")
