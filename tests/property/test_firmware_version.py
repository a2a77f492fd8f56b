"""The order of RouterOS versions, against a plain model of it."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleet_firmware.version import BadVersionError, Stage, Version, parse_version

numbers = st.integers(0, 999)
stages = st.one_of(
    st.just((Stage.STABLE, 0)),
    st.tuples(st.sampled_from([Stage.ALPHA, Stage.BETA, Stage.RC]), numbers),
)


def version_of(major: int, minor: int, patch: int, stage: tuple[Stage, int]) -> Version:
    return Version(major, minor, patch, *stage)


versions = st.builds(version_of, st.integers(0, 20), numbers, numbers, stages)
_RANK = {"alpha": 0, "beta": 1, "rc": 2, "": 3}


def model_key(version: Version) -> tuple[list[int], int, int]:
    """The order from the printed form alone, by another way than the code's."""
    text = str(version)
    for word in ("alpha", "beta", "rc"):
        if word in text:
            number, _, build = text.partition(word)
            break
    else:
        number, word, build = text, "", "0"
    parts = [int(part) for part in number.split(".")]
    return parts + [0] * (3 - len(parts)), _RANK[word], int(build)


@given(versions)
def test_a_printed_version_reads_back(version: Version) -> None:
    assert parse_version(str(version)) == version


@given(versions, st.sampled_from(["stable", "long-term", "testing"]))
def test_the_channel_in_brackets_changes_nothing(version: Version, channel: str) -> None:
    assert parse_version(f"{version} ({channel})") == version


@given(versions, versions)
def test_the_order_is_that_of_the_model(one: Version, other: Version) -> None:
    assert (one < other) == (model_key(one) < model_key(other))
    assert (one == other) == (model_key(one) == model_key(other))


@given(versions, versions, versions)
def test_the_order_is_total(a: Version, b: Version, c: Version) -> None:
    assert (a < b) + (a == b) + (a > b) == 1
    if a <= b <= c:
        assert a <= c


@given(st.integers(0, 20), numbers)
def test_a_missing_patch_is_zero(major: int, minor: int) -> None:
    assert parse_version(f"{major}.{minor}") == parse_version(f"{major}.{minor}.0")


@given(st.integers(0, 20), numbers, numbers, numbers)
def test_a_release_is_newer_than_all_its_candidates(
    major: int, minor: int, patch: int, build: int
) -> None:
    number = f"{major}.{minor}.{patch}"
    rising = [
        parse_version(f"{number}{stage}")
        for stage in (f"alpha{build}", f"beta{build}", f"rc{build}", "")
    ]
    assert all(older < newer for older, newer in itertools.pairwise(rising))


@given(st.text(max_size=24))
@example("7.٣")
def test_any_text_is_a_version_or_a_named_error(text: str) -> None:
    try:
        version = parse_version(text)
    except BadVersionError:
        return
    assert text.isascii()
    assert parse_version(str(version)) == version


@pytest.mark.parametrize(
    "rising",
    [["6.49.10", "6.49.22", "7.1beta6", "7.1rc1", "7.1", "7.9.2", "7.12.1", "7.24.4", "7.25beta5"]],
)
def test_real_versions_stand_in_the_order_of_their_release(rising: list[str]) -> None:
    parsed = [parse_version(text) for text in rising]
    assert parsed == sorted(parsed)
    assert len(set(parsed)) == len(parsed)


@pytest.mark.parametrize(
    "text",
    ["", "7", "7.", "7.1.2.3", "v7.1", "7.1gamma1", "7.1rc", "7.1 stable", "7.1\n", " 7.1", "-7.1",
     "7.1 (Stable)", "7." + "9" * 7],
)  # fmt: skip
def test_what_routeros_never_prints_is_refused(text: str) -> None:
    with pytest.raises(BadVersionError, match="is not a RouterOS version"):
        parse_version(text)
