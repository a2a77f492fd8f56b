"""RouterOS API framing: words with a length prefix, sentences ended by an empty word.

Pure. The decoder is the poller's hot path (some 270 words a poll), so words are cut out
by one regular expression, in C, and taken apart only where a typed field wants them.
Values stay bytes: RouterOS promises no encoding.

Source: https://help.mikrotik.com/docs/spaces/ROS/pages/47579160/API ("Protocol").
"""

import re
from collections.abc import Iterable
from typing import Final

type Sentence = list[bytes]
"""The words of a sentence, the reply word (`!re`) first.

Each word is preceded by one byte, the last of its length: to cut it off would take as
long as to find the word.
"""

type Attributes = dict[bytes, bytes]
"""Attribute name to value. A bare word (the reason of `!fatal`) stands under BARE."""

BARE = b""
ROW: Final = b"\x03!re"
MAX_ENCODED_LENGTH = 0x0FFF_FFFF
"""The longest word that RouterOS itself supports (four length bytes)."""

_ATTRIBUTE, _REPLY = ord("="), ord("!")
_TAG_PREFIX = b".tag="
_END: Final = b"\0"
_TWO_BYTES_LIMIT, _THREE_BYTES_LIMIT = 0x4000, 0x20_0000
_ONE_BYTE, _TWO_BYTES, _THREE_BYTES, _FOUR_BYTES, _FIVE_BYTES = 0x80, 0xC0, 0xE0, 0xF0, 0xF8

# An alternative for each one-byte length: that byte, and as many more. What fits none (a
# longer word, or one that has not arrived whole) is matched by the last, with all behind.
_WORDS: Final = re.compile(
    b"\\x00|" + b"|".join(b"\\x%02x.{%d}" % (n, n) for n in range(1, _ONE_BYTE)) + b"|.+",
    re.DOTALL,
)


class WireError(Exception):
    """The bytes are not RouterOS API, or exceed a bound; the stream cannot be read on."""


def encode_word(word: bytes) -> bytes:
    """One word with its length prefix. Raises WireError above what RouterOS supports."""
    length = len(word)
    if length < _ONE_BYTE:
        return bytes((length,)) + word
    if length < _TWO_BYTES_LIMIT:
        return (length | 0x8000).to_bytes(2) + word
    if length < _THREE_BYTES_LIMIT:
        return (length | 0xC0_0000).to_bytes(3) + word
    if length <= MAX_ENCODED_LENGTH:
        return (length | 0xE000_0000).to_bytes(4) + word
    raise WireError(f"a word of {length} bytes is longer than RouterOS supports")


def encode_sentence(words: Iterable[bytes]) -> bytes:
    """A whole sentence, its end included."""
    return b"".join(map(encode_word, words)) + b"\0"


class SentenceDecoder:
    """Turns a byte stream, cut anywhere, into sentences.

    Keeps what is incomplete between calls; a sentence is resumed at the word where it
    broke off, so a slow trickle costs no repeated work. After a WireError the decoder
    must not be used again.
    """

    __slots__ = ("_max_word_bytes", "_rest", "_words")

    def __init__(self, max_word_bytes: int = 1 << 20) -> None:
        self._max_word_bytes = max_word_bytes
        self._rest = b""
        self._words: list[bytes] = []

    @property
    def idle(self) -> bool:
        """No sentence has begun that has not ended."""
        return not (self._rest or self._words)

    def feed(self, data: bytes) -> list[Sentence]:
        """The sentences that `data` completes, in order; empty sentences are skipped.

        Raises WireError on a reserved control byte, an over-long word, or a sentence that
        starts with something else than a reply word.
        """
        words = self._words
        searched = len(words)
        self._rest = self._cut(self._rest + data if self._rest else data, words)
        sentences: list[Sentence] = []
        start = 0
        while True:
            try:
                end = words.index(_END, searched)
            except ValueError:
                break
            if end > start:
                sentences.append(words[start:end])
            start = searched = end + 1
        if start:
            self._words = words[start:]
        for sentence in sentences:
            _check_reply_word(sentence[0])
        if self._words:
            _check_reply_word(self._words[0])
        return sentences

    def _cut(self, data: bytes, words: list[bytes]) -> bytes:
        """Append the complete words of `data`; what is left over."""
        at = 0
        while True:
            found = _WORDS.findall(data, at)
            if not found:
                return b""
            last = found[-1]
            if len(last) == last[0] + 1 and last[0] < _ONE_BYTE:
                words += found
                return b""
            words += found[:-1]
            if last[0] < _ONE_BYTE:
                return last
            size = len(data)
            begin = size - len(last)
            extra = _extra_length_bytes(last[0])
            if len(last) <= extra:
                return last
            length = _long_length(last, extra)
            if length > self._max_word_bytes:
                raise WireError(f"a word of {length} bytes exceeds {self._max_word_bytes}")
            at = begin + 1 + extra + length
            if at > size:
                return last
            words.append(data[begin + extra : at])


def take_apart(sentence: Sentence) -> tuple[bytes, bytes, Attributes]:
    """Reply word, tag (empty when untagged), attributes."""
    tag = b""
    attributes: Attributes = {}
    for word in sentence[1:]:
        if word[1] == _ATTRIBUTE:
            name, _, value = word[2:].partition(b"=")
            attributes[name] = value
        elif word.startswith(_TAG_PREFIX, 1):
            tag = word[1 + len(_TAG_PREFIX) :]
        else:
            attributes[BARE] = word[1:]
    return sentence[0][1:], tag, attributes


def row_attributes(sentence: Sentence) -> Attributes:
    """The attributes of a `!re` sentence; `take_apart` in a third of the time.

    A bare word, which has no meaning in a row, may be taken for an attribute.
    """
    try:
        if sentence[1].startswith(_TAG_PREFIX, 1):
            words = [word.split(b"=", 2) for word in sentence[2:]]
            attributes = {name: value for _, name, value in words}
            # A word of 61 bytes is preceded by a byte that is itself a `=`.
            if BARE not in attributes:
                return attributes
    except (IndexError, ValueError):  # no tag; `=name` without a value
        pass
    return take_apart(sentence)[2]


def _check_reply_word(word: bytes) -> None:
    if word[1] != _REPLY:
        raise WireError(f"{word[1:41]!r} is not a reply word")


def _extra_length_bytes(control: int) -> int:
    if control < _TWO_BYTES:
        return 1
    if control < _THREE_BYTES:
        return 2
    if control < _FOUR_BYTES:
        return 3
    if control < _FIVE_BYTES:
        return 4
    raise WireError(f"reserved control byte 0x{control:02X}")


def _long_length(word: bytes, extra: int) -> int:
    """The length that `word` begins with, whose prefix has `extra` bytes more than one."""
    whole = int.from_bytes(word[: 1 + extra])
    return whole & (0x3FFF, 0x1F_FFFF, 0x0FFF_FFFF, 0xFFFF_FFFF)[extra - 1]
