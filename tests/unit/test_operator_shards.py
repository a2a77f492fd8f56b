"""How many of the wanted shards poll, and which devices they are asked to."""

import pytest

from fleet_common.assigner import Step
from fleet_common.liveness import State
from fleet_contracts.subjects import DeviceId
from fleet_operator.assigning import Ask, Found
from fleet_operator.fleets import Fleets
from fleet_operator.kinds import ROUTER_FLEET
from fleet_operator.scaling import Pace
from fleet_operator.shards import Shards, polling
from fleet_operator.store import Store
from support.operator_fleets import fleet_document

ALIVE = {f"shard-{ordinal}": State.ALIVE for ordinal in range(3)}


@pytest.mark.parametrize(
    ("replicas", "ready", "wanted", "states", "expected"),
    [
        (3, 3, 3, ALIVE, 3),
        (3, 3, 2, ALIVE, 2),
        (3, 2, 2, {**ALIVE, "shard-1": State.DEAD}, 1),
        (3, 3, 2, None, 2),
        (2, 1, 2, ALIVE, 1),
        (3, 0, 2, ALIVE, 0),
        (3, 3, 0, ALIVE, 0),
    ],
    ids=[
        "all", "one leaves", "one leaves and one is down", "one leaves, nobody says more",
        "one is not ready", "none is ready", "none is wanted",
    ],
)  # fmt: skip
def test_only_wanted_shards_count_as_polling(
    replicas: int, ready: int, wanted: int, states: dict[str, State] | None, expected: int
) -> None:
    status = {"replicas": replicas, "readyReplicas": ready}
    assert polling(status, wanted, states) == expected


def test_devices_without_a_record_are_assigned_to_nobody() -> None:
    store = Store(lambda: None)
    store.put(ROUTER_FLEET, fleet_document(devices=3))
    (known,) = Fleets(store).read()
    shards = Shards(store, Pace(), lambda _: {DeviceId("r1")})
    assert shards.ask(known).devices == ("r0", "r2")


@pytest.mark.parametrize(("settled", "expected"), [(True, frozenset({0})), (False, None)])
def test_nobody_is_taken_away_while_one_may_still_poll_what_it_has_no_more(
    *, settled: bool, expected: frozenset[int] | None
) -> None:
    shares = {"shard-0": (DeviceId("r0"),), "shard-1": ()}
    step = Step(ALIVE, shares, 0, settled=settled)
    assert Found(Ask((DeviceId("r0"),), ("shard-0",)), step, at=0.0).holding == expected
