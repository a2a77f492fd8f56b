"""Events that wait for the broker: bounded in number and bytes, oldest dropped. Pure."""

from collections import Counter, deque
from dataclasses import dataclass

from fleet_contracts.subjects import Kind


@dataclass(slots=True)
class Message:
    """An event on its way to the broker. `number` is its place in the order of publishing."""

    number: int
    kind: Kind
    subject: str
    payload: bytes
    message_id: str
    headers: dict[str, str] | None = None

    @property
    def size(self) -> int:
        """Bytes counted against the bound."""
        return len(self.payload) + len(self.subject) + len(self.message_id)


class EventBuffer:
    """First in, first out; over a bound the oldest goes and is counted by kind."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._waiting: deque[Message] = deque()
        self.bytes = 0
        self.dropped: Counter[Kind] = Counter()
        self.dropped_in_all = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def append(self, message: Message) -> None:
        """Add the newest."""
        self._waiting.append(message)
        self.bytes += message.size
        self._enforce()

    def put_back(self, messages: list[Message]) -> None:
        """Return messages that were taken but not accepted, to their place in the order."""
        self.bytes += sum(message.size for message in messages)
        merged = sorted([*messages, *self._waiting], key=lambda message: message.number)
        self._waiting = deque(merged)
        self._enforce()

    def take(self) -> Message:
        """Remove and return the oldest. Raises IndexError when empty."""
        message = self._waiting.popleft()
        self.bytes -= message.size
        return message

    def _enforce(self) -> None:
        while len(self._waiting) > self._max_messages or self.bytes > self._max_bytes:
            self.dropped[self.take().kind] += 1
            self.dropped_in_all += 1
