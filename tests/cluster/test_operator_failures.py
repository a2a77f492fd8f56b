"""Restarts and absences: of the operator, of NATS, and of both sides of a tenant's name."""

import asyncio
import signal
import time
import uuid
from collections.abc import Generator
from pathlib import Path

import pytest

from e2e.commands import kubectl
from support.kube_recorder import kube_recorder
from support.operator_cluster import Document, OperatorSite, operator_at
from support.operator_fleets import applicable, routers_secret


@pytest.fixture
def site(namespace: str, tmp_path: Path) -> Generator[OperatorSite]:
    with operator_at([namespace], tmp_path) as made:
        yield made


@pytest.fixture
def other_namespace() -> Generator[str]:
    name = f"test-operator-other-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


async def test_an_operator_that_was_killed_goes_on_where_it_was(site: OperatorSite) -> None:
    site.apply(routers_secret(), applicable("restart"))
    await site.until_condition("restart", "Ready", "True")
    before = {
        kind: site.get(kind, "restart-shard")["metadata"]["resourceVersion"]
        for kind in ("configmap", "service", "statefulset", "poddisruptionbudget")
    }
    planned = await site.stream_max_bytes("restart")
    site.service.signal(signal.SIGKILL)
    await site.service.exit_code()
    devices = [{"name": "only", "address": "10.0.0.9"}]
    site.patch("rf", "restart", {"spec": {"devices": devices}})
    site.delete("service", "restart-shard")
    site.service.start()
    await site.until(
        lambda: asyncio.run(site.keys("fleet-inventory", "restart")),
        lambda keys: keys == ["only"],
        what="the change made meanwhile",
    )
    await site.until(
        lambda: site.find("service", "restart-shard"),
        lambda found: found is not None,
        what="the service deleted meanwhile",
    )
    for kind in ("configmap", "statefulset", "poddisruptionbudget"):
        after = site.get(kind, "restart-shard")["metadata"]["resourceVersion"]
        assert after == before[kind], kind
    assert await site.stream_max_bytes("restart") == planned


async def test_an_operator_that_starts_plans_with_the_sizes_of_what_is_stored(
    site: OperatorSite,
) -> None:
    site.apply(routers_secret(), applicable("large", events={"replayWindow": "24h"}))
    await site.until_condition("large", "Ready", "True")
    planned = await site.stream_max_bytes("large") or 0
    async with site.jetstream() as js:
        device = (await site.keys("fleet-inventory", "large"))[0]
        await js.publish(f"fleet.large.{device}.interfaces", bytes(5_000))
    assert await site.service.stop(deadline_seconds=9) == 0
    site.service.start()
    # The next measurement of a running operator is ten minutes away.
    await site.until(
        lambda: asyncio.run(site.stream_max_bytes("large")) or 0,
        lambda now: now > 2 * planned,
        what=f"a stream larger than {planned}",
    )


async def test_a_stop_ends_in_time_and_leaves_everything(site: OperatorSite) -> None:
    site.apply(routers_secret(), applicable("stop"))
    await site.until_condition("stop", "Ready", "True")
    assert await site.service.stop(deadline_seconds=9) == 0
    assert site.find("statefulset", "stop-shard") is not None
    site.service.start()


async def test_a_broker_that_is_away_is_said_and_taken_up_again(site: OperatorSite) -> None:
    site.apply(routers_secret(), applicable("away"))
    await site.until_condition("away", "Ready", "True")
    site.nats.kill()
    await site.until_condition("away", "StreamSized", "Unknown", reason="BrokerUnavailable")
    # What needs no broker is done meanwhile, and the operator is well.
    site.apply(applicable("meanwhile"))
    await site.until(
        lambda: site.find("statefulset", "meanwhile-shard"),
        lambda found: found is not None,
        what="objects of a fleet made meanwhile",
    )
    answer = await site.service.get("/healthz")
    assert answer is not None
    assert answer.status_code == 200
    site.nats.start()
    await site.until_condition("away", "Ready", "True")
    await site.until_condition("meanwhile", "Ready", "True")
    assert await site.keys("fleet-inventory", "meanwhile") == ["r0", "r1"]


async def test_a_broker_that_lost_everything_gets_it_back(site: OperatorSite) -> None:
    site.apply(routers_secret(), applicable("lost"))
    await site.until_condition("lost", "Ready", "True")
    site.nats.stop()
    (site.nats.directory / "js").rename(site.nats.directory / "js-lost")
    site.nats.start()
    await site.until(
        lambda: asyncio.run(_stands(site, "lost")), bool, what="stream and records made again"
    )


async def _stands(site: OperatorSite, tenant: str) -> bool:
    try:
        there = await site.stream_max_bytes(tenant) is not None
        return there and await site.keys("fleet-inventory", tenant) == ["r0", "r1"]
    except Exception:  # noqa: BLE001 - the bucket is not there yet
        return False


async def test_a_fleet_is_deleted_while_the_broker_is_away_and_collected_later(
    site: OperatorSite,
) -> None:
    site.apply(routers_secret(), applicable("orphan", deletionPolicy="Delete"))
    await site.until_condition("orphan", "Ready", "True")
    site.nats.kill()
    site.delete("rf", "orphan")
    await site.until(
        lambda: site.find("rf", "orphan"),
        lambda found: found is None,
        what="its end without NATS",
        seconds=40,
    )
    (event,) = site.events("orphan", "CleanupAbandoned")
    assert "nats stream rm FLEET_orphan" in event["message"]
    site.nats.start()
    await site.until(
        lambda: asyncio.run(site.keys("fleet-inventory", "orphan")),
        lambda keys: keys == [],
        what="records collected",
    )
    assert await site.stream_max_bytes("orphan") is not None


def _listed_elsewhere(name: str, **spec: object) -> tuple[Document, Document]:
    """A fleet with one shard whose devices are in a ConfigMap, and that."""
    rows = {"devices.yaml": '[{"name": "r0", "address": "10.0.0.1"}]'}
    listed = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": rows}
    source = [{"configMapRef": {"name": name}}]
    one = {"replicas": 1}
    return listed, applicable(name, devices=[], devicesFrom=source, shards=one, **spec)


def _pods(site: OperatorSite, name: str) -> tuple[int, int] | None:
    """Asked for, and there; None while nobody said."""
    found = site.find("statefulset", f"{name}-shard")
    if found is None:
        return None
    return found["spec"]["replicas"], found["status"].get("replicas", 0)


async def _polled_and_stopped(site: OperatorSite, name: str, **spec: object) -> None:
    """A fleet is made, and then there is neither an operator nor the list of its devices."""
    site.apply(routers_secret(), *_listed_elsewhere(name, **spec))
    await site.until(lambda: _pods(site, name), lambda pods: pods == (1, 1), what="a pod")
    await site.until_condition(name, "StreamSized", "True")
    await site.until(
        lambda: site.get("rf", name)["status"].get("devices"), bool, what="devices in the status"
    )
    assert await site.service.stop(deadline_seconds=9) == 0
    site.delete("configmap", name, wait=True)


async def test_a_fleet_deleted_with_its_devices_while_nobody_looked_goes_in_order(
    namespace: str, tmp_path: Path
) -> None:
    with operator_at([namespace], tmp_path, {"FLEET_OPERATOR__CLEANUP_SECONDS": "120"}) as site:
        await _polled_and_stopped(site, "unseen", deletionPolicy="Delete")
        site.delete("rf", "unseen")
        site.service.start()
        await site.until(
            lambda: site.find("rf", "unseen"),
            lambda found: found is None,
            what="its end",
            seconds=30,
        )
        assert site.events("unseen", "CleanupAbandoned") == []
        assert await site.stream_max_bytes("unseen") is None
        assert await site.keys("fleet-inventory", "unseen") == []


async def test_a_fleet_whose_devices_are_unknown_goes_on_and_can_be_suspended(
    site: OperatorSite,
) -> None:
    await _polled_and_stopped(site, "unknown")
    site.service.start()
    await site.until_condition("unknown", "ShardsReady", "Unknown", reason="ConfigMapMissing")
    await site.passes(2)
    assert _pods(site, "unknown") == (1, 1)
    site.patch("rf", "unknown", {"spec": {"suspend": True}})
    await site.until(lambda: _pods(site, "unknown"), lambda pods: pods == (0, 0), what="no pod")
    assert site.get("rf", "unknown")["status"]["shards"]["summary"] == "0/0"
    assert await site.keys("fleet-inventory", "unknown") == ["r0"]


async def test_a_second_fleet_of_the_same_name_gets_nothing_until_the_first_goes(
    namespace: str, other_namespace: str, tmp_path: Path
) -> None:
    with operator_at([namespace, other_namespace], tmp_path) as site:
        site.apply(routers_secret(), applicable("twin"))
        await site.until_condition("twin", "Ready", "True")
        second = applicable("twin", devices=[{"name": "mine", "address": "10.9.9.9"}])
        await asyncio.to_thread(_next_second)
        site.apply(routers_secret(), second, namespace=other_namespace)
        found = await site.until_condition(
            "twin", "TenantConflict", "True", namespace=other_namespace
        )
        assert f"{namespace}/twin" in found["message"]
        assert "statefulset" not in kubectl("-n", other_namespace, "get", "all", "-o", "name")
        assert await site.keys("fleet-inventory", "twin") == ["r0", "r1"]
        site.delete("rf", "twin")
        await site.until_condition("twin", "Ready", "True", namespace=other_namespace)
        assert await site.keys("fleet-inventory", "twin") == ["mine"]


def _next_second() -> None:
    """The API server's creation times have whole seconds."""
    now = int(time.time())
    while int(time.time()) == now:
        time.sleep(0.05)


async def test_what_the_api_server_refuses_is_said_and_asked_again_in_a_while(
    kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    none = {"spec": {"hard": {"count/poddisruptionbudgets.policy": "0"}}}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, **none}
    async with kube_recorder(kubeconfig, tmp_path) as proxy:
        settings = {"KUBECONFIG": str(proxy.kubeconfig)}
        with operator_at([namespace], tmp_path, settings) as site:
            site.apply(quota)
            await site.until(
                lambda: site.get("resourcequota", "none").get("status"), bool, what="a quota"
            )
            site.apply(routers_secret(), applicable("refused"))
            found = await site.until_condition(
                "refused", "ShardsReady", "False", reason="ObjectRefused"
            )
            assert "exceeded quota" in found["message"]
            await site.passes(5)
            assert len(proxy.refused) == 1
            site.delete("resourcequota", "none")
            await site.until_condition("refused", "Ready", "True")
