from hypothesis import given
from hypothesis import strategies as st

from fleet_simulator.replies import encode_rows, head
from fleet_simulator.wire import SentenceDecoder

names = st.sampled_from([b".id", b"name", b"comment", b"remote.as", b"rx-byte"])
values = st.one_of(
    st.binary(max_size=30),
    st.integers(min_value=100, max_value=140).map(lambda size: b"v" * size),
    st.integers(min_value=16_360, max_value=16_390).map(lambda size: b"w" * size),
)
tables = st.lists(st.dictionaries(names, values, max_size=5), max_size=4)


def read(data: bytes) -> list[list[bytes]]:
    decoder = SentenceDecoder(1 << 24)
    sentences = decoder.feed(data)
    assert decoder.failure is None
    return sentences


@given(tables, st.none() | st.binary(min_size=1, max_size=10))
def test_rows_are_read_back_as_they_were(rows: list[dict[bytes, bytes]], tag: bytes | None) -> None:
    first = [b"!re"] if tag is None else [b"!re", b".tag=" + tag]

    assert read(encode_rows(rows, None, head(b"!re", tag))) == [
        first + [b"=%b=%b" % item for item in row.items()] for row in rows
    ]


@given(tables, st.lists(names, min_size=1, max_size=4, unique=True).map(tuple))
def test_proplist_keeps_what_is_asked_and_there(
    rows: list[dict[bytes, bytes]], wanted: tuple[bytes, ...]
) -> None:
    assert read(encode_rows(rows, wanted, head(b"!re", None))) == [
        [b"!re"] + [b"=%b=%b" % (name, row[name]) for name in wanted if name in row] for row in rows
    ]
