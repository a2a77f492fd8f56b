"""The commands that the poller sends and the replies it gets, as values."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fleet_poller.routeros.wire import Attributes, Sentence, encode_word, row_attributes


@dataclass(frozen=True, slots=True)
class Command:
    """A command that ends by itself (`print`, `monitor` with `=once=`).

    `words` are the attribute words after the command, e.g. `b"=once="`. The sentence is
    encoded once, here; sending adds only the tag. One object is shared by all devices.
    """

    path: str
    words: tuple[bytes, ...] = ()
    encoded: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Encode all but the tag and the sentence's end."""
        words = (self.path.encode(), *self.words)
        object.__setattr__(self, "encoded", b"".join(map(encode_word, words)))


def print_command(menu: str, attributes: Sequence[str] = (), *words: bytes) -> Command:
    """`print` of a menu, limited to `attributes` (`.proplist`) when there are any.

    A router leaves out listed attributes that it does not have; it never traps on them.
    """
    proplist = (f"=.proplist={','.join(attributes)}".encode(),) if attributes else ()
    return Command(f"{menu}/print", (*proplist, *words))


@dataclass(frozen=True, slots=True)
class Reply:
    """A command's complete answer, a sentence for each record of the router."""

    sentences: list[Sentence]

    @property
    def rows(self) -> list[Attributes]:
        """The records taken apart, each time anew."""
        return [row_attributes(sentence) for sentence in self.sentences]


@dataclass(frozen=True, slots=True)
class Trap:
    """A command's refusal: message, and category (0: no such command or item) if given."""

    message: str
    category: int | None

    @property
    def lasting(self) -> bool:
        """Whether the same command will be refused again.

        So it is without such a menu or command on this version, package or board, and
        where the user lacks the permission.
        """
        return self.forbidden or self.message.startswith(("no such command", "unknown command"))

    @property
    def forbidden(self) -> bool:
        """Whether the router's user lacks the permission (a policy of its group)."""
        return self.message.startswith("not enough permissions")


type Answer = Reply | Trap
