"""The RouterOS API's framing: words with a length prefix, sentences ended by an empty word.

Source: MikroTik's manual, "API", section "Protocol". Lengths take one to five bytes in network
order; a first byte of 0xF8 and above is reserved for control bytes, after which a peer cannot
go on. Empty sentences are ignored.
"""

from typing import Final

_ONE: Final = 0x80
_TWO: Final = 0x4000
_THREE: Final = 0x200000
_FOUR: Final = 0x10000000
_LARGEST: Final = 0xFFFFFFFF
_FIRST_BYTES: Final = (0x80, 0xC0, 0xE0, 0xF0, 0xF8)
"""The first byte of a prefix of 1, 2, … bytes is below the 1st, 2nd, … of these."""

END: Final = b"\x00"
"""The empty word that ends a sentence."""


class WireError(Exception):
    """Bytes that cannot be a sentence, or one too long: the connection is of no more use."""


def encode_length(length: int) -> bytes:
    """The length prefix of a word, 1 to 5 bytes. ValueError beyond four bytes of length."""
    if length < _ONE:
        return length.to_bytes(1)
    if length < _TWO:
        return (length | 0x8000).to_bytes(2)
    if length < _THREE:
        return (length | 0xC00000).to_bytes(3)
    if length < _FOUR:
        return (length | 0xE0000000).to_bytes(4)
    if length <= _LARGEST:
        return b"\xf0" + length.to_bytes(4)
    raise ValueError(f"a word of {length} bytes cannot be sent")


def encode_word(word: bytes) -> bytes:
    """One word with its length in front."""
    return encode_length(len(word)) + word


def encode_sentence(*words: bytes) -> bytes:
    """A whole sentence, the final empty word included."""
    return b"".join([encode_word(word) for word in words]) + END


def prefix_width(first: int) -> int:
    """How many bytes the length prefix has that begins with `first`.

    Raises WireError for a control byte.
    """
    for width, above in enumerate(_FIRST_BYTES, start=1):
        if first < above:
            return width
    raise WireError(f"control byte 0x{first:02X}")


class SentenceDecoder:
    """Turns pieces of a byte stream into sentences, however they were cut.

    `max_sentence` bounds a sentence's bytes (words and prefixes), and so the memory a peer can
    make it hold; it may be changed between calls.
    """

    __slots__ = ("_need", "_pending", "_size", "_words", "failure", "max_sentence")

    def __init__(self, max_sentence: int) -> None:
        self.max_sentence = max_sentence
        self.failure: WireError | None = None
        self._pending: bytearray | None = None
        self._need = 0
        self._words: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[list[bytes]]:
        """The sentences that `data` completes, each a non-empty list of words.

        After bytes that cannot be read, `failure` says why; what came before them is returned
        and everything after is dropped.
        """
        if self.failure is not None:
            return []
        pending = self._pending
        if pending is not None:
            pending += data
            if len(pending) < self._need:
                return []
            data = bytes(pending)
            self._pending = None
        sentences: list[list[bytes]] = []
        try:
            consumed = self._split(data, sentences)
        except WireError as error:
            self.failure = error
            self._words = []
            return sentences
        if consumed < len(data):
            self._pending = bytearray(data[consumed:])
        return sentences

    def _split(self, data: bytes, sentences: list[list[bytes]]) -> int:
        """Append the sentences in `data`; gives the number of bytes used up."""
        words, size, limit = self._words, self._size, self.max_sentence
        position, end = 0, len(data)
        while position < end:
            length = data[position]
            if length == 0:
                position += 1
                if words:
                    sentences.append(words)
                    words, size = [], 0
                continue
            start = position + 1
            if length >= _ONE:
                width = prefix_width(length)
                start = position + width
                if start > end:
                    self._need = width
                    break
                length = _long_length(data, position, width)
            stop = start + length
            if size + stop - position > limit:
                raise WireError(f"sentence of more than {limit} bytes")
            if stop > end:
                self._need = stop - position
                break
            words.append(data[start:stop])
            size += stop - position
            position = stop
        self._words, self._size = words, size
        return position


def _long_length(data: bytes, position: int, width: int) -> int:
    value = int.from_bytes(data[position : position + width])
    match width:
        case 2:
            return value ^ 0x8000
        case 3:
            return value ^ 0xC00000
        case 4:
            return value ^ 0xE0000000
        case _:
            return value & 0x7_FFFF_FFFF
