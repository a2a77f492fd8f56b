import math
from collections.abc import Iterable
from random import Random

import pytest

from fleet_simulator.fault_jobs import padded
from fleet_simulator.faults import (
    Fault,
    FaultBook,
    FaultError,
    FaultRule,
    draw,
    parse_plan,
    parse_rule,
)


def test_rule_is_read_from_a_mapping() -> None:
    rule = parse_rule(
        {"kind": "stall-inside", "probability": 0.25, "devices": ["ap-*"], "seconds": 3, "after": 1}
    )

    assert rule == FaultRule(Fault.STALL_INSIDE, 0.25, devices=("ap-*",), seconds=3, after=1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("cut", "mapping"),
        ({}, "unknown fault None"),
        ({"kind": "explode"}, "unknown fault 'explode'; known are offline"),
        ({"kind": "cut", "chance": 1}, "unknown field 'chance'"),
        ({"kind": "cut", "probability": 2}, "cut: probability must be between 0 and 1"),
        ({"kind": "cut", "probability": "often"}, "cut: probability must be a number"),
        ({"kind": "cut", "probability": True}, "cut: probability must be a number"),
        ({"kind": "cut", "after": None}, "cut: after must be a number"),
        ({"kind": "huge", "rows": math.inf}, "huge: rows must be a number"),
        ({"kind": "cut", "devices": 5}, "devices must be text"),
        ({"kind": "latency", "seconds": -1}, "latency: seconds must be a number, 0 or more"),
        ({"kind": "latency", "seconds": float("nan")}, "latency: seconds"),
        ({"kind": "trickle", "rate": 0}, "trickle: rate"),
        ({"kind": "huge", "rows": 10**9}, "huge: rows"),
        ({"kind": "trap", "message": 5}, "trap: message must be text"),
    ],
)
def test_wrong_rule_is_refused_naming_the_field(value: object, said: str) -> None:
    with pytest.raises(FaultError, match=said):
        parse_rule(value)


@pytest.mark.parametrize(
    "document", [None, [], {"fault": []}, {"faults": {}}, {"faults": [], "x": 1}]
)
def test_wrong_plan_is_refused(document: object) -> None:
    with pytest.raises(FaultError, match="fault plan"):
        parse_plan(document)


@pytest.mark.parametrize(
    ("patterns", "concerned"),
    [
        (("*",), True),
        (("ap-*",), True),
        (("acme/ap-001",), True),
        (("other/*",), False),
        ((), False),
    ],
)
def test_devices_are_matched_by_name_or_with_their_tenant(
    patterns: tuple[str, ...],
    concerned: bool,  # noqa: FBT001
) -> None:
    assert FaultRule(Fault.CUT, devices=patterns).concerns("acme", "ap-001") is concerned


def test_rules_hold_within_their_window() -> None:
    rule = FaultRule(Fault.CUT, after=10, lasting=5)
    book = FaultBook([rule])

    held = [bool(book.for_device("acme", "r", at)) for at in (0, 9.9, 10, 14.9, 15, 99)]

    assert held == [False, False, True, True, False, False]
    assert [book.next_change(at) for at in (0, 10, 15)] == [10, 15, None]


def test_book_tells_of_each_change_and_removes_by_kind_and_device() -> None:
    seen: list[int] = []
    book = FaultBook()
    book.subscribe(lambda: seen.append(len(book.rules)))
    book.add(FaultRule(Fault.CUT))
    book.add(FaultRule(Fault.TRAP, devices=("r-1",)))
    book.add(FaultRule(Fault.TRAP))

    assert book.remove(Fault.TRAP, "r-1") == 1
    assert book.remove(Fault.CUT) == 1
    assert book.remove() == 1
    assert seen == [1, 2, 3, 2, 1, 0]


def test_draws_repeat_with_the_seed_and_follow_the_probability() -> None:
    rules = [FaultRule(Fault.CUT, 0.25), FaultRule(Fault.TRAP, 1.0), FaultRule(Fault.FATAL, 0.0)]

    def counts(seed: int) -> list[int]:
        chance = Random(seed)  # noqa: S311 - repeatable, no secret
        struck = [rule.kind for _ in range(4000) for rule in draw(rules, chance)]
        return [struck.count(rule.kind) for rule in rules]

    assert counts(1) == counts(1)
    cut, trap, fatal = counts(1)
    assert 850 < cut < 1150
    assert (trap, fatal) == (4000, 0)


def ids(rows: Iterable[object]) -> list[object]:
    return [row[b".id"] for row in rows if isinstance(row, dict)]


def test_huge_table_has_the_rows_asked_for_and_ids_of_their_own() -> None:
    rows = [{b".id": b"*A", b"name": b"a"}, {b".id": b"*3", b"name": b"b"}]

    table = padded(rows, 1000)

    assert len(table) == 1000
    assert list(table[:2]) == rows
    assert len(set(ids(table))) == 1000
    assert {row[b"name"] for row in table} == {b"a", b"b"}


def test_tables_without_ids_and_empty_ones_are_not_enlarged() -> None:
    assert padded([], 10) == []
    assert padded([{b"uptime": b"1s"}], 10) == [{b"uptime": b"1s"}]
