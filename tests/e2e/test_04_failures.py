"""Pods that go away, one after the other: whatever happened, every message is accounted for."""

import pytest

from e2e import readings
from e2e.commands import get, kubectl, wait_until
from e2e.expectations import wait_for_condition, wait_for_shards
from e2e.site import GROWN, RELEASE, Site

_BACK_SECONDS = 120.0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", ["poller", "poller-killed", "writer", "nats", "postgresql"])
def test_accounts_balance_after_a_pod_was_deleted(site: Site, part: str) -> None:
    namespace, target, options = {
        "poller": (site.namespace_of("north"), "pod/north-shard-0", ()),
        "poller-killed": (
            site.namespace_of("north"),
            "pod/north-shard-1",
            ("--grace-period=0", "--force"),
        ),
        "writer": (site.options.system, _selected("writer"), ()),
        "nats": (site.options.system, f"pod/{RELEASE}-nats-0", ()),
        "postgresql": (site.options.system, f"pod/{RELEASE}-postgresql-0", ()),
    }[part]
    words = target.split() if target.startswith("pods ") else [target]
    kubectl("-n", namespace, "delete", *words, *options, "--wait=true", seconds=90)
    took = readings.wait_for_fresh(
        site, GROWN, seconds=_BACK_SECONDS, what=f"all devices in the tables after {part} went"
    )
    site.note(f"{part}_deleted_to_all_devices_stored_seconds", took)
    found = site.verify()
    assert found["unaccounted"] == 0
    assert {one["lost"] for one in found["streams"].values()} == {0}


@pytest.mark.timeout(300)
def test_an_operator_that_comes_back_takes_up_what_it_missed(site: Site) -> None:
    kubectl(
        "-n", site.options.system, "delete", *_selected("operator").split(), "--wait=true",
        "--grace-period=1", seconds=90,
    )  # fmt: skip
    kubectl("-n", site.namespace_of("south"), "scale", "routerfleet/south", "--replicas=2")
    wait_for_shards(site, "south", 2, seconds=_BACK_SECONDS)
    for tenant in GROWN:
        wait_for_condition(site, tenant, "Ready", seconds=_BACK_SECONDS)
    readings.wait_for_fresh(site, GROWN, seconds=60, what="all devices after the operator went")
    assert site.verify()["unaccounted"] == 0


def test_nothing_else_was_restarted(site: Site) -> None:
    """A broker or database that is away for a while is no reason to end."""
    for component in ("writer", "gateway", "firmware", "operator"):
        deployment = get("deployment", f"{RELEASE}-{component}", site.options.system)
        wait_until(
            lambda name=component: get("deployment", f"{RELEASE}-{name}", site.options.system)[
                "status"
            ].get("readyReplicas"),
            lambda ready, wanted=deployment["spec"]["replicas"]: ready == wanted,
            seconds=60,
            what=f"{component} ready",
        )
        said = kubectl(
            "-n", site.options.system, "get", *_selected(component).split(),
            "-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}",
        )  # fmt: skip
        assert set(said.split()) == {"0"}, component


def _selected(component: str) -> str:
    return f"pods -l app.kubernetes.io/part-of=routerfleet,app.kubernetes.io/component={component}"
