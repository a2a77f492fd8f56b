import pytest

from fleet_simulator.query import compile_query
from fleet_simulator.tables import TrapError

ROW = {
    b"name": b"ether1",
    b"mtu": b"1500",
    b"running": b"true",
    b"disabled": b"false",
    b"comment": b"a=b",
    b"load": b"2.5",
}


def holds(*words: bytes) -> bool:
    predicate = compile_query(words)
    assert predicate is not None
    return predicate(ROW)


@pytest.mark.parametrize(
    "word",
    [
        b"?name",
        b"?-missing",
        b"?name=ether1",
        b"?=name=ether1",
        b"?comment=a=b",
        b"?running=yes",
        b"?running=true",
        b"?disabled=no",
        b"?<mtu=9000",
        b"?>mtu=900",
        b"?<load=10",
        b"?>load=2.25",
        b"?<name=ether2",
    ],
)
def test_condition_holds(word: bytes) -> None:
    assert holds(word)


@pytest.mark.parametrize(
    "word",
    [
        b"?missing",
        b"?-name",
        b"?name=ether",
        b"?running=no",
        b"?disabled=yes",
        b"?>mtu=9000",
        b"?<mtu=1500",
        b"?>mtu=1500",
        b"?<missing=5",
        b"?>missing=5",
        b"?missing=",
    ],
)
def test_condition_fails(word: bytes) -> None:
    assert not holds(word)


def test_no_query_is_no_test() -> None:
    assert compile_query([]) is None


def test_several_words_are_all_needed() -> None:
    assert holds(b"?name=ether1", b"?mtu=1500")
    assert not holds(b"?name=ether1", b"?mtu=9000")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # The manual's own examples: (type=ether or type=vlan); not; and.
        ((b"?name=ether1", b"?name=vlan1", b"?#|"), True),
        ((b"?name=ether2", b"?name=vlan1", b"?#|"), False),
        ((b"?name=ether1", b"?#!"), False),
        ((b"?name=x", b"?#!"), True),
        ((b"?name=x", b"?mtu=1500", b"?#&!"), True),
        ((b"?name=x", b"?name=y", b"?name=ether1", b"?#|", b"?#|"), True),
        ((b"?name=x", b"?name=y", b"?name=ether1", b"?#||"), True),
        # An index pushes a copy of that value, counted from the top.
        ((b"?name=x", b"?name", b"?#1!"), False),
        ((b"?name=x", b"?name", b"?#1!&|"), True),
        # At the end of a word it replaces the whole stack.
        ((b"?name=x", b"?name", b"?#0"), True),
        ((b"?name=x", b"?name", b"?#1"), False),
        # Far below the bottom everything is true.
        ((b"?name=x", b"?#900"), True),
        # A dot copies the top, but right after an index it does nothing.
        ((b"?name=x", b"?#.&"), False),
        ((b"?name=x", b"?name", b"?#1.|"), False),
        ((b"?name=x", b"?#!.&"), True),
        # Operators on an empty stack meet the endless true values.
        ((b"?#!",), False),
        ((b"?#&",), True),
    ],
)
def test_stack_operators(words: tuple[bytes, ...], expected: bool) -> None:  # noqa: FBT001
    assert holds(*words) is expected


@pytest.mark.parametrize("word", [b"?#~", b"?#1x", b"?#99999"])
def test_unknown_operator_is_a_trap(word: bytes) -> None:
    with pytest.raises(TrapError) as error:
        compile_query([b"?name", word])
    assert error.value.category == 1
