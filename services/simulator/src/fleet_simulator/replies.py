"""Reply sentences as bytes: `!re`, `!done`, `!trap`, `!fatal`, `!empty`."""

from collections.abc import Iterable
from typing import Final

from fleet_simulator.tables import Row, TrapError
from fleet_simulator.wire import END, encode_length, encode_sentence, encode_word

OIDS: Final[dict[bytes, bytes]] = {
    b"uptime": b".1.3.6.1.2.1.1.3.0",
    b"total-hdd-space": b".1.3.6.1.2.1.25.2.3.1.5.131073",
    b"total-memory": b".1.3.6.1.2.1.25.2.3.1.5.65536",
    b"cpu-frequency": b".1.3.6.1.4.1.14988.1.1.3.14.0",
    b"cpu-load": b".1.3.6.1.2.1.25.3.3.1.2.1",
}
"""SNMP object ids that `print oid` of `/system/resource` names; few menus have any."""

_OID: Final = b".oid"
_KINDS: Final = {kind: encode_word(kind) for kind in (b"!re", b"!done", b"!trap", b"!empty")}
_MAX_SHORT: Final = 0x80
_SHORT: Final = tuple(bytes([length]) for length in range(_MAX_SHORT))


def head(reply: bytes, tag: bytes | None) -> bytes:
    """The first words of a reply: its kind and, when the command had one, the tag."""
    word = _KINDS[reply]
    return word if tag is None else word + encode_word(b".tag=" + tag)


def done(tag: bytes | None, ret: bytes | None = None) -> bytes:
    """`!done`, with `=ret=` when there is a value."""
    if ret is None:
        return head(b"!done", tag) + END
    return head(b"!done", tag) + encode_word(b"=ret=" + ret) + END


def empty(tag: bytes | None) -> bytes:
    """`!empty`: sent from 7.18 on before the `!done` of a print that found nothing."""
    return head(b"!empty", tag) + END


def trap(tag: bytes | None, error: TrapError) -> bytes:
    """`!trap` alone; the command's `!done` has to follow."""
    category = b""
    if error.category is not None:
        category = encode_word(b"=category=%d" % error.category)
    message = encode_word(b"=message=" + error.message.encode())
    return head(b"!trap", tag) + category + message + END


def fatal(reason: str) -> bytes:
    """`!fatal`, untagged, its reason a bare word; the connection closes after it."""
    return encode_sentence(b"!fatal", reason.encode())


def encode_rows(rows: Iterable[Row], names: tuple[bytes, ...] | None, first: bytes) -> bytes:
    """`!re` sentences, each beginning with `first` (see `head`).

    With `names` (a `.proplist`) only these attributes are written, in that order, and those the
    row does not have are left out; `name.oid` gives the SNMP object id where one is known.
    """
    if names is None:
        return _whole(rows, first)
    if any(name.endswith(_OID) for name in names):
        return _whole((_with_oids(row, names) for row in rows), first)
    # The hot path of every poll: three pieces a word and no call that can be avoided.
    prefixes = [(name, len(name) + 2, b"=%b=" % name) for name in names]
    parts: list[bytes] = []
    for row in rows:
        parts.append(first)
        get = row.get
        for name, width, prefix in prefixes:
            value = get(name)
            if value is None:
                continue
            length = width + len(value)
            if length < _MAX_SHORT:
                parts += (_SHORT[length], prefix, value)
            else:
                parts += (encode_length(length), prefix, value)
        parts.append(END)
    return b"".join(parts)


def _whole(rows: Iterable[Row], first: bytes) -> bytes:
    parts: list[bytes] = []
    for row in rows:
        parts.append(first)
        for name, value in row.items():
            length = len(name) + len(value) + 2
            if length < _MAX_SHORT:
                parts += (_SHORT[length], b"=", name, b"=", value)
            else:
                parts += (encode_length(length), b"=", name, b"=", value)
        parts.append(END)
    return b"".join(parts)


def _with_oids(row: Row, names: tuple[bytes, ...]) -> Row:
    chosen: dict[bytes, bytes] = {}
    for name in names:
        value = row.get(name)
        if value is None and name.endswith(_OID) and name[: -len(_OID)] in row:
            value = OIDS.get(name[: -len(_OID)])
        if value is not None:
            chosen[name] = value
    return chosen
