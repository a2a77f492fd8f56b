"""One pod more while the only one is replaced, and only then."""

from typing import Any

from fleet_operator.surge import SURGE_SECONDS, Surges
from fleet_operator.workloads import TEMPLATE_ANNOTATION


def stateful_set(
    *, template: str | None = "old", revisions: str = "aa", ready: int = 1, generation: int = 3
) -> dict[str, Any]:
    """As the API server has it; its controller has seen generation 3, `revisions`: now, next."""
    annotations = {} if template is None else {TEMPLATE_ANNOTATION: template}
    current, update = revisions
    return {
        "metadata": {"annotations": annotations, "generation": generation},
        "status": {
            "observedGeneration": 3,
            "readyReplicas": ready,
            "currentRevision": current,
            "updateRevision": update,
        },
    }


class SetClock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_lasts_from_the_new_template_to_the_last_new_pod() -> None:
    surges = Surges()
    seen = [
        surges.shards("uid", live, "new", 1)
        for live in (
            stateful_set(),
            stateful_set(template="new", generation=4),
            stateful_set(template="new", revisions="ab", ready=2),
            stateful_set(template="new", revisions="ab", ready=1),
            stateful_set(template="new", revisions="bb", ready=2),
            stateful_set(template="new", revisions="bb", ready=2, generation=4),
        )
    ]
    assert seen == [1, 1, 1, 1, 0, 0]


def test_a_fleet_that_stays_as_it_is_has_none() -> None:
    surges = Surges()
    assert surges.shards("uid", stateful_set(template="new"), "new", 1) == 0
    assert surges.shards("uid", stateful_set(template="new", generation=4), "new", 1) == 0
    assert surges.shards("uid", None, "new", 1) == 0
    assert surges.shards("uid", stateful_set(template=None), "new", 1) == 0


def test_with_more_shards_or_none_the_others_do_it_or_nobody_polls() -> None:
    surges = Surges()
    for wanted in (0, 2, 7):
        assert surges.shards("uid", stateful_set(), "new", wanted) == 0
    assert surges.shards("uid", stateful_set(ready=0), "new", 1) == 0


def test_an_operator_that_comes_back_meanwhile_goes_on() -> None:
    assert Surges().shards("uid", stateful_set(template="new", revisions="ab"), "new", 1) == 1


def test_without_room_for_one_more_pod_the_old_one_is_replaced_all_the_same() -> None:
    clock = SetClock()
    surges = Surges(clock)
    rolling = stateful_set(template="new", revisions="ab")
    assert surges.shards("uid", rolling, "new", 1) == 1
    clock.now += SURGE_SECONDS
    assert surges.shards("uid", rolling, "new", 1) == 0
    clock.now += SURGE_SECONDS
    assert surges.shards("uid", rolling, "new", 1) == 0
    assert surges.shards("uid", rolling, "newer", 1) == 1, "another template is another try"
