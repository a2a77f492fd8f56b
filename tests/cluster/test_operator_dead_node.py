"""A node that is cut off: its shard is removed by force, only then do the devices move.

The Node is an object of the test's own, with no machine behind it: its kubelet never confirms
anything, and the test says in its place that the pods run. No other pod gets there.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from nats.js.errors import BucketNotFoundError, KeyNotFoundError

from e2e.commands import CommandError, kubectl
from fleet_common.inventory import Assignment
from fleet_common.liveness import Beat
from support.operator_cluster import Document, OperatorSite, operator_at
from support.operator_fleets import applicable, routers_secret
from support.waiting import eventually

TENANT = "cutoff"
SHARDS = ("shard-0", "shard-1")
DEVICES = [f"r{number}" for number in range(12)]
KUBELET_SECONDS = 10.0
"""What a node is given to confirm; fleet_operator.fencing."""


@pytest.fixture
def node(kubeconfig: Path) -> Generator[str]:
    """A Node that is Ready, for pods that the test itself binds to it."""
    del kubeconfig
    name = f"test-cut-off-{uuid.uuid4().hex[:8]}"
    document = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {"taints": [{"key": "routerfleet.io/test", "effect": "NoSchedule"}]},
    }
    kubectl("create", "-f", "-", stdin=json.dumps(document))
    set_ready(name, "True")
    yield name
    kubectl("delete", "node", name, "--wait=false")


def set_ready(node: str, status: str) -> None:
    condition = {
        "type": "Ready",
        "status": status,
        "reason": "Test",
        "message": "set by a test",
        "lastHeartbeatTime": now(),
        "lastTransitionTime": now(),
    }
    patch("node", node, None, {"conditions": [condition]})


def now(ago: float = 0.0) -> str:
    return (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def patch(kind: str, name: str, namespace: str | None, status: Document) -> None:
    where = () if namespace is None else ("-n", namespace)
    document = json.dumps({"status": status})
    kubectl(*where, "patch", kind, name, "--subresource=status", "--type=strategic", "-p", document)


@dataclass
class Stage:
    """The fleet's pods on the node, and shards that give signs of life as told."""

    site: OperatorSite
    node: str
    alive: set[str] = field(default_factory=lambda: set(SHARDS))
    incarnation: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def start_pod(self, shard: str) -> str:
        """Bind its pod to the node, and say as a kubelet would that it runs; its uid."""
        name, namespace = pod_of(shard), self.site.namespace
        target = {"apiVersion": "v1", "kind": "Node", "name": self.node}
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name},
            "target": target,
        }
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/binding"
        kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(binding))
        container = {
            "name": "poller",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "image": "poller",
            "imageID": "",
            "state": {"running": {"startedAt": now(30)}},
        }
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now(20)}
        patch(
            "pod",
            name,
            namespace,
            {"phase": "Running", "conditions": [ready], "containerStatuses": [container]},
        )
        return self.uid(shard) or ""

    def uid(self, shard: str) -> str | None:
        found = self.site.find("pod", pod_of(shard))
        return None if found is None else found["metadata"]["uid"]

    async def records(self) -> dict[str, Assignment]:
        async with self.site.jetstream() as js:
            found: dict[str, Assignment] = {}
            with suppress(BucketNotFoundError):
                bucket = await js.key_value("fleet-assignments")
                for shard in SHARDS:
                    with suppress(KeyNotFoundError):
                        value = (await bucket.get(f"{TENANT}.{shard}")).value or b""
                        found[shard] = Assignment.model_validate_json(value)
            return found

    async def play(self) -> None:
        """Beats of those alive, with the assignment that is in force."""
        count = 0
        async with self.site.jetstream() as js:
            bucket = await js.key_value("fleet-shards")
            while True:
                count += 1
                records = await self.records()
                for shard in sorted(self.alive):
                    known = records.get(shard)
                    beat = Beat(
                        tenant=TENANT,
                        shard=shard,
                        incarnation=self.incarnation,
                        count=count,
                        revision=-1 if known is None else known.revision,
                    )
                    await bucket.put(f"{TENANT}.{shard}", beat.model_dump_json().encode())
                await asyncio.sleep(0.5)


def pod_of(shard: str) -> str:
    return f"{TENANT}-{shard}"


@asynccontextmanager
async def playing(stage: Stage) -> AsyncGenerator[None]:
    task = asyncio.create_task(stage.play())
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.wait([task])


def remove_pods(namespace: str) -> None:
    with suppress(CommandError):
        kubectl("-n", namespace, "delete", "pods", "--all", "--force", "--grace-period=0")


def events(namespace: str) -> dict[str, str]:
    path = "{range .items[*]}{.reason}{'\\t'}{.message}{'\\n'}{end}"
    said = kubectl("-n", namespace, "get", "events", "-o", f"jsonpath={path}")
    return dict(line.split("\t", 1) for line in said.splitlines() if "\t" in line)


def total(records: dict[str, Assignment]) -> list[str]:
    return sorted(device for one in records.values() for device in one.devices)


@pytest.mark.timeout(240)
async def test_a_shard_on_a_node_that_is_cut_off_is_removed_by_force_before_its_devices_move(
    namespace: str, node: str, tmp_path: Path
) -> None:
    pods = tmp_path / "pod.yaml"
    pods.write_text(yaml.safe_dump({"nodeSelector": {"routerfleet.io/test": node}}))
    settings = {"FLEET_OPERATOR__POLLER_POD_FILE": str(pods)}
    with operator_at([namespace], tmp_path, settings) as site:
        stage = Stage(site, node)
        devices = [{"name": one, "address": "192.0.2.1"} for one in DEVICES]
        site.apply(
            routers_secret(), applicable(TENANT, shards={"replicas": len(SHARDS)}, devices=devices)
        )
        for shard in SHARDS:
            await site.until(
                lambda shard=shard: stage.uid(shard), lambda uid: uid is not None, what="a pod"
            )
        uids = {shard: stage.start_pod(shard) for shard in SHARDS}
        try:
            async with playing(stage):
                await eventually(
                    stage.records,
                    lambda found: len(found) == len(SHARDS) and total(found) == sorted(DEVICES),
                    deadline_seconds=60,
                    every_seconds=0.3,
                    what="devices on both shards",
                )
                # While both give signs, nobody is fenced, whatever the node's condition is.
                await asyncio.to_thread(set_ready, node, "Unknown")
                await site.passes(4)
                assert {shard: stage.uid(shard) for shard in SHARDS} == uids

                stage.alive.discard("shard-1")
                silent = asyncio.get_running_loop().time()
                moved = await until_moved(stage, uids["shard-1"])
                assert moved - silent > KUBELET_SECONDS, "its node was not waited for"
                found = await stage.records()
                assert list(found["shard-0"].devices) == sorted(DEVICES)
                said = await site.until(
                    lambda: events(namespace),
                    lambda seen: "ShardFencedByForce" in seen,
                    what="an Event that says so",
                )
                text = said["ShardFencedByForce"]
                assert node in text
                assert pod_of("shard-1") in text
                assert stage.uid("shard-0") == uids["shard-0"], "the living one is let alone"
                assert await site.service.metric("fleet_operator_fenced_shards_total") == 1
                await site.until_condition(TENANT, "ShardsReady", "False", text="1 of 2")
        finally:
            await asyncio.to_thread(site.delete_fleets)
            await asyncio.to_thread(remove_pods, namespace)


async def until_moved(stage: Stage, uid: str) -> float:
    """When shard-0 was given the other's devices; the pod must be gone at that moment."""

    async def look() -> bool:
        found = await stage.records()
        return "shard-0" in found and len(found["shard-0"].devices) == len(DEVICES)

    async def seen() -> bool:
        if not await look():
            return False
        assert await asyncio.to_thread(stage.uid, "shard-1") != uid, "moved before it was ended"
        return True

    await eventually(
        seen, bool, deadline_seconds=60, every_seconds=0.2, what="the devices on shard-0"
    )
    return asyncio.get_running_loop().time()
