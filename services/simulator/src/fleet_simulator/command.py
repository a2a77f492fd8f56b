"""From a sentence's words to a command: menu path, name, arguments, query, tag."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fleet_simulator.query import Predicate, compile_query

_CACHE_SIZE: Final = 1024
_MAX_CACHED_WORDS: Final = 16
_TAG: Final = b".tag="
_PRINTS: Final = frozenset({"print", "getall"})


@dataclass(frozen=True, slots=True)
class Command:
    """One command without its tag, ready to be run on any router any number of times.

    `path` is the menu (`/interface`, empty for `/login`), `name` the command in it. `arguments`
    hold the attribute words; a word without a second `=` has the empty value. `queries` are the
    query words in the order sent.
    """

    path: str
    name: str
    arguments: Mapping[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    queries: tuple[bytes, ...] = ()
    proplist: tuple[bytes, ...] | None = None

    @property
    def full_name(self) -> str:
        """Path and name as sent, e.g. `/interface/print`."""
        return f"{self.path}/{self.name}"

    @property
    def is_print(self) -> bool:
        """Whether this is `print` or its older name."""
        return self.name in _PRINTS

    @property
    def counts_only(self) -> bool:
        """`count-only`, sent with or without a second `=`."""
        return b"count-only" in self.arguments

    @property
    def follows(self) -> bool:
        """Whether changes are wanted for as long as the command runs."""
        return (
            self.name == "listen" or b"follow" in self.arguments or b"follow-only" in self.arguments
        )

    @property
    def wants_first_rows(self) -> bool:
        """Whether the present rows come before the changes."""
        return self.name != "listen" and b"follow-only" not in self.arguments

    def predicate(self) -> Predicate | None:
        """The query as a test of a row. Raises TrapError when a query word is wrong."""
        return compile_query(self.queries)


class CommandReader:
    """Reads sentences; the same words give the same Command, from a bounded cache.

    A fleet's pollers send the same few sentences for ever, so nearly all reading is one look-up.
    """

    __slots__ = ("_cache",)

    def __init__(self) -> None:
        self._cache: dict[tuple[bytes, ...], Command] = {}

    def read(self, words: Sequence[bytes]) -> tuple[Command, bytes | None]:
        """The command and its tag, None when the sentence has none."""
        tag: bytes | None = None
        if words[-1].startswith(_TAG):
            tag = words[-1][5:]
            key = tuple(words[:-1])
        elif any(word.startswith(_TAG) for word in words):
            tag = next(word for word in words if word.startswith(_TAG))[5:]
            key = tuple([word for word in words if not word.startswith(_TAG)])
        else:
            key = tuple(words)
        command = self._cache.get(key)
        if command is None:
            command = parse(key)
            if len(key) <= _MAX_CACHED_WORDS and b"password" not in command.arguments:
                if len(self._cache) >= _CACHE_SIZE:
                    self._cache.clear()
                self._cache[key] = command
        return command, tag


def parse(words: Sequence[bytes]) -> Command:
    """Read words that hold no tag. Words of no known form are ignored, as the router does."""
    path, _, name = words[0].decode("latin-1").rstrip("/").rpartition("/") if words else ("",) * 3
    arguments: dict[bytes, bytes] = {}
    queries: list[bytes] = []
    for word in words[1:]:
        if word.startswith(b"="):
            key, _, value = word[1:].partition(b"=")
            arguments[key] = value
        elif word.startswith(b"?"):
            queries.append(word)
        elif word.startswith(b"."):
            key, _, value = word.partition(b"=")
            arguments[key] = value
    proplist = arguments.pop(b".proplist", b"")
    names = tuple([item for item in proplist.split(b",") if item])
    return Command(path, name, arguments, tuple(queries), names or None)
