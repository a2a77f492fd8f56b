"""Three RouterFleets of 101 simulated routers, applied as a user would."""

import time

import pytest

from e2e import readings
from e2e.commands import get_all, kubectl, wait_until
from e2e.expectations import planned_limits, wait_for_condition
from e2e.forward import forwarded
from e2e.image_check import check_image
from e2e.site import DEVICE_MAP, FIRST_DEVICES, FLEETS, RELEASE, Site

_FIRST_ROW_SECONDS = 15.0
_READY_SECONDS = 90.0
_RESTING_PASSES = 15


def test_the_first_row_comes_within_15_seconds(site: Site) -> None:
    with site.database() as url:
        assert "south" not in readings.positions(url)
        began = time.monotonic()
        site.apply_fleet("south", FIRST_DEVICES["south"], deletionPolicy="Delete")
        wait_until(
            lambda: readings.positions(url).get("south"),
            lambda position: position is not None and position.events_stored > 0,
            seconds=60,
            every_seconds=0.1,
            what="the first row of south",
        )
        took = time.monotonic() - began
    site.note("apply_to_first_row_seconds", took)
    assert took <= _FIRST_ROW_SECONDS


def test_all_three_become_ready(site: Site) -> None:
    site.apply_fleet("north", FIRST_DEVICES["north"], shards={"devicesPerShard": 20})
    devices = site.devices("east", FIRST_DEVICES["east"])
    site.apply_device_map(devices)
    site.apply_fleet("east", 0, devicesFrom=[{"configMapRef": {"name": DEVICE_MAP}}])
    for tenant in FLEETS:
        _, waited = wait_for_condition(site, tenant, "Ready", seconds=_READY_SECONDS)
        site.note(f"ready_{tenant}_seconds", waited)
    shards = {tenant: site.status(tenant)["shards"]["ready"] for tenant in FLEETS}
    assert shards == {"north": 2, "south": 1, "east": 1}
    for tenant, count in FIRST_DEVICES.items():
        wait_until(
            lambda name=tenant: site.status(name)["devices"],
            lambda devices, count=count: devices["total"] == devices.get("up") == count,
            seconds=60,
            what=f"{tenant}: all devices up in the status",
        )
    said = kubectl("-n", site.options.site_a, "get", "routerfleets")
    print(f"\n{said}")  # noqa: T201 - shown with the figures
    for column in ("DEVICES", "UP", "SHARDS", "STREAM", "WINDOW", "READY", "AGE"):
        assert column in said.splitlines()[0]


def test_rows_grow(site: Site) -> None:
    with site.database() as url:
        before = readings.positions(url)
        wait_until(
            lambda: readings.positions(url),
            lambda now: all(
                now[tenant].events_stored > before[tenant].events_stored for tenant in FLEETS
            ),
            seconds=30,
            what="rows of all tenants grow",
        )
    readings.wait_for_fresh(site, dict(FIRST_DEVICES), seconds=30, what="all devices polled")


def test_server_sent_events_show_all_devices_live(site: Site) -> None:
    token = site.secret(f"{RELEASE}-gateway", "token")
    with forwarded(site.options.system, f"svc/{RELEASE}-gateway", 8080) as port:
        wanted = sum(FIRST_DEVICES.values())
        seen = readings.live_devices(port, token, wanted, seconds=30)
    assert len(seen) == wanted == 101


def test_stream_limits_are_the_plans(site: Site) -> None:
    planned = planned_limits(site, ["north", "south"])
    with site.broker() as broker:
        for tenant, limit in planned.items():
            assert readings.stream_limit(broker, tenant) == limit
            assert site.status(tenant)["stream"]["maxBytes"] == limit


def test_everything_balances(site: Site) -> None:
    found = site.verify()
    assert found["unaccounted"] == 0
    assert {one.removeprefix("FLEET_") for one in found["streams"]} == set(FLEETS)


def test_a_shards_image_is_like_the_others(site: Site) -> None:
    check_image(site, "poller", site.namespace_of("south"), "pod/south-shard-0")


@pytest.mark.timeout(180)
def test_an_unchanged_fleet_is_not_written(site: Site) -> None:
    """Neither its objects nor its inventory; a status only when its figures moved."""

    def versions() -> dict[str, str]:
        kinds = "statefulsets,services,configmaps,secrets,poddisruptionbudgets"
        return {
            f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"]
            for tenant in FLEETS
            for one in get_all(
                kinds, site.namespace_of(tenant), f"app.kubernetes.io/instance={tenant}"
            )
        }

    def writes() -> dict[str, float]:
        return {
            name: value
            for name, value in site.metrics("operator").items()
            if name.startswith(
                ("fleet_operator_kubernetes_writes_total", "fleet_operator_inventory_writes_total")
            )
            and "status" not in name
        }

    before, written = versions(), writes()
    passes = _passes(site)
    wait_until(
        lambda: _passes(site),
        lambda count: count >= passes + _RESTING_PASSES,
        seconds=150,
        every_seconds=3,
        what="more reconciles",
    )
    site.note("unchanged_fleet_reconciles", _passes(site) - passes)
    assert versions() == before
    assert writes() == written
    site.note("unchanged_fleet_writes", sum(writes().values()) - sum(written.values()))


def _passes(site: Site) -> float:
    return sum(
        value
        for name, value in site.metrics("operator").items()
        if name.startswith("fleet_operator_reconciles_total") and "done" in name
    )
