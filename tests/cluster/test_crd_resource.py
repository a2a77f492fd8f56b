"""The resource as kubectl shows, scales, explains and changes it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from e2e.commands import CommandError, kubectl
from fleet_operator.status import (
    ConditionStatus,
    ConditionType,
    DevicesStatus,
    Findings,
    ShardsStatus,
    StreamStatus,
    Verdict,
    merge_status,
    stream_summary,
)

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
MIB = 1024 * 1024


def fleet(name: str, devices: int = 1, **spec: object) -> dict[str, Any]:
    return {
        "apiVersion": "routerfleet.io/v1alpha1",
        "kind": "RouterFleet",
        "metadata": {"name": name},
        "spec": {
            "credentials": {"secretRef": {"name": "login"}},
            # No operator that happens to run in this cluster shall start pods for it.
            "shards": {"replicas": 0},
            "devices": [{"name": f"r{n}", "address": "192.0.2.1"} for n in range(devices)],
            **spec,
        },
    }


def apply(namespace: str, document: dict[str, Any], *options: str) -> str:
    return kubectl("-n", namespace, "apply", *options, "-f", "-", stdin=json.dumps(document))


def get(namespace: str, name: str) -> dict[str, Any]:
    return json.loads(kubectl("-n", namespace, "get", "rf", name, "-o", "json"))


def status_document() -> dict[str, object]:
    found = Findings(
        generation=1,
        verdicts=[
            Verdict(ConditionType.READY, ConditionStatus.TRUE, "Polling", "12 of 14 devices up")
        ],
        devices=DevicesStatus(total=14, up=12, down=2),
        stream=StreamStatus(
            name="FLEET_shown",
            max_bytes=64 * MIB,
            window_wanted="6h",
            window_planned="5h12m",
            bytes=45 * MIB,
            messages=90_000,
            window_now="4h",
            summary=stream_summary(45 * MIB, 64 * MIB),
        ),
        shards=ShardsStatus(
            wanted=2, replicas=2, ready=1, summary="1/2", selector="routerfleet.io/tenant=shown"
        ),
    )
    document = merge_status({}, found, NOON)
    assert document is not None
    return document


def patch_status(namespace: str, name: str, document: dict[str, object]) -> None:
    patch = json.dumps({"status": document})
    kubectl(
        "-n", namespace, "patch", "rf", name, "--subresource=status", "--type=merge", "-p", patch
    )


def test_the_columns_show_the_status_and_nothing_is_lost_on_the_way(namespace: str) -> None:
    apply(namespace, fleet("shown"))
    document = status_document()
    patch_status(namespace, "shown", document)

    heading, row = kubectl("-n", namespace, "get", "rf").splitlines()
    assert heading.split() == [
        "NAME", "DEVICES", "UP", "SHARDS", "STREAM", "WINDOW", "READY", "AGE",
    ]  # fmt: skip
    assert row.split()[:-1] == ["shown", "14", "12", "1/2", "45.0MiB/64.0MiB", "5h12m", "True"]
    wide = kubectl("-n", namespace, "get", "rf", "shown", "-o", "wide").splitlines()
    assert wide[0].split()[-3:] == ["NOW", "REASON", "MESSAGE"]
    assert "Polling" in wide[1]
    assert wide[1].endswith("12 of 14 devices up")
    assert get(namespace, "shown")["status"] == document
    assert "routerfleet.routerfleet.io/shown" in kubectl(
        "-n", namespace, "get", "routerfleet", "-o", "name"
    )


def test_a_status_with_a_wrong_value_is_refused(namespace: str) -> None:
    apply(namespace, fleet("wrong"))
    with pytest.raises(CommandError, match=r"Unsupported value: \"Maybe\""):
        patch_status(
            namespace,
            "wrong",
            {
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "Maybe",
                        "reason": "X",
                        "message": "",
                        "lastTransitionTime": "2026-11-24T12:00:00Z",
                    }
                ]
            },
        )


def test_a_spec_change_leaves_the_status_and_a_status_change_the_generation(namespace: str) -> None:
    apply(namespace, fleet("apart"))
    patch_status(namespace, "apart", status_document())
    assert get(namespace, "apart")["metadata"]["generation"] == 1

    apply(namespace, fleet("apart", devices=2) | {"status": {"observedGeneration": 99}})
    after = get(namespace, "apart")
    assert after["metadata"]["generation"] == 2
    assert after["status"] == status_document()


def test_scale_sets_fixed_replicas_and_reads_the_pods_selector(namespace: str) -> None:
    apply(namespace, fleet("scaled"))
    patch_status(namespace, "scaled", status_document())
    kubectl("-n", namespace, "scale", "rf/scaled", "--replicas=3")

    assert get(namespace, "scaled")["spec"]["shards"]["replicas"] == 3
    scale = json.loads(
        kubectl("-n", namespace, "get", "rf", "scaled", "--subresource=scale", "-o", "json")
    )
    assert scale["spec"]["replicas"] == 3
    assert scale["status"] == {"replicas": 2, "selector": "routerfleet.io/tenant=shown"}
    with pytest.raises(CommandError, match="should be less than or equal to 100"):
        kubectl("-n", namespace, "scale", "rf/scaled", "--replicas=101")
    kubectl("-n", namespace, "scale", "rf/scaled", "--replicas=0")


@pytest.mark.parametrize("written", [{}, {"events": {"storage": "file"}}, {"events": {}}])
def test_the_storage_of_a_stream_stays_and_the_message_says_what_to_do(
    namespace: str, written: dict[str, Any]
) -> None:
    name = f"stays-{len(json.dumps(written))}"
    apply(namespace, fleet(name, **written))
    with pytest.raises(CommandError) as caught:
        apply(namespace, fleet(name, events={"storage": "memory"}))
    assert "delete the RouterFleet with deletionPolicy Delete and apply it again" in str(
        caught.value
    )
    apply(namespace, fleet(name, events={"storage": "file", "replayWindow": "12h"}))
    assert get(namespace, name)["spec"]["events"]["replayWindow"] == "12h"


def test_ten_thousand_devices_in_line_are_taken_and_one_more_is_not(namespace: str) -> None:
    whole = fleet("large", devices=10_000)
    apply(namespace, whole, "--server-side", "--dry-run=server")
    whole["spec"]["devices"].append({"name": "one-more", "address": "192.0.2.1"})
    with pytest.raises(CommandError, match="must have at most 10000 items"):
        apply(namespace, whole, "--server-side", "--dry-run=server")


def test_owners_of_different_devices_do_not_meet(namespace: str) -> None:
    """Server-side apply: two teams each list their own devices of one fleet."""
    first = fleet("shared", devices=1)
    second = fleet("shared", devices=0)
    second["spec"]["devices"] = [{"name": "theirs", "address": "192.0.2.9"}]
    apply(namespace, first, "--server-side", "--field-manager=one")
    apply(namespace, second, "--server-side", "--field-manager=two")

    names = [device["name"] for device in get(namespace, "shared")["spec"]["devices"]]
    assert names == ["r0", "theirs"]


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("rf", "A fleet of routers: polled, and its events kept on one stream"),
        ("rf.spec.tls.mode", "ENUM: plain verify pinned anonymous DESCRIPTION: plain: no TLS"),
        (
            "rf.spec.events.replayWindow",
            "at least 5m and at most 31d: whole seconds or as in 500ms",
        ),
        ("rf.spec.shards.max", "At most this many pollers. Default: 20."),
        ("rf.spec.devicesFrom.configMapRef.key", "every key of the ConfigMap"),
        ("rf.spec.deletionPolicy", "Rows in the database always stay"),
        ("rf.status.stream.windowNow", "How far back it reaches now"),
    ],
)
def test_kubectl_explains_a_field(namespace: str, field: str, said: str) -> None:
    del namespace
    assert said in " ".join(kubectl("explain", field).split())
