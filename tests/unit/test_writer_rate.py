"""How long until messages are lost, from the stream's state."""

import math
from dataclasses import replace

import pytest

from fleet_writer.loss import RateMeter, pending_messages, seconds_until_loss
from fleet_writer.positions import StreamState

STREAM = StreamState(
    name="FLEET_acme",
    created="2026-11-24T00:00:00+00:00",
    first_sequence=1_001,
    last_sequence=2_000,
    messages=1_000,
    bytes=500_000,
    max_bytes=1_000_000,
    max_age_seconds=3_600,
)


@pytest.mark.parametrize(
    ("stored", "pending"), [(2_000, 0), (1_500, 500), (1_000, 1_000), (400, 1_000), (2_500, 0)]
)
def test_pending_are_the_streams_messages_behind_the_position(stored: int, pending: int) -> None:
    assert pending_messages(STREAM, stored) == pending


def test_free_bytes_and_stored_messages_must_be_used_up_first() -> None:
    # 500 B a message, 10 messages/s: 500 kB free last 100 s, 500 stored messages 50 s more.
    assert seconds_until_loss(STREAM, 1_500, 10.0, 10.0) == pytest.approx(150)


def test_a_full_stream_whose_oldest_message_is_not_stored_loses_now() -> None:
    full = replace(STREAM, max_bytes=500_000)

    assert seconds_until_loss(full, 1_000, 10.0, 10.0) == 0


def test_age_discards_before_size_does() -> None:
    assert seconds_until_loss(STREAM, 1_500, 3_590.0, 0.001) == pytest.approx(10)
    assert seconds_until_loss(STREAM, 1_500, 4_000.0, 0.001) == 0


def test_a_writer_that_has_caught_up_has_the_whole_age() -> None:
    assert seconds_until_loss(STREAM, 2_000, 900.0, 0.0) == 3_600


def test_without_bounds_nothing_is_ever_lost() -> None:
    unbounded = replace(STREAM, max_bytes=-1, max_age_seconds=0)

    assert math.isinf(seconds_until_loss(unbounded, 1_500, 10.0, 10.0))


def test_the_rate_follows_the_sequence() -> None:
    meter = RateMeter(half_life_seconds=10)

    assert meter.read(100, 0.0) == 0
    assert meter.read(200, 10.0) == pytest.approx(10)
    assert meter.read(200, 20.0) == pytest.approx(5)
    assert meter.read(50, 30.0) == pytest.approx(2.5)  # a stream made anew: no negative rate
