"""What a live stream's state foretells: losses, trims."""

import math

import pytest

from fleet_common.planning import StreamState, estimate_trim, seconds_until_loss

# The incident: 24 h of age, no max_bytes, 133 MB when the limit of 64 MB was set.
FULL = StreamState(
    first_sequence=1,
    last_sequence=323_000,
    messages=323_000,
    bytes=133_000_000,
    first_time=1_000_000.0,
    last_time=1_000_000.0 + 10.66 * 3600,
    max_bytes=None,
    max_age_seconds=86_400.0,
    stored_sequence=323_000,
)
RATE = 133_000_000 / (10.66 * 3600)


def test_the_incidents_trim_drops_half_and_nothing_that_is_not_stored() -> None:
    trim = estimate_trim(FULL, 64_000_000)
    assert trim.bytes == 69_000_000
    assert trim.messages == math.ceil(323_000 * 69 / 133)
    assert (trim.from_sequence, trim.to_sequence) == (1, trim.messages)
    assert trim.from_time == FULL.first_time
    assert trim.to_time == pytest.approx(1_000_000 + 10.66 * 3600 * 69 / 133, abs=1)
    assert (trim.unstored_bytes, trim.unstored_messages) == (0, 0)


def test_a_trim_into_what_is_not_stored_says_how_much() -> None:
    behind = StreamState(101, 1100, 1000, 400_000, stored_sequence=300)
    trim = estimate_trim(behind, 200_000)
    assert (trim.messages, trim.from_sequence, trim.to_sequence) == (500, 101, 600)
    assert (trim.unstored_messages, trim.unstored_bytes) == (300, 120_000)


@pytest.mark.parametrize("to_bytes", [400_000, 500_000])
def test_a_stream_that_fits_loses_nothing(to_bytes: int) -> None:
    trim = estimate_trim(StreamState(101, 1100, 1000, 400_000), to_bytes)
    assert (trim.bytes, trim.messages, trim.from_sequence) == (0, 0, None)


def test_an_empty_stream_is_no_special_case() -> None:
    empty = StreamState(1101, 1100, 0, 0, max_bytes=1000, stored_sequence=1100)
    assert (empty.unstored_bytes, empty.unstored_sequences, empty.size_bytes) == (0, 0, 1000)
    assert estimate_trim(empty, 0).messages == 0
    assert seconds_until_loss(empty, 100.0, now=0.0) == 10.0


def test_unstored_counts_only_what_is_still_there() -> None:
    state = StreamState(501, 1000, 500, 50_000, stored_sequence=200)
    assert (state.unstored_sequences, state.unstored_bytes) == (500, 50_000)
    assert state.lost_before_stored == 300
    deleted_by_hand = StreamState(1, 1000, 500, 50_000, stored_sequence=500)
    assert deleted_by_hand.unstored_messages == 250


def test_without_a_durable_consumer_nothing_is_unstored() -> None:
    state = StreamState(1, 10, 10, 1000, max_bytes=1000)
    assert state.unstored_bytes == 0
    assert seconds_until_loss(state, 10.0, now=0.0) is None


def test_a_stopped_consumer_loses_when_new_events_have_filled_the_stream() -> None:
    # Full; all is stored: the whole size has to be written once more before anything is lost.
    state = StreamState(1, 1000, 1000, 64_000_000, max_bytes=64_000_000, stored_sequence=1000)
    assert seconds_until_loss(state, 3_466.0, now=0.0) == pytest.approx(64_000_000 / 3_466)
    half = StreamState(1, 1000, 1000, 64_000_000, max_bytes=64_000_000, stored_sequence=500)
    assert seconds_until_loss(half, 3_466.0, now=0.0) == pytest.approx(32_000_000 / 3_466)


def test_age_may_take_the_unstored_before_bytes_do() -> None:
    state = StreamState(
        1, 1001, 1001, 1_000, 0.0, 1000.0, max_bytes=10**9, max_age_seconds=2000.0,
        stored_sequence=500,
    )  # fmt: skip
    assert state.oldest_unstored_time == 500.0
    assert seconds_until_loss(state, 1.0, now=1000.0) == 1500.0
    assert seconds_until_loss(state, 0.0, now=2600.0) == 0.0


def test_a_consumer_that_has_lost_already_is_told_now() -> None:
    state = StreamState(501, 1000, 500, 1, max_bytes=10**9, stored_sequence=499)
    assert seconds_until_loss(state, 1.0, now=0.0) == 0.0


def test_a_stream_without_limits_or_events_loses_never() -> None:
    unlimited = StreamState(1, 10, 10, 1000, stored_sequence=0)
    assert seconds_until_loss(unlimited, 100.0, now=0.0) is None
    silent = StreamState(1, 10, 10, 1000, max_bytes=1000, stored_sequence=10)
    assert seconds_until_loss(silent, 0.0, now=0.0) is None


def test_the_incidents_consumer_had_time_until_the_age_limit() -> None:
    now = (FULL.last_time or 0.0) + 1
    assert seconds_until_loss(FULL, RATE, now) == pytest.approx(86_400)


def test_a_state_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="no stream's state"):
        StreamState(10, 5, 3, 100)
