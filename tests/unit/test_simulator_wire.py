import pytest

from fleet_simulator.wire import (
    SentenceDecoder,
    WireError,
    encode_length,
    encode_sentence,
    encode_word,
)


@pytest.mark.parametrize(
    ("length", "prefix"),
    [
        (0, "00"),
        (0x7F, "7f"),
        (0x80, "8080"),
        (0x100, "8100"),
        (0x3FFF, "bfff"),
        (0x4000, "c04000"),
        (0x1FFFFF, "dfffff"),
        (0x200000, "e0200000"),
        (0xFFFFFFF, "efffffff"),
        (0x10000000, "f010000000"),
        (0xFFFFFFFF, "f0ffffffff"),
    ],
)
def test_length_prefix_is_as_the_manual_says(length: int, prefix: str) -> None:
    assert encode_length(length).hex() == prefix


def test_length_beyond_four_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="4294967296"):
        encode_length(1 << 32)


@pytest.mark.parametrize("size", [1, 0x7F, 0x80, 0x3FFF, 0x4000, 0x1FFFFF, 0x200000, 0x200001])
def test_words_of_every_prefix_up_to_four_bytes_come_back(size: int) -> None:
    word = bytes(range(256)) * (size // 256 + 1)
    data = encode_sentence(b"/x", word[:size])

    assert SentenceDecoder(1 << 23).feed(data) == [[b"/x", word[:size]]]


def test_five_byte_prefix_is_understood() -> None:
    # A peer may use the long form for a short word; nothing that long would fit in here.
    data = b"\xf0\x00\x00\x00\x03abc\x00"

    assert SentenceDecoder(100).feed(data) == [[b"abc"]]


@pytest.mark.parametrize("first", range(0xF8, 0x100))
def test_control_bytes_end_the_stream_after_what_came_before(first: int) -> None:
    decoder = SentenceDecoder(100)

    sentences = decoder.feed(encode_sentence(b"/quit") + bytes([first, 1, 2]))

    assert sentences == [[b"/quit"]]
    assert isinstance(decoder.failure, WireError)
    assert f"0x{first:02X}" in str(decoder.failure)
    assert decoder.feed(encode_sentence(b"/quit")) == []


def test_empty_sentences_are_ignored() -> None:
    assert SentenceDecoder(100).feed(b"\x00\x00" + encode_sentence(b"a") + b"\x00") == [[b"a"]]


def test_announced_length_above_the_limit_is_refused_before_it_is_sent() -> None:
    decoder = SentenceDecoder(4096)

    decoder.feed(encode_length(5000))

    assert decoder.failure is not None


def test_many_small_words_are_bounded_like_one_long_one() -> None:
    decoder = SentenceDecoder(64)

    for _ in range(32):
        decoder.feed(encode_word(b"a"))
    assert decoder.failure is None
    decoder.feed(encode_word(b"a"))

    assert decoder.failure is not None


def test_a_limit_raised_after_login_holds_for_the_next_sentence() -> None:
    decoder = SentenceDecoder(16)
    decoder.feed(encode_sentence(b"/login"))
    decoder.max_sentence = 4096

    assert decoder.feed(encode_sentence(b"x" * 1000)) == [[b"x" * 1000]]
