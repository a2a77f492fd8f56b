import pytest

from fleet_poller.routeros.wire import (
    BARE,
    SentenceDecoder,
    WireError,
    encode_sentence,
    encode_word,
)


@pytest.mark.parametrize(
    ("length", "prefix"),
    [
        (1, b"\x01"),
        (0x7F, b"\x7f"),
        (0x80, b"\x80\x80"),
        (0x100, b"\x81\x00"),
        (0x3FFF, b"\xbf\xff"),
        (0x4000, b"\xc0\x40\x00"),
        (0x1F_FFFF, b"\xdf\xff\xff"),
        (0x20_0000, b"\xe0\x20\x00\x00"),
    ],
)
def test_lengths_are_written_and_read_in_every_size(length: int, prefix: bytes) -> None:
    word = b"=n=" + b"v" * (length - 3) if length > 3 else b"v" * length
    encoded = encode_word(word)

    assert encoded[: len(prefix)] == prefix
    assert encoded[len(prefix) :] == word
    if length > 3:
        decoder = SentenceDecoder(max_word_bytes=1 << 22)
        assert decoder.feed(b"\x03!re" + encoded + b"\0") == [(b"!re", b"", {b"n": word[3:]})]


def test_the_five_byte_length_is_understood() -> None:
    word = b"=name=value"
    sentence = b"\x03!re" + b"\xf0" + len(word).to_bytes(4) + word + b"\0"

    assert SentenceDecoder().feed(sentence) == [(b"!re", b"", {b"name": b"value"})]


def test_a_value_may_hold_anything() -> None:
    words = [b"!re", b"=comment=a=b\x00\xff\n", b"=empty=", b"=bare", b".tag=7", b"=after=tag"]

    assert SentenceDecoder().feed(encode_sentence(words)) == [
        (
            b"!re",
            b"7",
            {b"comment": b"a=b\x00\xff\n", b"empty": b"", b"bare": b"", b"after": b"tag"},
        )
    ]


def test_the_reason_of_a_fatal_is_a_bare_word() -> None:
    sentence = encode_sentence([b"!fatal", b"session terminated on request"])

    assert SentenceDecoder().feed(sentence) == [
        (b"!fatal", b"", {BARE: b"session terminated on request"})
    ]


def test_empty_sentences_are_ignored() -> None:
    assert SentenceDecoder().feed(b"\0\0" + encode_sentence([b"!done"]) + b"\0") == [
        (b"!done", b"", {})
    ]


@pytest.mark.parametrize("control", range(0xF8, 0x100))
def test_a_reserved_control_byte_ends_the_stream(control: int) -> None:
    with pytest.raises(WireError, match="reserved control byte"):
        SentenceDecoder().feed(bytes([control]))


def test_an_overlong_word_is_refused_before_it_arrives() -> None:
    with pytest.raises(WireError, match="exceeds 1000"):
        SentenceDecoder(max_word_bytes=1000).feed(b"\xc0\x40\x00")


@pytest.mark.parametrize("words", [[b"hello"], [b"=name=value"], [b".tag=1"]])
def test_a_sentence_without_a_reply_word_ends_the_stream(words: list[bytes]) -> None:
    with pytest.raises(WireError, match="reply word"):
        SentenceDecoder().feed(encode_sentence(words))
