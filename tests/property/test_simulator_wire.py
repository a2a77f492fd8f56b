from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fleet_simulator.wire import SentenceDecoder, encode_sentence

words = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.integers(min_value=120, max_value=300).map(lambda size: b"w" * size),
    st.integers(min_value=16_370, max_value=16_400).map(lambda size: b"v" * size),
)
sentences = st.lists(st.lists(words, min_size=1, max_size=5), max_size=6)


@given(sentences, st.lists(st.integers(min_value=0, max_value=200_000), max_size=12))
def test_sentences_survive_any_cutting_of_the_stream(
    sent: list[list[bytes]], cuts: list[int]
) -> None:
    stream = b"".join(encode_sentence(*sentence) for sentence in sent)
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    decoder = SentenceDecoder(1 << 20)

    received = [
        sentence for start, end in pairwise(places) for sentence in decoder.feed(stream[start:end])
    ]

    assert received == sent
    assert decoder.failure is None


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_bytes_make_the_decoder_raise_or_hold_more_than_its_limit(pieces: list[bytes]) -> None:
    limit = 128
    decoder = SentenceDecoder(limit)

    for piece in pieces:
        for sentence in decoder.feed(piece):
            assert sentence
            assert all(sentence)
            assert sum(map(len, sentence)) <= limit


@given(sentences)
def test_byte_by_byte_is_the_same_as_at_once(sent: list[list[bytes]]) -> None:
    stream = b"".join(encode_sentence(*s) for s in sent)[:2000]
    at_once, slowly = SentenceDecoder(1 << 20), SentenceDecoder(1 << 20)

    piecewise = [s for i in range(len(stream)) for s in slowly.feed(stream[i : i + 1])]

    assert piecewise == at_once.feed(stream)
