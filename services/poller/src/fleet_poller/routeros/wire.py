"""RouterOS API framing: words with a length prefix, sentences ended by an empty word.

Pure. The decoder is the poller's hot path (some 250 words a poll), so a sentence is
decoded in one loop with no call of our own per word, and values stay bytes until a
typed field wants them: RouterOS promises no encoding.

Source: https://help.mikrotik.com/docs/spaces/ROS/pages/47579160/API ("Protocol").
"""

from collections.abc import Iterable

type Attributes = dict[bytes, bytes]
"""Attribute name to value. A bare word (the reason of `!fatal`) stands under BARE."""

type Sentence = tuple[bytes, bytes, Attributes]
"""Reply word (`!re`), tag (empty when untagged), attributes."""

BARE = b""
MAX_ENCODED_LENGTH = 0x0FFF_FFFF
"""The longest word that RouterOS itself supports (four length bytes)."""

_ATTRIBUTE, _API_ATTRIBUTE, _REPLY = ord("="), ord("."), ord("!")
_TAG_PREFIX = b".tag="
_TWO_BYTES_LIMIT, _THREE_BYTES_LIMIT = 0x4000, 0x20_0000
_ONE_BYTE, _TWO_BYTES, _THREE_BYTES, _FOUR_BYTES, _FIVE_BYTES = 0x80, 0xC0, 0xE0, 0xF0, 0xF8


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

    __slots__ = ("_attributes", "_max_word_bytes", "_reply", "_rest", "_tag")

    def __init__(self, max_word_bytes: int = 1 << 20) -> None:
        self._max_word_bytes = max_word_bytes
        self._rest = b""
        self._reply = b""
        self._tag = b""
        self._attributes: Attributes = {}

    @property
    def idle(self) -> bool:
        """No sentence has begun that has not ended."""
        return not (self._rest or self._reply or self._tag or self._attributes)

    def feed(self, data: bytes) -> list[Sentence]:  # noqa: C901, PLR0912 - one loop, no call per word
        """The sentences that `data` completes, in order; empty sentences are skipped.

        Raises WireError on a reserved control byte, an over-long word, or a sentence that
        starts with something else than a reply word.
        """
        if self._rest:
            data = self._rest + data
        reply, tag, attributes = self._reply, self._tag, self._attributes
        sentences: list[Sentence] = []
        complete = sentences.append
        size = len(data)
        at = 0
        while at < size:
            length = data[at]
            start = at + 1
            if length >= _ONE_BYTE:
                extra = _extra_length_bytes(length)
                start += extra
                if start > size:
                    break
                length = _long_length(data, at, extra)
                if length > self._max_word_bytes:
                    raise WireError(f"a word of {length} bytes exceeds {self._max_word_bytes}")
            if length == 0:
                if reply:
                    complete((reply, tag, attributes))
                elif tag or attributes:
                    raise WireError("a sentence without a reply word")
                reply, tag, attributes = b"", b"", {}
                at = start
                continue
            end = start + length
            if end > size:
                break
            at = end
            word = data[start:end]
            first = word[0]
            if first == _ATTRIBUTE:
                try:
                    _, name, value = word.split(b"=", 2)
                except ValueError:  # `=name`, without a value
                    name, value = word[1:], b""
                attributes[name] = value
            elif first == _API_ATTRIBUTE and word.startswith(_TAG_PREFIX):
                tag = word[len(_TAG_PREFIX) :]
            elif not reply:
                if first != _REPLY:
                    raise WireError(f"{word[:40]!r} is not a reply word")
                reply = word
            else:
                attributes[BARE] = word
        self._rest = data[at:]
        self._reply, self._tag, self._attributes = reply, tag, attributes
        return sentences


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


def _long_length(data: bytes, at: int, extra: int) -> int:
    """The length at `at`, whose prefix has `extra` bytes more than one (all present)."""
    whole = int.from_bytes(data[at : at + 1 + extra])
    return whole & (0x3FFF, 0x1F_FFFF, 0x0FFF_FFFF, 0xFFFF_FFFF)[extra - 1]
