"""The text of one ConfigMap key, read as rows of devices: one bad row spoils no other."""

import json
import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, cast, override

import yaml
from yaml.constructor import ConstructorError

if TYPE_CHECKING:
    _SafeLoader = yaml.SafeLoader
else:  # libyaml reads 10,000 devices in a second, pure Python in ten
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNREADABLE: Final = (
    yaml.YAMLError,
    ValueError,
    RecursionError,
    # PyYAML lets these out of the constructors of tags: `!!int ''`, `!!bool x`, `!!timestamp x`.
    LookupError,
    AttributeError,
    TypeError,
)
_ROW_START: Final = re.compile(r"^- ?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Row:
    """One entry; `number` counts from 1. `error` says why it could not be read at all."""

    number: int
    value: object
    error: str | None = None


class _Loader(_SafeLoader):
    """Of a field that stands twice YAML keeps the last: a forgotten dash would lose a device."""

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """What the node holds; each field once."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(names)) < len(names):
            raise ConstructorError(problem=_twice(names))
        return super().construct_mapping(node, deep=deep)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _TwiceError(_twice([name for name, _ in pairs]))
    return made


def _twice(names: Sequence[str]) -> str:
    twice = next(name for name in names if names.count(name) > 1)
    return f"the field {twice[:63]} stands twice in one device"


class _TwiceError(ValueError):
    pass


class UnreadableTextError(ValueError):
    """The text is no list of devices; says why."""


def read_rows(text: str) -> list[Row]:
    """The entries of a YAML or JSON list.

    A syntax error in YAML costs only the row it is in where rows begin with `- ` at the
    line's start. Raises UnreadableTextError when there is no list in the text.
    """
    if not text.strip():
        raise UnreadableTextError("is empty; a list of no devices is written []")
    try:
        value = _load(text)
    except _UNREADABLE as error:
        pieces = list(_pieces(text))
        if not pieces:
            raise UnreadableTextError(f"is neither YAML nor JSON: {_first_line(error)}") from error
        return [_read_piece(number, line, piece) for number, (line, piece) in enumerate(pieces, 1)]
    if not isinstance(value, list):
        raise UnreadableTextError(
            f"must be a list of devices (- name: …), it is {_WORDS.get(type(value), 'something')}"
        )
    return [Row(number, entry) for number, entry in enumerate(cast("list[object]", value), 1)]


_WORDS: Final[dict[type, str]] = {dict: "a mapping", str: "a text", type(None): "empty"}


def _load(text: str) -> object:
    if text.lstrip().startswith("["):
        try:
            return json.loads(text, object_pairs_hook=_once)
        except _TwiceError:
            raise
        except ValueError:
            pass  # YAML's flow style also begins with a bracket
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - the safe loader, in C


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """(line number, text) of each top-level entry of a block list."""
    starts = [match.start() for match in _ROW_START.finditer(text)]
    line, counted = 1, 0
    for start, end in pairwise([*starts, len(text)]):
        line += text.count("\n", counted, start)
        counted = start
        yield line, text[start:end]


def _read_piece(number: int, line: int, piece: str) -> Row:
    try:
        value = yaml.load(piece, Loader=_Loader)  # noqa: S506 - the safe loader, in C
    except _UNREADABLE as error:
        return Row(number, None, f"line {line}: not YAML: {_first_line(error)}")
    if isinstance(value, list):
        entries = cast("list[object]", value)
        if len(entries) == 1:
            return Row(number, entries[0])
    return Row(number, None, f"line {line}: not one device")


def _first_line(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        return error.problem
    return str(error).partition("\n")[0]
