from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts.subjects import Kind
from fleet_poller.buffer import EventBuffer, Message


def message(number: int, size: int = 10, kind: Kind = Kind.STATUS) -> Message:
    return Message(number, kind, "", b"x" * size, "")


def numbers(buffer: EventBuffer) -> list[int]:
    return [buffer.take().number for _ in range(len(buffer))]


def test_the_oldest_goes_and_is_counted_by_kind() -> None:
    buffer = EventBuffer(2, 1000)
    for number, kind in enumerate([Kind.STATUS, Kind.HEALTH, Kind.HEALTH, Kind.WIRELESS]):
        buffer.append(message(number, kind=kind))

    assert buffer.dropped == {Kind.STATUS: 1, Kind.HEALTH: 1}
    assert numbers(buffer) == [2, 3]


def test_bytes_are_bounded_too() -> None:
    buffer = EventBuffer(1000, 25)
    for number in range(4):
        buffer.append(message(number))

    assert buffer.bytes == 20
    assert numbers(buffer) == [2, 3]


def test_what_comes_back_takes_its_old_place() -> None:
    buffer = EventBuffer(10, 1000)
    for number in range(5):
        buffer.append(message(number))
    taken = [buffer.take() for _ in range(3)]
    buffer.append(message(5))
    buffer.put_back([taken[2], taken[0]])

    assert numbers(buffer) == [0, 2, 3, 4, 5]
    assert buffer.bytes == 0


@given(st.lists(st.sampled_from(["append", "take", "put_back"]), max_size=60))
def test_nothing_is_lost_without_being_counted(actions: list[str]) -> None:
    buffer, taken, accepted, number = EventBuffer(5, 45), list[Message](), 0, 0
    for action in actions:
        if action == "append":
            number += 1
            buffer.append(message(number))
        elif action == "take" and buffer:
            taken.append(buffer.take())
        elif action == "put_back":
            buffer.put_back(taken)
            taken.clear()
        assert len(buffer) <= 4
        assert buffer.bytes == 10 * len(buffer)
    accepted = number
    assert accepted == len(buffer) + len(taken) + sum(buffer.dropped.values())
