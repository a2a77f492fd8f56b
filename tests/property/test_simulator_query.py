"""Queries against two models: boolean expressions, and a stack that really is deep."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from fleet_simulator.query import compile_query

type Row = dict[bytes, bytes]

NAMES = [b"a", b"b", b"c"]
ASCII = st.characters(codec="ascii")
rows: st.SearchStrategy[Row] = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from([b"1", b"2", b"10", b"yes", b"true", b"no", b"x"])
)


@dataclass(frozen=True)
class Expression:
    """Query words and, computed another way, whether a row matches them."""

    words: tuple[bytes, ...]
    value: Callable[[Row], bool]


def equal(name: bytes, value: bytes) -> Expression:
    same = {b"yes": {b"yes", b"true"}, b"true": {b"yes", b"true"}, b"no": {b"no", b"false"}}
    return Expression(
        (b"?%b=%b" % (name, value),), lambda row: row.get(name) in same.get(value, {value})
    )


def has(name: bytes) -> Expression:
    return Expression((b"?" + name,), lambda row: name in row)


def lacks(name: bytes) -> Expression:
    return Expression((b"?-" + name,), lambda row: name not in row)


def below(name: bytes, bound: int) -> Expression:
    def value(row: Row) -> bool:
        present = row.get(name)
        if present is None:
            return False
        return int(present) < bound if present.isdigit() else present < b"%d" % bound

    return Expression((b"?<%b=%d" % (name, bound),), value)


def negate(one: Expression) -> Expression:
    return Expression((*one.words, b"?#!"), lambda row: not one.value(row))


def both(one: Expression, other: Expression) -> Expression:
    return Expression(
        (*one.words, *other.words, b"?#&"), lambda row: one.value(row) and other.value(row)
    )


def either(one: Expression, other: Expression) -> Expression:
    return Expression(
        (*one.words, *other.words, b"?#|"), lambda row: one.value(row) or other.value(row)
    )


names = st.sampled_from(NAMES)
leaves = st.one_of(
    st.builds(equal, names, st.sampled_from([b"1", b"yes", b"true", b"no", b"x"])),
    st.builds(has, names),
    st.builds(lacks, names),
    st.builds(below, names, st.integers(min_value=0, max_value=12)),
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(negate, inner), st.builds(both, inner, inner), st.builds(either, inner, inner)
    ),
    max_leaves=8,
)


@given(st.lists(expressions, min_size=1, max_size=3), rows)
def test_a_postfix_query_means_what_its_expression_means(parts: list[Expression], row: Row) -> None:
    predicate = compile_query([word for part in parts for word in part.words])

    assert predicate is not None
    assert predicate(row) is all(part.value(row) for part in parts)


def run_deep_stack(pushed: list[bool], operators: str) -> bool:
    """The manual's rules, letter by letter, over a stack whose bottom is far away."""
    deep = [True] * 200 + pushed
    index = ""
    after_index = False
    for letter in operators:
        if letter.isdigit():
            index += letter
            continue
        if index:
            deep.append(deep[-1 - int(index)])
            index, after_index = "", True
        if letter == "!":
            deep[-1] = not deep[-1]
        elif letter in "&|":
            right, left = deep.pop(), deep.pop()
            deep.append((left and right) if letter == "&" else (left or right))
        elif not after_index:
            deep.append(deep[-1])
        after_index = False
    if index:
        deep = [deep[-1 - int(index)]]
    return all(deep)


@given(
    st.lists(st.booleans(), max_size=5),
    st.from_regex(r"([0-9]{0,2}[!&|.]){1,6}[0-9]{0,2}|[0-9]{1,2}", fullmatch=True, alphabet=ASCII),
)
def test_stack_operators_do_what_the_manual_says(pushed: list[bool], operators: str) -> None:
    words = [b"?yes" if value else b"?no" for value in pushed]

    predicate = compile_query([*words, b"?#" + operators.encode()])

    assert predicate is not None
    assert predicate({b"yes": b""}) is run_deep_stack(pushed, operators)
