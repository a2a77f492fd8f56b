"""Tenants' streams as they are: their state, and how far the durable consumers have stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo, StreamInfo
from nats.js.errors import NotFoundError

from fleet_common.planning import StreamState

WRITER_CONSUMER: Final = "metrics-writer"
"""Its acknowledgement floor is the position stored in the database."""
_DURABLES: Final = frozenset({WRITER_CONSUMER, "firmware-checker"})
_LOOKS_TO_BE_BEHIND: Final = 2


@dataclass(frozen=True, slots=True)
class Stored:
    """How far a stream is stored, as sequences. None: no such consumer yet.

    `writer` is exact. `slowest` is the least of all durable consumers'; of one that reads only
    some subjects nobody can say more than that what it still waits for lies behind its floor.
    """

    writer: int | None = None
    slowest: int | None = None
    slowest_name: str | None = None


class StoredPositions:
    """Reads them again and again: a consumer is behind when it was so two looks in a row."""

    def __init__(self) -> None:
        self._behind: dict[tuple[str, str], int] = {}

    def judge(self, info: StreamInfo, consumers: Sequence[ConsumerInfo]) -> Stored:
        """Of one look at a stream."""
        name = info.config.name or ""
        floors: dict[str, int] = {}
        for consumer in consumers:
            if consumer.name in _DURABLES:
                floors[consumer.name] = self._floor(name, info, consumer)
        slowest = min(floors, key=lambda one: floors[one], default=None)
        return Stored(
            writer=floors.get(WRITER_CONSUMER),
            slowest=None if slowest is None else floors[slowest],
            slowest_name=slowest,
        )

    def _floor(self, stream: str, info: StreamInfo, consumer: ConsumerInfo) -> int:
        last = info.state.last_seq
        waiting = (consumer.num_pending or 0) + (consumer.num_ack_pending or 0)
        key = (stream, consumer.name)
        if not waiting:
            self._behind.pop(key, None)
            return last
        floor = 0 if consumer.ack_floor is None else consumer.ack_floor.stream_seq
        if consumer.name == WRITER_CONSUMER:
            return floor
        looks = self._behind[key] = self._behind.get(key, 0) + 1
        # What it does not read may lie between its floor and the stream's first message.
        return max(floor, info.state.first_seq - 1) if looks >= _LOOKS_TO_BE_BEHIND else last


async def stream_infos(js: JetStreamContext) -> Mapping[str, StreamInfo]:
    """All streams of the account by name. Raises nats errors."""
    found: dict[str, StreamInfo] = {}
    while True:
        page = await js.streams_info(offset=len(found))
        new = {info.config.name: info for info in page if info.config.name is not None}
        if not new.keys() - found.keys():
            return found
        found |= new


async def consumers_of(js: JetStreamContext, stream: str) -> list[ConsumerInfo]:
    """The first 256 consumers of a stream; none when it is gone. Raises other nats errors."""
    try:
        return await js.consumers_info(stream)
    except NotFoundError:
        return []


async def live_state(js: JetStreamContext, info: StreamInfo, stored: int | None) -> StreamState:
    """The planner's view of a stream, with the times of its ends. Raises nats errors."""
    state, config = info.state, info.config
    name = config.name or ""
    times: list[float | None] = [None, None]
    if state.messages:
        times = [await _published(js, name, one) for one in (state.first_seq, state.last_seq)]
    return StreamState(
        first_sequence=state.first_seq,
        last_sequence=state.last_seq,
        messages=state.messages,
        bytes=state.bytes,
        first_time=times[0],
        last_time=times[1],
        max_bytes=_bound(config.max_bytes),
        max_age_seconds=_bound(config.max_age),
        stored_sequence=stored,
    )


async def _published(js: JetStreamContext, stream: str, sequence: int) -> float | None:
    """When a message was published, Unix seconds; None when it has gone meanwhile."""
    try:
        message = await js.get_msg(stream, seq=sequence)
    except NotFoundError:
        return None
    return None if message.time is None else message.time.timestamp()


def _bound[NumberT: (int, float)](value: NumberT | None) -> NumberT | None:
    return value if value is not None and value > 0 else None
