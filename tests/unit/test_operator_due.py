"""When the controller passes though nothing rang: as seldom as nothing can have come of it."""

from types import SimpleNamespace
from typing import cast

import pytest

from fleet_operator.due import Due
from fleet_operator.parts import Parts

LOOK_SECONDS = 10.0
MOST_SECONDS = 20.0


class Operator:
    """What `Due` reads of the parts, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.seen: dict[str, int] = {}
        self.reporter = SimpleNamespace(figures_seconds=30.0, all_told=True)
        self.assigning = SimpleNamespace(busy=False, steps=0)
        self.broker = SimpleNamespace(due_at=self.now, state=SimpleNamespace(seen=self.seen))
        pods = object()
        parts = SimpleNamespace(
            reporter=self.reporter,
            assigning=self.assigning,
            broker=self.broker,
            pods=SimpleNamespace(now=lambda: pods),
        )
        self.due = Due(cast("Parts", parts), most_seconds=MOST_SECONDS, clock=lambda: self.now)

    def whole_pass(self, *, ready: bool = True) -> None:
        self.due.begun()
        if ready:
            self.due.all_ready()

    def passes(self, seconds: float) -> list[float]:
        """When it makes whole passes, if every one finds all fleets as they were."""
        began, found = self.now, list[float]()
        while self.now < began + seconds:
            self.broker.due_at = self.now + LOOK_SECONDS
            self.now += self.due.pause(settled=True)
            if self.due.whole():
                self.whole_pass()
                found.append(self.now - began)
        return found


@pytest.fixture
def operator() -> Operator:
    operator = Operator()
    operator.whole_pass()
    return operator


def test_at_rest_it_wakes_for_looks_and_passes_every_two_minutes(operator: Operator) -> None:
    operator.broker.due_at = operator.now + LOOK_SECONDS
    assert operator.due.pause(settled=True) == LOOK_SECONDS
    assert operator.passes(600) == [120, 240, 360, 480, 600]


def test_however_seldom_it_looks_it_shows_that_it_does_not_hang(operator: Operator) -> None:
    operator.broker.due_at = operator.now + 300
    assert operator.due.pause(settled=True) == MOST_SECONDS


def test_it_wakes_every_two_seconds_while_there_is_something_to_do(operator: Operator) -> None:
    operator.broker.due_at = operator.now + LOOK_SECONDS
    assert operator.due.pause(settled=False) == 2
    operator.assigning.busy = True
    assert operator.due.pause(settled=True) == 2


def test_while_a_fleet_is_not_ready_all_are_looked_at_every_ten_seconds(
    operator: Operator,
) -> None:
    operator.whole_pass(ready=False)
    operator.now += 9
    assert not operator.due.whole()
    operator.now += 1
    assert operator.due.whole()


@pytest.mark.parametrize("what", ["stream", "step", "untold"])
def test_what_figures_follow_from_makes_a_pass_when_figures_are_due(
    operator: Operator, what: str
) -> None:
    match what:
        case "stream":
            operator.broker.state.seen = {"north": 1}
        case "step":
            operator.assigning.steps = 1
        case _:
            operator.reporter.all_told = False
    operator.now += 29
    assert not operator.due.whole()
    operator.now += 1
    assert operator.due.whole()


def test_first_figures_do_not_wait_as_long(operator: Operator) -> None:
    operator.reporter.figures_seconds, operator.reporter.all_told = 5.0, False
    operator.whole_pass()
    assert operator.passes(30) == [10, 20, 30]
