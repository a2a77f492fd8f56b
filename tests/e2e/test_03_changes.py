"""Fleets that grow, and changes made by hand that are undone."""

import time

from e2e import readings
from e2e.commands import Document, get, kubectl, patch, wait_until
from e2e.expectations import planned_limits, wait_for_condition, wait_for_shards
from e2e.site import GROWN, NORTH_SHARDS, Broker, Site

_FIRST_EVENT_SECONDS = 10.0
_RESTORE_SECONDS = 45.0


def test_a_device_added_to_a_config_map_is_polled_within_10_seconds(site: Site) -> None:
    devices = site.devices("east", GROWN["east"])
    with site.broker() as broker:
        began = time.monotonic()
        site.apply_device_map(devices)
        readings.wait_for_event(broker, "east", devices[-1]["name"], seconds=60)
        took = time.monotonic() - began
    site.note("device_added_to_first_event_seconds", took)
    assert took <= _FIRST_EVENT_SECONDS


def test_more_devices_resize_the_live_stream_and_add_a_shard(site: Site) -> None:
    with site.broker() as broker:
        before = readings.stream_limit(broker, "north")
        began = time.monotonic()
        site.apply_fleet("north", GROWN["north"], shards=NORTH_SHARDS)
        limit = planned_limits(site, ["north"])["north"]
        assert before is not None
        assert limit > before
        wait_until(
            lambda: readings.stream_limit(broker, "north"),
            lambda live: live == limit,
            seconds=30,
            what=f"the live stream of north has {limit} bytes",
        )
        site.note("devices_added_to_stream_resized_seconds", time.monotonic() - began)
    wait_for_shards(site, "north", 3, seconds=90)
    site.note("devices_added_to_shard_added_seconds", time.monotonic() - began)
    readings.wait_for_fresh(site, GROWN, seconds=60, what="all devices polled after growing")


def test_kubectl_scale_adds_and_drains_shards(site: Site) -> None:
    namespace = site.namespace_of("south")
    kubectl("-n", namespace, "scale", "routerfleet/south", "--replicas=2")
    site.note("scale_up_seconds", wait_for_shards(site, "south", 2, seconds=90))
    readings.wait_for_fresh(site, GROWN, seconds=60, what="all devices polled by two shards")
    kubectl("-n", namespace, "scale", "routerfleet/south", "--replicas=1")
    site.note("scale_down_seconds", wait_for_shards(site, "south", 1, seconds=90))
    wait_until(
        lambda: get("statefulset", "south-shard", namespace)["status"].get("replicas"),
        lambda count: count == 1,
        seconds=90,
        what="one pod of south",
    )
    readings.wait_for_fresh(site, GROWN, seconds=60, what="all devices polled by one shard")
    assert site.verify()["unaccounted"] == 0


def test_a_stream_changed_by_hand_is_restored(site: Site) -> None:
    with site.broker() as broker:
        limit = readings.stream_limit(broker, "south")
        assert limit is not None
        readings.set_stream_limit(broker, "south", limit * 2)
        _, took = wait_until(
            lambda: readings.stream_limit(broker, "south"),
            lambda live: live == limit,
            seconds=_RESTORE_SECONDS,
            what=f"south's stream has {limit} bytes again",
        )
    site.note("stream_drift_restored_seconds", took)


def test_a_statefulset_changed_by_hand_is_restored(site: Site) -> None:
    namespace = site.namespace_of("south")
    before = get("statefulset", "south-shard", namespace)["spec"]
    kubectl("-n", namespace, "scale", "statefulset/south-shard", "--replicas=0")
    kubectl(
        "-n", namespace, "set", "image", "statefulset/south-shard",
        f"{_container(before)}=localhost/wrong:1",
    )  # fmt: skip
    _, took = wait_until(
        lambda: get("statefulset", "south-shard", namespace)["spec"],
        lambda spec: spec["replicas"] == 1 and spec["template"] == before["template"],
        seconds=_RESTORE_SECONDS,
        what="south's StatefulSet is as before",
    )
    site.note("statefulset_drift_restored_seconds", took)
    wait_for_condition(site, "south", "Ready", seconds=90)


def test_an_object_deleted_by_hand_comes_back(site: Site) -> None:
    namespace = site.namespace_of("north")
    kubectl("-n", namespace, "delete", "configmap/north-shard", "service/north-shard")
    wait_until(
        lambda: kubectl(
            "-n",
            namespace,
            "get",
            "configmap/north-shard",
            "service/north-shard",
            "--ignore-not-found",
            "-o",
            "name",
        ).split(),
        lambda names: len(names) == 2,
        seconds=_RESTORE_SECONDS,
        what="north's ConfigMap and Service",
    )


def test_a_fleet_can_be_suspended_and_resumed(site: Site) -> None:
    namespace = site.namespace_of("east")
    patch("routerfleet", "east", namespace, {"spec": {"suspend": True}})
    with site.broker() as broker:
        wait_until(
            lambda: _last_sequence_moves(broker),
            lambda moves: not moves,
            seconds=60,
            what="no events of east",
        )
    patch("routerfleet", "east", namespace, {"spec": {"suspend": False}})
    readings.wait_for_fresh(site, GROWN, seconds=60, what="all devices polled again")


def _last_sequence_moves(broker: Broker) -> bool:
    first = readings.last_sequence(broker, "east")
    time.sleep(6)  # longer than the interval
    return readings.last_sequence(broker, "east") != first


def _container(spec: Document) -> str:
    return spec["template"]["spec"]["containers"][0]["name"]
