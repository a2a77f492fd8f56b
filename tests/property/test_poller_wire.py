import contextlib

from hypothesis import given
from hypothesis import strategies as st
from librouteros.protocol import (  # pyright: ignore[reportMissingTypeStubs] - ships none
    encode_sentence as stock_encode_sentence,
)

from fleet_poller.routeros.wire import (
    Attributes,
    SentenceDecoder,
    WireError,
    encode_sentence,
    row_attributes,
    take_apart,
)

type Sentence = tuple[bytes, bytes, Attributes]

names = st.binary(min_size=1, max_size=20).filter(lambda name: b"=" not in name)
values = st.binary(max_size=300)
tags = st.binary(max_size=8)
sentences = st.tuples(
    st.sampled_from([b"!re", b"!done", b"!trap", b"!empty"]),
    tags,
    st.dictionaries(names, values, max_size=6),
)


def encoded(sentence: Sentence) -> bytes:
    reply, tag, attributes = sentence
    words = [reply, *(b"=%b=%b" % item for item in attributes.items())]
    if tag:
        words.insert(len(words) // 2 + 1, b".tag=" + tag)
    return encode_sentence(words)


@given(st.lists(sentences, max_size=8), st.lists(st.integers(0, 5000), max_size=12))
def test_a_stream_cut_anywhere_gives_the_same_sentences(
    given_sentences: list[Sentence], cuts: list[int]
) -> None:
    stream = b"".join(map(encoded, given_sentences))
    decoder = SentenceDecoder()
    found: list[Sentence] = []
    position = 0
    for cut in [*sorted(min(cut, len(stream)) for cut in cuts), len(stream)]:
        found += map(take_apart, decoder.feed(stream[position:cut]))
        position = cut

    assert found == given_sentences
    assert decoder.idle


@given(sentences)
def test_byte_by_byte_is_the_same_as_at_once(sentence: Sentence) -> None:
    decoder = SentenceDecoder()
    found = [one for byte in encoded(sentence) for one in decoder.feed(bytes([byte]))]

    assert [take_apart(one) for one in found] == [sentence]
    assert row_attributes(found[0]) == sentence[2]


@given(st.binary(max_size=2000))
def test_garbage_gives_sentences_or_a_wire_error_and_nothing_else(garbage: bytes) -> None:
    with contextlib.suppress(WireError):
        SentenceDecoder().feed(garbage)


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=400), min_size=1))
def test_our_encoder_agrees_with_librouteros(words: list[str]) -> None:
    assert encode_sentence([word.encode() for word in words]) == stock_encode_sentence(
        *words, encoding="utf-8"
    )
