"""The chart's NATS with three servers: streams in three copies outlive any one of them."""

import asyncio
import base64
import contextlib
import json
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from dataclasses import dataclass

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamInfo

from e2e.commands import CommandError, find, get, kubectl, run
from fleet_common.broker import close, connect, declare_bucket, jetstream
from fleet_common.planning import single_budget
from fleet_common.settings import NatsSection
from fleet_common.streams.applier import PlanApplier
from fleet_common.streams.listing import list_streams
from fleet_common.streams.metrics import StreamMetrics
from fleet_contracts.subjects import TenantId
from support.fleets import fleet
from support.helm import CHART
from support.nats import taken
from support.nats_traffic import traffic
from support.pod_ways import PodWay
from support.waiting import eventually

pytestmark = pytest.mark.skipif(shutil.which("helm") is None, reason="needs helm")

NAME = "rf-routerfleet-nats"
PODS = [f"{NAME}-{number}" for number in range(3)]
ALPHA = TenantId("alpha")
STREAM, SUBJECT = "FLEET_alpha", "fleet.alpha.r1.status"
_LONGEST_PAUSE = 20.0
"""Seconds that publishing may wait for a new leader; a poller's buffer holds minutes."""
_VALUES = {
    "nats.replicas": "3",
    "nats.streams.fileBytes": "64Mi",
    "nats.streams.tenants": "3",
    "nats.cpu.request": "10m",
    "writer.replicas": "0",
    "gateway.enabled": "false",
    "firmware.enabled": "false",
    "operator.enabled": "false",
    "postgresql.enabled": "false",
    "postgresql.external.existingSecret": "none",
}


@dataclass(frozen=True)
class Site:
    """A release of nothing but NATS."""

    namespace: str
    image: str
    urls: str
    password: str

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncGenerator["Connected"]:
        settings = NatsSection.model_validate(
            {
                "url": self.urls,
                "user": "services",
                "password": self.password,
                "connect_timeout_seconds": 1,
            }
        )
        async with asyncio.timeout(60):
            client = await connect(settings, "test")
        js = jetstream(client, settings)
        applier = PlanApplier(
            client, js, single_budget(64 << 20), StreamMetrics("fleet_test"), bucket_replicas=3
        )
        try:
            yield Connected(client, js, applier)
        finally:
            await close(client)

    def helm(self, verb: str, values: Mapping[str, str], *options: str) -> None:
        settings = [
            part for item in {**_VALUES, **values}.items() for part in ("--set", "=".join(item))
        ]
        run(
            ("helm", verb, "rf", str(CHART), "-n", self.namespace, *settings,
             "--set", f"nats.image={self.image}", "--wait", "--timeout", "150s", *options),
            seconds=180,
        )  # fmt: skip


@dataclass(frozen=True)
class Connected:
    """The product's own way to the servers."""

    client: Client
    js: JetStreamContext
    applier: PlanApplier

    async def plan(self, devices: int, window: str) -> int:
        """Declare the stream as the operator would, again when a server went; its max_bytes."""
        wanted = fleet(ALPHA, devices, events={"replicas": 3, "replayWindow": window})
        applied = await taken(
            lambda: self.applier.apply([wanted]), what="a plan in force", deadline_seconds=60
        )
        (plan,) = applied.plans
        return plan.definition.max_bytes

    async def whole(self) -> StreamInfo:
        """The stream, once it has a leader and two others that have all it has."""

        async def look() -> StreamInfo | None:
            with contextlib.suppress(Exception):  # no leader, no answer: asked again
                return await self.js.stream_info(STREAM)
            return None

        def complete(info: StreamInfo | None) -> bool:
            cluster = None if info is None else info.cluster
            replicas = (cluster and cluster.replicas) or []
            return bool(cluster and cluster.leader) and [
                bool(one.current) and not one.offline for one in replicas
            ] == [True, True]

        found = await eventually(
            look, complete, deadline_seconds=60, every_seconds=0.2, what="three copies"
        )
        assert found is not None
        return found


@pytest.fixture(scope="module")
def site(namespace: str, pytestconfig: pytest.Config) -> Generator[Site]:
    image = str(pytestconfig.getoption("--nats-image"))
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    bare = Site(namespace, image, "", "")
    bare.helm("install", {})
    secret = get("secret", NAME, namespace)["data"]["services-password"]
    with contextlib.ExitStack() as stack:
        ways = [stack.enter_context(PodWay(namespace, pod, 4222)) for pod in PODS]
        urls = ",".join(f"nats://127.0.0.1:{way.port}" for way in ways)
        yield Site(namespace, image, urls, base64.b64decode(secret).decode())


@pytest.fixture(autouse=True)
def evidence(site: Site, request: pytest.FixtureRequest) -> Iterator[None]:
    """What the servers said, when a test fails."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        sys.stderr.write(kubectl("-n", site.namespace, "get", "pods", "-o", "wide"))
        for pod in PODS:
            sys.stderr.write(kubectl("-n", site.namespace, "logs", pod, "--tail=30"))


async def test_streams_and_buckets_that_we_declare_have_three_copies(site: Site) -> None:
    async with site.connected() as there:
        await declare_bucket(there.js, "fleet-inventory", 1 << 20)  # as from before the cluster
        await there.plan(3, "1h")

        info = await there.whole()
        live = await list_streams(there.client)

    assert info.config.num_replicas == 3
    assert info.cluster is not None
    assert {info.cluster.leader, *(one.name for one in info.cluster.replicas or [])} == set(PODS)
    copies = {name: one.info.config.num_replicas for name, one in live.items()}
    assert set(copies.values()) == {3}, copies
    assert {"KV_fleet-inventory", "KV_fleet-assignments"} <= copies.keys()


async def test_events_go_on_while_the_leader_dies_and_comes_back(site: Site) -> None:
    async with site.connected() as writer, site.connected() as reader:
        leader = (await writer.whole()).cluster
        assert leader is not None
        was = _uid(site.namespace, str(leader.leader))
        async with traffic(writer.js, reader.js, SUBJECT, STREAM) as flow:
            await eventually(lambda: len(flow.acknowledged), lambda count: count > 50)
            died = time.monotonic()
            await asyncio.to_thread(
                kubectl, "-n", site.namespace, "delete", "pod", str(leader.leader),
                "--grace-period=0", "--force",
            )  # fmt: skip
            await eventually(
                lambda: _uid(site.namespace, str(leader.leader)),
                lambda uid: uid not in {None, was},
                deadline_seconds=30,
                every_seconds=0.2,
                what="another pod",
            )
            await asyncio.to_thread(_ready, site.namespace)
            back, acknowledged = time.monotonic(), len(flow.acknowledged)
            after = await writer.whole()

    assert flow.between(died, back) > 0, "nothing was taken while the leader was away"
    assert flow.longest_pause() < _LONGEST_PAUSE
    assert after.state.messages >= acknowledged


async def test_limits_change_under_running_traffic(site: Site) -> None:
    async with site.connected() as writer, site.connected() as reader:
        small = (await writer.whole()).config.max_bytes
        async with traffic(writer.js, reader.js, SUBJECT, STREAM) as flow:
            larger = await writer.plan(40, "3h")
            grown = (await writer.whole()).config.max_bytes
            await writer.plan(3, "1h")
            shrunk = (await writer.whole()).config.max_bytes
            await eventually(lambda: len(flow.acknowledged), lambda count: count > 50)

    assert small is not None
    assert small < larger == grown
    assert shrunk == small


def test_evictions_leave_a_majority(site: Site) -> None:
    _ready(site.namespace)
    kubectl(
        "-n", site.namespace, "wait", f"pdb/{NAME}", "--timeout=30s",
        "--for=jsonpath={.status.disruptionsAllowed}=1",
    )  # fmt: skip

    def evict(pod: str) -> None:
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": site.namespace},
        }
        path = f"/api/v1/namespaces/{site.namespace}/pods/{pod}/eviction"
        kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))

    evict(PODS[0])

    with pytest.raises(CommandError, match="violate the pod's disruption budget"):
        evict(PODS[1])
    _ready(site.namespace)


async def test_a_rolling_upgrade_keeps_a_majority_and_every_message(site: Site) -> None:
    async with site.connected() as writer, site.connected() as reader:
        await writer.whole()
        before = {pod: _uid(site.namespace, pod) for pod in PODS}
        async with traffic(writer.js, reader.js, SUBJECT, STREAM) as flow:
            started = time.monotonic()
            await asyncio.to_thread(site.helm, "upgrade", {"nats.streams.messagesPerSecond": "900"})
            done = time.monotonic()
            info = await writer.whole()

    assert all(_uid(site.namespace, pod) != before[pod] for pod in PODS)
    assert flow.between(started, done) > 0
    assert flow.longest_pause() < _LONGEST_PAUSE
    assert info.config.num_replicas == 3


def _ready(namespace: str) -> None:
    """Until the StatefulSet has seen all three to be."""
    kubectl(
        "-n", namespace, "wait", f"statefulset/{NAME}", "--timeout=90s",
        "--for=jsonpath={.status.readyReplicas}=3", seconds=100,
    )  # fmt: skip


def _uid(namespace: str, pod: str) -> str | None:
    found = find("pod", pod, namespace)
    return None if found is None else found["metadata"]["uid"]
