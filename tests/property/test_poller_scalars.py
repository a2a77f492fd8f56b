from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_poller.parse import scalars
from fleet_simulator.world import formats

PARSERS: tuple[Callable[[bytes], object], ...] = (
    scalars.text,
    scalars.unsigned,
    scalars.unsigned32,
    scalars.boolean,
    scalars.duration_microseconds,
    scalars.router_time,
    scalars.rate_bits_per_second,
    scalars.signal_dbm,
    scalars.pair,
    scalars.thousandths,
    scalars.version_and_channel,
    scalars.mac_address,
    scalars.record_id,
)

UNITS = (b"", b"w", b"d", b"h", b"s", b"ms", b"us", b":00:00", b"Mbps", b"dBm", b".5")
TIME = rb"[0-2][0-9]:[0-6][0-9]:[0-6][0-9]"


def long_number(parts: tuple[int, bytes]) -> bytes:
    digits, unit = parts
    return b"9" * digits + unit


router_like = (
    st.binary(max_size=40)
    | st.from_regex(rb"[0-9a-zA-Z:/.,@*()+ -]{0,40}", fullmatch=True)
    # A date of any year, in the form of each generation; a number of any length.
    | st.from_regex(rb"[0-9]{4}-[01][0-9]-[0-3][0-9] " + TIME, fullmatch=True)
    | st.from_regex(rb"jan/[0-3][0-9]/[0-9]{4} " + TIME, fullmatch=True)
    | st.tuples(st.integers(1, 6_000), st.sampled_from(UNITS)).map(long_number)
)


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@given(value=router_like)
def test_no_value_a_router_may_send_raises(parse: Callable[[bytes], object], value: bytes) -> None:
    parse(value)


@given(st.integers(0, 40 * 365 * 86_400))
def test_durations_survive_the_routers_form(seconds: int) -> None:
    assert scalars.duration_seconds(formats.duration(seconds)) == seconds


@given(st.integers(0, 3_600_000))
def test_short_durations_survive_the_routers_form(milliseconds: int) -> None:
    printed = formats.duration_ms(milliseconds / 1000)
    parsed = scalars.duration_microseconds(printed)
    assert parsed is not None
    assert abs(parsed - milliseconds * 1000) <= 1000


@given(st.integers(0, 4_000_000_000), st.sampled_from([6, 7]))
def test_dates_survive_the_form_of_each_generation(seconds: int, major: int) -> None:
    assert scalars.router_time(formats.date_time(seconds, major)) == seconds


@given(st.integers(-100_000, 100_000))
def test_sensor_values_survive_the_routers_form(tenths: int) -> None:
    assert scalars.thousandths(formats.tenths(tenths / 10)) == tenths * 100


@given(st.integers(0, 2**64 - 1))
def test_counters_survive(number: int) -> None:
    assert scalars.unsigned(b"%d" % number) == number


@given(st.integers(0, 2**32 - 1))
def test_ids_survive(number: int) -> None:
    assert scalars.record_id(formats.item_id(number)) == number
