"""Conditions of fleets of which not everything is known, or not everything has room."""

from dataclasses import replace

from fleet_operator.fleets import Fleets, Known
from fleet_operator.kinds import ROUTER_FLEET
from fleet_operator.status import ConditionStatus, ConditionType, Verdict
from fleet_operator.store import Store
from fleet_operator.verdicts import Situation, verdicts
from support.operator_fleets import Document, fleet_document

READY, SHARDS, INVENTORY = (
    ConditionType.READY,
    ConditionType.SHARDS_READY,
    ConditionType.INVENTORY_VALID,
)
GONE_MAP = {"devicesFrom": [{"configMapRef": {"name": "gone"}}]}


def known(document: Document) -> Known:
    store = Store(lambda: None)
    store.put(ROUTER_FLEET, document)
    (one,) = Fleets(store).read()
    return one


def after_a_restart(**spec: object) -> Known:
    """Devices that an earlier run of the operator knew of are in a ConfigMap that is away."""
    document = fleet_document(spec={**GONE_MAP, **spec})
    return known({**document, "status": {"devices": {"total": 2}}})


def situation(one: Known) -> Situation:
    return Situation(
        known=one,
        secret_problems=(),
        rejected=(),
        plan=None,
        live_max_bytes=None,
        stream_trouble=None,
        shards_wanted=0,
        shards_ready=0,
        shards_there=0,
        refused=(),
        left_out=0,
        assigning_trouble=None,
    )


def judged(one: Situation) -> dict[ConditionType, Verdict]:
    return {verdict.type: verdict for verdict in verdicts(one)}


def test_shards_of_a_fleet_whose_devices_are_unknown_are_not_said_to_be_ready() -> None:
    found = judged(situation(after_a_restart()))
    assert found[SHARDS].status is ConditionStatus.UNKNOWN
    assert found[SHARDS].reason == found[READY].reason
    assert found[READY].status is ConditionStatus.FALSE


def test_a_suspended_fleet_wants_no_shard_whatever_its_devices_are() -> None:
    one = after_a_restart(suspend=True)
    assert one.rests
    assert judged(situation(one))[SHARDS].status is ConditionStatus.TRUE


def test_devices_without_room_are_counted_and_the_bucket_named() -> None:
    found = judged(replace(situation(known(fleet_document())), left_out=7))
    for kind in (READY, INVENTORY):
        assert (found[kind].status, found[kind].reason) == (ConditionStatus.FALSE, "InventoryFull")
        assert "fleet-inventory has no room for 7 devices" in found[kind].message


def test_entries_that_are_wrong_are_named_beside_devices_without_room() -> None:
    wrong = known(fleet_document(spec={"devices": [{"name": "NO"}]}))
    found = judged(replace(situation(wrong), left_out=7))
    assert "no room for 7 devices" in found[INVENTORY].message
    assert "devices[0]" in found[INVENTORY].message
