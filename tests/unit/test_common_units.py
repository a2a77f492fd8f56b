import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_common.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("90s", 90), ("1h30m", 5400), ("7d", 604800), (5, 5), (0.5, 0.5)],
)
def test_durations_read_as_people_write_them(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("value", ["", "1", "1x", "h1", "1h 30m", "-5s", True, None, "1s1"])
def test_what_is_no_duration_is_refused_with_examples(value: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(value)


@given(st.integers(1, 10**8))
def test_a_formatted_duration_reads_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("64MiB", 64 * 2**20),
        ("128MB", 128_000_000),
        ("1Gi", 2**30),
        ("7", 7),
        (9, 9),
        ("1.5KiB", 1536),
    ],
)
def test_sizes_read_as_people_write_them(text: object, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("value", ["", "MiB", "1 mib", "-1", "1e3", True, 1.5, None])
def test_what_is_no_size_is_refused_with_examples(value: object) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(value)


def test_sizes_are_shown_with_three_digits_and_a_binary_unit() -> None:
    assert [format_size(n) for n in (0, 1023, 1024, 64 * 2**20, 3 * 2**40)] == [
        "0 B", "1023 B", "1.0 KiB", "64.0 MiB", "3.0 TiB",
    ]  # fmt: skip
