import pytest

from fleet_simulator.command import CommandReader, parse
from fleet_simulator.jobs import parse_duration
from fleet_simulator.tables import TrapError


def test_words_are_sorted_into_path_arguments_query_and_proplist() -> None:
    command = parse(
        [
            b"/ip/route/print",
            b"=count-only",
            b"?connect=yes",
            b"=.proplist=a,b,,c",
            b"?#!",
            b"=x=y=z",
        ]
    )

    assert (command.path, command.name) == ("/ip/route", "print")
    assert command.arguments == {b"count-only": b"", b"x": b"y=z"}
    assert command.queries == (b"?connect=yes", b"?#!")
    assert command.proplist == (b"a", b"b", b"c")
    assert command.counts_only


def test_login_has_the_empty_path() -> None:
    command = parse([b"/login", b"=name=", b"=password=x"])

    assert (command.path, command.name) == ("", "login")
    assert command.arguments == {b"name": b"", b"password": b"x"}


@pytest.mark.parametrize("position", [1, 2, 3])
def test_tag_is_found_wherever_it_stands(position: int) -> None:
    words = [b"/interface/print", b"=.proplist=name", b"?name=x"]
    words.insert(position, b".tag=7=8")

    command, tag = CommandReader().read(words)

    assert tag == b"7=8"
    assert command == parse([b"/interface/print", b"=.proplist=name", b"?name=x"])


def test_same_words_give_the_same_command_and_other_words_another() -> None:
    reader = CommandReader()

    first, _ = reader.read([b"/interface/print", b".tag=1"])
    second, _ = reader.read([b"/interface/print", b".tag=2"])
    third, _ = reader.read([b"/interface/print", b"=detail="])

    assert first is second
    assert third != first


def test_passwords_are_not_kept() -> None:
    reader = CommandReader()
    words = [b"/login", b"=name=a", b"=password=b"]

    assert reader.read(words)[0] is not reader.read(words)[0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(b"2s", 2), (b"2", 2), (b"1m30s", 90), (b"500ms", 0.5), (b"00:01:02", 62), (b"1d1h", 90000)],
)
def test_duration(text: bytes, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", [b"", b"s", b"2x", b"\xff", b"1:2"])
def test_bad_duration_is_a_trap(text: bytes) -> None:
    with pytest.raises(TrapError, match="duration"):
        parse_duration(text)
