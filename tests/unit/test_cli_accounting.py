"""Each way in which an event can be missing, one by one."""

from dataclasses import replace

from fleet_cli.accounting import (
    NOTHING_STORED,
    Readings,
    StoredCounts,
    StreamContent,
    StreamEnds,
    balance,
)
from fleet_cli.summary import unaccounted
from fleet_contracts.subjects import Kind

EVENTS = 6


def content_of(count: int, first: int = 1) -> StreamContent:
    content = StreamContent()
    for sequence in range(first, first + count):
        content.add(("core-1", Kind.STATUS, sequence * 1000), sequence, has_row=True)
    return content


def good() -> Readings:
    """Six status events of a new stream, all stored."""
    content = content_of(EVENTS)
    return Readings(
        ends=StreamEnds(before=0, first=1, last=EVENTS),
        before=NOTHING_STORED,
        after=StoredCounts(1, EVENTS, stored=EVENTS, rejected=0, lost=0),
        content=content,
        stored_keys=set(content.keys),
        rejected_sequences=set(),
        acknowledged={Kind.STATUS: EVENTS},
    )


def test_nothing_is_unaccounted_for_when_all_readings_agree() -> None:
    account = balance(good())
    assert (account.published, account.stored, account.unaccounted) == (EVENTS, EVENTS, 0)
    assert account.explain() == []


def test_what_the_writer_has_not_reached_is_unaccounted_for() -> None:
    readings = good()
    behind = replace(
        readings,
        after=StoredCounts(1, 4, stored=4, rejected=0, lost=0),
        stored_keys={key for key, sequence in readings.content.keys.items() if sequence <= 4},
    )
    account = balance(behind)
    assert (account.behind, account.unaccounted) == (2, 2)
    assert account.explain() == ["2 not stored when the run ended"]


def test_a_stream_the_writer_never_began_is_unaccounted_for_whole() -> None:
    account = balance(replace(good(), after=NOTHING_STORED, stored_keys=set()))
    assert account.unaccounted == EVENTS


def test_counts_that_do_not_add_up_to_the_sequences_are_unaccounted_for() -> None:
    account = balance(replace(good(), after=StoredCounts(1, EVENTS, 4, 0, 1)))
    assert (account.miscounted, account.unaccounted) == (1, 1)


def test_counting_an_event_twice_is_as_wrong_as_not_at_all() -> None:
    account = balance(replace(good(), after=StoredCounts(1, EVENTS, EVENTS + 1, 0, 0)))
    assert account.miscounted == 1


def test_an_event_that_is_counted_but_in_no_table_is_unaccounted_for() -> None:
    readings = good()
    missing = set(readings.stored_keys) - {("core-1", Kind.STATUS, 3000)}
    account = balance(replace(readings, stored_keys=missing))
    assert (account.without_row, account.unaccounted) == (1, 1)


def test_a_row_of_another_kind_or_slot_does_not_stand_for_an_event() -> None:
    readings = good()
    keys = {(device, Kind.HEALTH, slot) for device, _, slot in readings.stored_keys}
    assert balance(replace(readings, stored_keys=keys)).without_row == EVENTS


def test_a_malformed_message_is_accounted_for_when_it_was_set_aside() -> None:
    content = content_of(EVENTS - 1)
    content.rejectable.add(EVENTS)
    readings = replace(
        good(),
        content=content,
        stored_keys=set(content.keys),
        after=StoredCounts(1, EVENTS, EVENTS - 1, rejected=1, lost=0),
        acknowledged={},
    )
    assert balance(replace(readings, rejected_sequences={EVENTS})).unaccounted == 0
    assert balance(readings).without_row == 1


def test_recorded_losses_are_accounted_for_and_shown() -> None:
    content = content_of(4, first=3)
    readings = replace(
        good(),
        ends=StreamEnds(before=0, first=3, last=EVENTS),
        content=content,
        stored_keys=set(content.keys),
        after=StoredCounts(1, EVENTS, stored=4, rejected=0, lost=2),
    )
    account = balance(readings)
    assert (account.lost, account.unaccounted) == (2, 0)


def test_an_acknowledged_event_that_is_not_in_the_stream_is_unaccounted_for() -> None:
    account = balance(replace(good(), acknowledged={Kind.STATUS: EVENTS + 2}))
    assert (account.not_in_stream, account.unaccounted) == (2, 2)


def test_one_kind_does_not_make_up_for_another() -> None:
    readings = replace(good(), acknowledged={Kind.STATUS: EVENTS - 1, Kind.HEALTH: 1})
    assert balance(readings).not_in_stream == 1


def test_after_a_trim_the_sum_of_acknowledgements_is_compared() -> None:
    readings = replace(
        good(), ends=StreamEnds(before=0, first=3, last=EVENTS), content=content_of(4, first=3)
    )
    assert balance(readings).not_in_stream == 0
    more = replace(readings, acknowledged={Kind.STATUS: EVENTS + 1})
    assert balance(more).not_in_stream == 1


def test_only_the_run_counts_on_a_stream_that_was_there_before() -> None:
    content = content_of(2, first=EVENTS + 1)
    readings = Readings(
        ends=StreamEnds(before=EVENTS, first=1, last=EVENTS + 2),
        before=StoredCounts(1, EVENTS, EVENTS, 0, 0),
        after=StoredCounts(1, EVENTS + 2, EVENTS + 2, 0, 0),
        content=content,
        stored_keys=set(content.keys),
        rejected_sequences=set(),
        acknowledged={Kind.STATUS: 2},
    )
    account = balance(readings)
    assert (account.published, account.stored, account.unaccounted) == (2, 2, 0)


def test_what_an_earlier_run_left_unstored_is_stored_and_not_taken_for_the_run_s_own() -> None:
    content = content_of(2, first=EVENTS + 1)
    readings = Readings(
        ends=StreamEnds(before=EVENTS, first=1, last=EVENTS + 2),
        before=StoredCounts(1, EVENTS - 3, EVENTS - 3, 0, 0),
        after=StoredCounts(1, EVENTS + 2, EVENTS + 2, 0, 0),
        content=content,
        stored_keys=set(content.keys),
        rejected_sequences=set(),
        acknowledged={Kind.STATUS: 2},
    )
    account = balance(readings)
    assert (account.published, account.backlog, account.stored) == (2, 3, 5)
    assert account.unaccounted == 0


def test_an_event_twice_in_the_stream_is_a_duplicate_not_a_loss() -> None:
    readings = good()
    readings.content.add(("core-1", Kind.STATUS, 3000), 7, has_row=True)
    account = balance(
        replace(
            readings,
            ends=StreamEnds(0, 1, 7),
            after=StoredCounts(1, 7, stored=7, rejected=0, lost=0),
        )
    )
    assert (account.twice_in_stream, account.unaccounted) == (1, 0)


def test_interfaces_of_a_device_without_any_need_no_row() -> None:
    readings = good()
    readings.content.add(("chr-1", Kind.INTERFACES, 1000), 7, has_row=False)
    account = balance(
        replace(readings, ends=StreamEnds(0, 1, 7), after=StoredCounts(1, 7, 7, 0, 0))
    )
    assert account.unaccounted == 0


def test_drops_before_the_stream_and_holes_behind_it_count_too() -> None:
    total, problems = unaccounted({"FLEET_a": balance(good())}, 3, {"b": [5, 6, 7, 9]})
    assert total == 7
    assert problems == [
        "3 dropped by pollers before they reached a stream",
        "b: 4 in the stream, but not sent to the event stream's client (sequences 5-7, 9)",
    ]
