"""A poller that has too much to do gets help, and loses it again when the work is over.

Saturated for certain: the rollout's CPU limit, and an interval that needs more than it.
"""

import time

import pytest

from e2e import readings
from e2e.commands import get, wait_until
from e2e.expectations import wait_for_condition, wait_for_shards
from e2e.site import GROWN, Site

_BUSY_INTERVAL = "250ms"
_CALM_INTERVAL = "10s"
"""Far below the limit on any machine; the interval of the other steps is not, on a slow one."""
_MOST_SHARDS = 2
_QUIET_SECONDS = 25.0


@pytest.mark.timeout(480)
def test_a_saturated_poller_gets_a_shard_more_and_loses_it_when_the_load_goes(site: Site) -> None:
    _apply(site)
    site.forget_scale("south")
    wait_for_shards(site, "south", 1, seconds=120)
    _apply(site, cadence={"interval": _BUSY_INTERVAL})
    took = wait_for_shards(site, "south", _MOST_SHARDS, seconds=180)
    site.note("saturated_to_shard_added_seconds", took)
    _stays(site, _MOST_SHARDS)
    _apply(site, cadence={"interval": _CALM_INTERVAL})
    site.note("calm_to_shard_removed_seconds", wait_for_shards(site, "south", 1, seconds=180))
    wait_until(
        lambda: get("statefulset", "south-shard", site.namespace_of("south"))["status"],
        lambda status: status.get("replicas") == 1,
        seconds=60,
        what="one pod of south",
    )
    _stays(site, 1)
    _apply(site)
    wait_for_condition(site, "south", "Ready", seconds=60)
    readings.wait_for_fresh(site, GROWN, seconds=60, what="all devices after the load")
    assert site.verify()["unaccounted"] == 0


def _apply(site: Site, **spec: object) -> None:
    bounds = {"max": _MOST_SHARDS}
    site.apply_fleet("south", GROWN["south"], deletionPolicy="Delete", shards=bounds, **spec)


def _stays(site: Site, count: int) -> None:
    """No swinging: for longer than it takes to add one, the number is the same."""
    until = time.monotonic() + _QUIET_SECONDS
    while time.monotonic() < until:
        assert site.status("south")["shards"]["wanted"] == count
        time.sleep(2)
