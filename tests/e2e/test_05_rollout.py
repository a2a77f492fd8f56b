"""Pods that are replaced or taken away as planned: no slot is lost beyond the handover.

The bound: a device that is handed over misses no slot; where nobody can take it over in time
(a pod that could not wait, a busy machine), at most one, and a poller names it.
"""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from e2e import readings
from e2e.commands import get, kubectl, wait_until
from e2e.expectations import wait_for_condition, wait_for_shards
from e2e.site import GROWN, Site
from e2e.slots import Account, SlotWatch

_ROLLED_SECONDS = 200.0
_MOST_SHARE_MISSING = 0.02
POLLER_CPU = "100m"
"""A limit that makes a poller slow to start, and easy to saturate."""
CHANGES: dict[str, Any] = {
    "poller": {"resources": {"limits": {"cpu": POLLER_CPU, "memory": "384Mi"}}},
    "operator": {
        "env": {
            "FLEET_OPERATOR__SATURATED_SECONDS": "15",
            "FLEET_OPERATOR__CALM_SECONDS": "30",
        }
    },
}


@pytest.mark.timeout(480)
def test_a_rolling_update_loses_no_slot_beyond_the_handover(site: Site) -> None:
    site.apply_grown()
    for tenant, count in (("north", 3), ("south", 1), ("east", 1)):
        wait_for_shards(site, tenant, count, seconds=120)
    before = {tenant: _revision(site, tenant) for tenant in GROWN}
    watch = SlotWatch(site)
    readings.wait_for_fresh(site, GROWN, seconds=60, what="all devices before the update")
    began = time.monotonic()
    site.install(CHANGES)

    def rolled() -> Mapping[str, object]:
        watch.read_logs()
        return {
            tenant: status
            for tenant in GROWN
            if (status := _rolling(site, tenant, before[tenant])) is not None
        }

    wait_until(rolled, lambda left: not left, seconds=_ROLLED_SECONDS, what="all pods are new")
    site.note("rollout_seconds", time.monotonic() - began)
    for tenant in GROWN:
        wait_for_condition(site, tenant, "Ready", seconds=60)
    _check(site, watch, "rollout")


@pytest.mark.timeout(300)
def test_three_shards_drained_to_one_lose_and_double_nothing(site: Site) -> None:
    namespace = site.namespace_of("south")
    kubectl("-n", namespace, "scale", "routerfleet/south", "--replicas=3")
    wait_for_shards(site, "south", 3, seconds=120)
    readings.wait_for_fresh(site, GROWN, seconds=60, what="all devices polled by three shards")
    watch = SlotWatch(site, ["south"])
    readings.wait_for_fresh(site, GROWN, seconds=60, what="all devices before the drain")
    began = time.monotonic()
    kubectl("-n", namespace, "scale", "routerfleet/south", "--replicas=1")

    def pods() -> int:
        watch.read_logs()
        return get("statefulset", "south-shard", namespace)["status"].get("replicas", 0)

    wait_until(pods, lambda count: count == 1, seconds=120, what="one pod of south")
    site.note("drain_3_to_1_seconds", time.monotonic() - began)
    found = _check(site, watch, "drain")
    assert found.worst == 0, "three shards that live hand over without a gap"


def _check(site: Site, watch: SlotWatch, what: str) -> Account:
    """Nothing double, next to nothing missing, all of that named; and everything balances."""
    readings.wait_for_fresh(site, GROWN, seconds=60, what=f"all devices after the {what}")
    found = watch.account()
    site.note(f"{what}_slots_polled", found.polled)
    site.note(f"{what}_slots_missing", len(found.missing))
    site.note(f"{what}_slots_missing_unnamed", len(found.unnamed))
    site.note(f"{what}_slots_missing_of_one_device", found.worst)
    site.note(f"{what}_slots_double", found.doubles)
    assert found.doubles == 0
    assert found.worst <= 1, sorted(found.missing)
    assert len(found.missing) <= _MOST_SHARE_MISSING * found.polled, sorted(found.missing)
    assert not found.unnamed, sorted(found.unnamed)
    verified = site.verify()
    assert verified["unaccounted"] == 0
    assert {one["lost"] for one in verified["streams"].values()} == {0}
    return found


def _revision(site: Site, tenant: str) -> str:
    name, namespace = f"{tenant}-shard", site.namespace_of(tenant)
    return get("statefulset", name, namespace)["status"]["updateRevision"]


def _rolling(site: Site, tenant: str, before: str) -> object:
    """None once all pods are of a new revision, and as many as are planned."""
    live = get("statefulset", f"{tenant}-shard", site.namespace_of(tenant))
    status, wanted = live["status"], site.status(tenant)["shards"]["wanted"]
    done = (
        status["updateRevision"] != before
        and status["currentRevision"] == status["updateRevision"]
        and status.get("readyReplicas") == status.get("replicas") == wanted
        and status["observedGeneration"] == live["metadata"]["generation"]
    )
    return None if done else status
