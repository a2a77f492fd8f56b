import random

from hypothesis import given
from hypothesis import strategies as st

from fleet_poller.memory import raw_identities
from fleet_poller.parse.counters import read_counters
from fleet_poller.parse.interfaces import (
    COUNTER_ATTRIBUTES,
    LINK_ATTRIBUTES,
    parse_counters,
    raw_links,
)
from fleet_poller.routeros.wire import SentenceDecoder, encode_sentence, take_apart

FIXED = (".id", "name", "running", "disabled", *COUNTER_ATTRIBUTES)
numbers = st.integers(0, 2**64 - 2).map(str)
counters = st.one_of(st.just("0"), numbers)
spoilt = st.sampled_from(["", "-1", "-7", "what", str(2**64 - 1), str(2**70), "=5", "tx-byte=1"])
names = st.text(max_size=150)
flags = st.sampled_from(["true", "false"])
times = st.sampled_from(["2026-11-15 01:26:01", "nov/15/2026 01:26:01"])


def row(counter: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries(
        {
            ".id": st.integers(1, 255).map("*{:X}".format),
            "name": names,
            "running": flags,
            "disabled": flags,
            **dict.fromkeys(COUNTER_ATTRIBUTES, counter),
        },
        optional=dict.fromkeys(LINK_ATTRIBUTES, times),
    )


def sentences(rows: list[dict[str, str]], order: tuple[str, ...]) -> list[list[bytes]]:
    decoder = SentenceDecoder()
    return [
        sentence
        for one in rows
        for sentence in decoder.feed(
            encode_sentence(
                [b"!re", b".tag=1", *(f"={n}={one[n]}".encode() for n in order if n in one)]
            )
        )
    ]


@given(st.lists(row(counters), min_size=1, max_size=12), st.integers(0, 2**32))
def test_columns_read_the_same_as_rows_in_whatever_order_the_router_answers(
    rows: list[dict[str, str]], seed: int
) -> None:
    shuffled = list(FIXED)
    if seed % 2:
        random.Random(seed).shuffle(shuffled)  # noqa: S311 - repeatable, no secret
    answer = sentences(rows, (*shuffled, *LINK_ATTRIBUTES))
    table = read_counters(answer)

    assert table is not None
    attributes = [take_apart(one)[2] for one in answer]
    by_rows = parse_counters(attributes, [])
    assert table.columns == by_rows.columns
    assert table.running == by_rows.running
    assert table.disabled == by_rows.disabled
    assert table.identities == raw_identities(attributes)
    assert table.links == tuple(map(raw_links, attributes))


@given(
    st.lists(row(st.one_of(counters, spoilt)), min_size=1, max_size=4),
    st.lists(st.sampled_from(FIXED), max_size=3),
)
def test_rows_that_make_no_table_are_never_read_wrongly(
    rows: list[dict[str, str]], missing: list[str]
) -> None:
    for name in missing:
        rows[-1].pop(name, None)
    answer = sentences(rows, (*FIXED, *LINK_ATTRIBUTES))
    table = read_counters(answer)

    attributes = [take_apart(one)[2] for one in answer]
    by_rows = parse_counters(attributes, [])
    if table is not None:
        assert table.columns == by_rows.columns
        assert table.running == by_rows.running
        assert table.identities == raw_identities(attributes)
    if missing:
        assert table is None
