"""`/interface` read as columns: the largest answer of a poll, without an object a row.

Where every row has the same attributes at the same places, which is what routers send,
the words of an attribute are one column. Its name is checked in each word; what fits no
column is read by rows instead (see interfaces.parse_counters), to the same result.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from fleet_poller.parse.interfaces import COUNTER_ATTRIBUTES, LINK_ATTRIBUTES, MAX_COUNTER
from fleet_poller.routeros.wire import Sentence

type Identity = tuple[bytes | None, bytes | None]
type Link = tuple[bytes | None, bytes | None]
type Column = tuple[bytes, ...]

_ATTRIBUTES: Final = (".id", "name", "running", "disabled", *COUNTER_ATTRIBUTES)
_PREFIXES: Final = tuple(b"=%b=" % name.encode() for name in _ATTRIBUTES)
_UP_PREFIX, _DOWN_PREFIX = (b"=%b=" % name.encode() for name in LINK_ATTRIBUTES)
# Behind the reply word and the tag, in the order in which the command names them.
_BEHIND: Final = 2 + len(_ATTRIBUTES)
_AS_ASKED: Final = tuple(range(2, _BEHIND))
_FIRST_COUNTER: Final = _ATTRIBUTES.index(COUNTER_ATTRIBUTES[0])
_COUNTER_PREFIXES: Final = _PREFIXES[_FIRST_COUNTER:]


class CounterTable(NamedTuple):
    """All rows; entry n of each field is row n. `columns` is as in readings.Counters."""

    identities: tuple[Identity, ...]
    """`.id` and name, raw."""
    links: tuple[Link, ...]
    """`last-link-up-time` and `last-link-down-time`, raw."""
    running: list[bool]
    disabled: list[bool]
    columns: list[list[int]]


def read_counters(sentences: Sequence[Sentence]) -> CounterTable | None:
    """The table, or None when the rows are not alike or a value is not a counter."""
    if not sentences:
        return None
    by_place = list(zip(*sentences, strict=False))
    table = _read(sentences, by_place, _AS_ASKED)
    return table or _read(sentences, by_place, _places(sentences[0]))


def _places(sentence: Sentence) -> tuple[int, ...]:
    """Where this sentence has each attribute; empty unless they are all it begins with."""
    found = {word[1 : word.find(b"=", 2) + 1]: place for place, word in enumerate(sentence)}
    places = tuple(found.get(prefix, 0) for prefix in _PREFIXES)
    return places if sorted(places) == list(_AS_ASKED) else ()


def _read(
    sentences: Sequence[Sentence], by_place: Sequence[Column], places: Sequence[int]
) -> CounterTable | None:
    if not places or len(by_place) < _BEHIND:
        return None
    values: list[list[bytes]] = []
    columns: list[list[int]] = []
    for place, prefix in zip(places[:_FIRST_COUNTER], _PREFIXES, strict=False):
        column = by_place[place]
        begin = len(prefix) + 1
        cut = [word[begin:] for word in column if word.startswith(prefix, 1)]
        if len(cut) < len(column):
            return None
        values.append(cut)
    for place, prefix in zip(places[_FIRST_COUNTER:], _COUNTER_PREFIXES, strict=True):
        numbers = _numbers(by_place[place], prefix)
        if numbers is None:
            return None
        columns.append(numbers)
    ids, names, running, disabled = values
    return CounterTable(
        tuple(zip(ids, names, strict=True)),
        tuple([_link(sentence[_BEHIND:]) for sentence in sentences]),
        [value == b"true" for value in running],
        [value == b"true" for value in disabled],
        columns,
    )


def _numbers(column: Column, prefix: bytes) -> list[int] | None:
    """Each number plus one; None when one is no counter, or is another attribute's."""
    first = column[0]
    count = len(column)
    begin = len(prefix) + 1
    try:
        if column.count(first) == count:  # errors and drops: mostly all 0
            number = int(first[begin:]) + 1 if first.startswith(prefix, 1) else 0
            return [number] * count if 0 < number <= MAX_COUNTER + 1 else None
        numbers = [int(word[begin:]) + 1 for word in column if word.startswith(prefix, 1)]
    except ValueError:
        return None
    if len(numbers) < count or min(numbers) <= 0 or max(numbers) > MAX_COUNTER + 1:
        return None
    return numbers


def _link(words: Sequence[bytes]) -> Link:
    up = down = None
    for word in words:
        if word.startswith(_UP_PREFIX, 1):
            up = word[len(_UP_PREFIX) + 1 :]
        elif word.startswith(_DOWN_PREFIX, 1):
            down = word[len(_DOWN_PREFIX) + 1 :]
    return up, down
