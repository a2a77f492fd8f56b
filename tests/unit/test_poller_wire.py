import pytest

from fleet_poller.routeros.wire import (
    BARE,
    Attributes,
    SentenceDecoder,
    WireError,
    encode_sentence,
    encode_word,
    row_attributes,
    take_apart,
)


def read(data: bytes, max_word_bytes: int = 1 << 20) -> list[tuple[bytes, bytes, Attributes]]:
    return [take_apart(one) for one in SentenceDecoder(max_word_bytes).feed(data)]


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
        sentence = b"\x03!re" + encoded + b"\0"
        assert read(sentence, 1 << 22) == [(b"!re", b"", {b"n": word[3:]})]


def test_the_five_byte_length_is_understood() -> None:
    word = b"=name=value"
    sentence = b"\x03!re" + b"\xf0" + len(word).to_bytes(4) + word + b"\0"

    assert read(sentence) == [(b"!re", b"", {b"name": b"value"})]


def test_a_value_may_hold_anything() -> None:
    words = [b"!re", b"=comment=a=b\x00\xff\n", b"=empty=", b"=bare", b".tag=7", b"=after=tag"]

    assert read(encode_sentence(words)) == [
        (
            b"!re",
            b"7",
            {b"comment": b"a=b\x00\xff\n", b"empty": b"", b"bare": b"", b"after": b"tag"},
        )
    ]


def test_the_reason_of_a_fatal_is_a_bare_word() -> None:
    sentence = encode_sentence([b"!fatal", b"session terminated on request"])

    assert read(sentence) == [(b"!fatal", b"", {BARE: b"session terminated on request"})]


def test_empty_sentences_are_ignored() -> None:
    assert read(b"\0\0" + encode_sentence([b"!done"]) + b"\0") == [(b"!done", b"", {})]


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


@pytest.mark.parametrize(
    "words",
    [
        [b"!re", b".tag=7", b"=name=ether1", b"=mtu=1500"],
        [b"!re", b".tag=7", b"=comment=a=b=c", b"=empty="],
        [b"!re", b".tag=7", b"=bare"],
        [b"!re", b".tag=7"],
        [b"!re", b"=a=b", b".tag=7", b"=c=d"],
        [b"!re", b"=a=b"],
        [b"!re"],
        [b"!re", b".tag=7", b"=comment=" + b"x" * 52],  # 61 bytes: the length is a `=`
        [b"!re", b".tag=7", b"=comment=" + b"x" * 300],
    ],
)
def test_a_row_is_taken_apart_as_any_sentence_is(words: list[bytes]) -> None:
    (sentence,) = SentenceDecoder().feed(encode_sentence(words))

    assert row_attributes(sentence) == take_apart(sentence)[2]
    assert len(row_attributes(sentence)) == sum(word.startswith(b"=") for word in words)
