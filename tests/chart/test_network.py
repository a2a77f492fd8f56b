"""Who may talk to whom, read from the rendered NetworkPolicies as a network reads them."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from support.helm import CHART, NAMESPACE, RELEASE, Chart, Document

DEMO = CHART / "ci/demo-values.yaml"


@dataclass(frozen=True)
class Pod:
    """A pod as policies see it."""

    namespace: str
    labels: tuple[tuple[str, str], ...]


def ours(component: str) -> Pod:
    labels = {"name": "routerfleet", "instance": RELEASE, "component": component}
    return Pod(NAMESPACE, tuple((f"app.kubernetes.io/{key}", one) for key, one in labels.items()))


def shard(namespace: str, tenant: str = "alpha") -> Pod:
    labels = {"name": "routerfleet", "instance": tenant, "component": "poller-shard"}
    return Pod(namespace, tuple((f"app.kubernetes.io/{key}", one) for key, one in labels.items()))


STRANGER = Pod("elsewhere", (("app", "other"),))
NEIGHBOUR = Pod(NAMESPACE, (("app", "other"),))
INTERNET = Pod("-", ())


def matches(selector: Document, pod: Pod) -> bool:
    labels = dict(pod.labels)
    expressions = selector.get("matchExpressions", [])
    assert {one["operator"] for one in expressions} <= {"In", "NotIn"}
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        (labels.get(one["key"]) in one["values"]) is (one["operator"] == "In")
        for one in expressions
    )


def is_peer(peer: Document, policy_namespace: str, pod: Pod) -> bool:
    if pod is INTERNET:
        return False
    if "namespaceSelector" in peer:
        assert peer["namespaceSelector"] == {}
    elif pod.namespace != policy_namespace:
        return False
    return matches(peer.get("podSelector", {}), pod)


def lets(policies: list[Document], way: str, pod: Pod, other: Pod, port: int) -> bool:
    """One direction: no policy for the pod lets everything through, else one rule must fit."""
    kind, peers_at = ("Ingress", "from") if way == "ingress" else ("Egress", "to")
    mine = [
        one
        for one in policies
        if one["metadata"].get("namespace", NAMESPACE) == pod.namespace
        and matches(one["spec"]["podSelector"], pod)
        and kind in one["spec"]["policyTypes"]
    ]
    rules = [
        (one["metadata"].get("namespace", NAMESPACE), rule)
        for one in mine
        for rule in cast("list[Document]", one["spec"].get(way) or [])
    ]
    return not mine or any(
        (not rule.get(peers_at) or any(is_peer(peer, where, other) for peer in rule[peers_at]))
        and any(
            one["port"] <= port <= one.get("endPort", one["port"]) for one in rule.get("ports", [])
        )
        for where, rule in rules
    )


def may(policies: list[Document], source: Pod, target: Pod, port: int) -> bool:
    out = lets(policies, "egress", source, target, port)
    into = target is INTERNET or lets(policies, "ingress", target, source, port)
    return out and into


@pytest.mark.parametrize(
    ("source", "target", "port", "expected"),
    [
        (ours("writer"), ours("nats"), 4222, True),
        (ours("gateway"), ours("nats"), 4222, True),
        (ours("firmware"), ours("nats"), 4222, True),
        (ours("operator"), ours("nats"), 4222, True),
        (shard("tenants"), ours("nats"), 4222, True),
        (shard(NAMESPACE), ours("nats"), 4222, True),
        (STRANGER, ours("nats"), 4222, False),
        (NEIGHBOUR, ours("nats"), 4222, False),
        (ours("simulator"), ours("nats"), 4222, False),
        (ours("nats"), ours("nats"), 6222, True),
        (shard("tenants"), ours("nats"), 6222, False),
        (ours("writer"), ours("postgresql"), 5432, True),
        (ours("gateway"), ours("postgresql"), 5432, False),
        (ours("operator"), ours("postgresql"), 5432, False),
        (shard("tenants"), ours("postgresql"), 5432, False),
        (STRANGER, ours("postgresql"), 5432, False),
        (INTERNET, ours("gateway"), 8080, True),
        (STRANGER, ours("gateway"), 9100, True),
        (INTERNET, ours("gateway"), 9100, False),
        (shard("tenants"), ours("simulator"), 20_049, True),
        (STRANGER, ours("simulator"), 20_049, False),
        (ours("test"), ours("gateway"), 8080, True),
        (ours("test"), ours("operator"), 9100, True),
        (ours("operator"), INTERNET, 6443, True),
        (ours("firmware"), INTERNET, 443, True),
        (ours("writer"), INTERNET, 443, False),
        (ours("gateway"), INTERNET, 443, False),
        (ours("postgresql"), INTERNET, 443, False),
        (ours("nats"), INTERNET, 443, False),
        (ours("nats"), INTERNET, 53, True),
        (shard(NAMESPACE), INTERNET, 8728, True),
        (shard(NAMESPACE, RELEASE), INTERNET, 8728, True),
        (shard(NAMESPACE, RELEASE), ours("nats"), 4222, True),
        (STRANGER, shard(NAMESPACE), 9100, True),
        (STRANGER, shard(NAMESPACE), 8080, False),
    ],
)
def test_who_may_talk_to_whom(
    source: Pod, target: Pod, port: int, *, expected: bool, chart: Chart
) -> None:
    policies = chart.render(DEMO).of("NetworkPolicy")

    assert may(policies, source, target, port) is expected


@pytest.mark.parametrize(
    ("peers", "readers"),
    [
        ("[]", set[Pod]()),
        ("[{podSelector: {matchLabels: {app: other}}}]", {NEIGHBOUR}),
        ("[{namespaceSelector: {}}]", {NEIGHBOUR, STRANGER}),
    ],
)
def test_metrics_are_read_by_whom_the_values_name_and_by_helms_test(
    peers: str, readers: set[Pod], chart: Chart, tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(f"networkPolicy: {{metricsFrom: {peers}, gatewayFrom: {peers}}}")
    policies = chart.render(values).of("NetworkPolicy")

    asked = (NEIGHBOUR, STRANGER, INTERNET, ours("postgresql"))
    readers_of_shards = {one for one in asked if may(policies, one, shard(NAMESPACE), 9100)}

    assert {one for one in asked if may(policies, one, ours("writer"), 9100)} == readers
    assert readers_of_shards == readers
    assert may(policies, ours("test"), ours("writer"), 9100)
    assert may(policies, ours("test"), ours("gateway"), 8080)
    assert may(policies, INTERNET, ours("gateway"), 8080) is (peers == "[]")


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        ("http://collector:4318/v1/traces", 4318),
        ("https://collector/v1/traces", 443),
        ("http://collector/v1/traces", 80),
        ("http://[2001:db8::1]:4318/v1/traces", 4318),
        ("http://[2001:db8::1]/v1/traces", 80),
        ("https://user:99@collector", 443),
    ],
)
def test_traces_leave_by_the_port_that_their_url_means(
    endpoint: str, port: int, chart: Chart
) -> None:
    policies = chart.render(None, f"tracing.endpoint={endpoint}").of("NetworkPolicy")

    ports = (80, 443, 4318, 8728)
    assert [one for one in ports if may(policies, ours("writer"), INTERNET, one)] == [port]


def test_the_firmware_checker_reaches_a_mirror_at_its_port(chart: Chart) -> None:
    mirror = "firmware.env.FLEET_FIRMWARE__UPGRADE_BASE_URL=http://mirror.example.com:8081/routeros"
    policies = chart.render(None, mirror).of("NetworkPolicy")

    assert may(policies, ours("firmware"), INTERNET, 8081)
    assert may(policies, ours("firmware"), INTERNET, 443)
    assert not may(policies, ours("gateway"), INTERNET, 8081)


def test_without_policies_there_are_none(chart: Chart) -> None:
    assert not chart.render(None, "networkPolicy.enabled=false").of("NetworkPolicy")
