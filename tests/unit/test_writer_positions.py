"""Whether a stream is still the one that the stored position counts in."""

from datetime import UTC, datetime

import pytest

from fleet_writer.positions import StreamState, uses_numbers_again

STREAM = StreamState("FLEET_acme", "2026-11-24T00:00:00+00:00", 100, 200)
MOMENT = datetime(2026, 11, 24, 12, 0, 0, 123_456, tzinfo=UTC)
MOMENT_NS = int(MOMENT.timestamp()) * 1_000_000_000 + 123_456_000


async def _at_the_moment(_sequence: int) -> datetime | None:
    return MOMENT


async def _not_there(_sequence: int) -> datetime | None:
    return None


@pytest.mark.parametrize("below_a_microsecond", [0, 1, 999])
async def test_the_message_that_was_stored_is_still_there(below_a_microsecond: int) -> None:
    at_ns = MOMENT_NS + below_a_microsecond

    assert not await uses_numbers_again(STREAM, 150, at_ns, _at_the_moment)


@pytest.mark.parametrize("later_ns", [-1_000, 1_000, 60_000_000_000])
async def test_another_message_has_the_number(later_ns: int) -> None:
    assert await uses_numbers_again(STREAM, 150, MOMENT_NS + later_ns, _at_the_moment)


async def test_a_stream_that_ends_before_the_position_lost_it() -> None:
    assert await uses_numbers_again(STREAM, 201, MOMENT_NS, _not_there)


@pytest.mark.parametrize("sequence", [99, 150])
async def test_a_message_that_was_discarded_or_deleted_tells_nothing(sequence: int) -> None:
    assert not await uses_numbers_again(STREAM, sequence, MOMENT_NS, _not_there)


async def test_a_position_before_the_first_message_tells_nothing() -> None:
    assert not await uses_numbers_again(STREAM, 150, None, _at_the_moment)
