"""A hundred fleets of a hundred devices without pods: what the operator costs while they rest."""

import time

import pytest

from e2e.commands import Document, apply, get_all, kubectl, wait_until
from e2e.site import Site
from support.cold_memory import touch_cost

_FLEETS = 100
_DEVICES = 100
_WATCHED_SECONDS = 60.0
_QUIET_SECONDS = 15.0
_TARGET = {"crowd_operator_cpu_percent": 2.0, "crowd_operator_rss_mb": 150.0}
_GROSS = {"crowd_operator_cpu_percent": 4.0, "crowd_operator_rss_mb": 2.5}
"""The figures are printed beside their targets, and beside what the machine makes of memory left
alone, which is most of what a process at rest pays; a step fails only far beyond them. There are
also three fleets at work, and all that the steps before did. A hundred fleets alone:
tests/cluster/test_operator_hundred.py."""


@pytest.mark.timeout(420)
def test_a_hundred_resting_fleets_cost_little(site: Site) -> None:
    namespace = site.options.crowd
    began = time.monotonic()
    for first in range(0, _FLEETS, 20):
        apply([_fleet(number) for number in range(first, first + 20)], namespace, seconds=120)
    wait_until(
        lambda: _sized(namespace),
        lambda count: count == _FLEETS,
        seconds=180,
        every_seconds=2,
        what="a hundred fleets with streams",
    )
    site.note("crowd_applied_to_sized_seconds", time.monotonic() - began)
    # Some seconds after everything else.
    wait_until(
        lambda: _counted(namespace),
        lambda count: count == _FLEETS,
        seconds=60,
        every_seconds=2,
        what="the first count of every fleet's devices",
    )
    _settle(namespace)
    before, seen, versions = site.metrics("operator"), time.monotonic(), _versions(namespace)
    while (rest := seen + _WATCHED_SECONDS - time.monotonic()) > 0:
        time.sleep(min(rest, 5))
    after, lasted = site.metrics("operator"), time.monotonic() - seen
    share = (after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]) / lasted
    memory = after["process_resident_memory_bytes"]
    seen_figures = dict(zip(_TARGET, (share * 100, memory / 1e6), strict=True))
    for name, figure in seen_figures.items():
        site.note(name, figure)
        site.note(f"{name}_target", _TARGET[name])
    site.note("machine_page_after_rest_us", touch_cost().cold)
    changed = {name for name, version in _versions(namespace).items() if versions[name] != version}
    site.note("crowd_objects_written_at_rest", len(changed))
    assert not changed
    beyond = {name: one for name, one in seen_figures.items() if one > _GROSS[name] * _TARGET[name]}
    assert not beyond


@pytest.mark.timeout(300)
def test_a_hundred_fleets_go_again(site: Site) -> None:
    namespace = site.options.crowd
    began = time.monotonic()
    kubectl("-n", namespace, "delete", "routerfleets", "--all", "--timeout=200s", seconds=220)
    site.note("crowd_deleted_seconds", time.monotonic() - began)


def _settle(namespace: str) -> None:
    """What the start left to do is no part of resting: wait until nothing is written."""
    last: dict[str, str] = {}

    def unchanged() -> bool:
        nonlocal last
        before, last = last, _versions(namespace)
        return before == last

    wait_until(
        unchanged, bool, seconds=120, every_seconds=_QUIET_SECONDS, what="a hundred fleets at rest"
    )


def _sized(namespace: str) -> int:
    return sum(
        any(
            one["type"] == "StreamSized" and one["status"] == "True"
            for one in fleet.get("status", {}).get("conditions", [])
        )
        for fleet in get_all("routerfleets", namespace)
    )


def _counted(namespace: str) -> int:
    return sum(
        fleet.get("status", {}).get("devices", {}).get("up") is not None
        for fleet in get_all("routerfleets", namespace)
    )


def _versions(namespace: str) -> dict[str, str]:
    return {
        f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"]
        for one in get_all("routerfleets,statefulsets,services,configmaps", namespace)
    }


def _fleet(number: int) -> Document:
    return {
        "apiVersion": "routerfleet.io/v1alpha1",
        "kind": "RouterFleet",
        "metadata": {"name": f"crowd-{number:03}"},
        "spec": {
            "credentials": {"secretRef": {"name": "crowd"}},
            "shards": {"replicas": 0},
            "deletionPolicy": "Delete",
            "devices": [
                {"name": f"router-{device:03}", "address": f"192.0.2.{device}"}
                for device in range(_DEVICES)
            ],
        },
    }
