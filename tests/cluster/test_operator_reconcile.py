"""A RouterFleet becomes a stream, records and objects; what others change is put back."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from fleet_operator.kinds import TENANT_LABEL
from support.certificates import Authority
from support.operator_cluster import Document, OperatorSite
from support.operator_fleets import fleet_document

SCALED_TO_ZERO = {"shards": {"replicas": 0}}


def fleet(name: str, **spec: object) -> Document:
    document = fleet_document(name, spec={**SCALED_TO_ZERO, **spec})
    document["metadata"] = {"name": name}
    return document


def routers_secret(name: str = "routers") -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"username": "admin", "password": "secret"},
    }


def ca_secret(text: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bad-ca"},
        "stringData": {"ca.crt": text},
    }


def config_map(name: str, text: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"devices.yaml": text},
    }


async def applied(site: OperatorSite, name: str, **spec: object) -> None:
    site.apply(routers_secret(), fleet(name, **spec))
    await site.until_condition(name, "Ready", "True")


async def test_a_fleet_gets_its_stream_records_and_objects(operator_site: OperatorSite) -> None:
    site = operator_site
    await applied(site, "plain")
    assert await site.keys("fleet-inventory", "plain") == ["r0", "r1"]
    status = site.get("rf", "plain")["status"]
    assert status["stream"]["maxBytes"] == await site.stream_max_bytes("plain")
    assert status["devices"]["total"] == 2
    assert status["shards"]["selector"]
    uid = site.get("rf", "plain")["metadata"]["uid"]
    for kind in ("configmap", "service", "statefulset", "poddisruptionbudget"):
        metadata = site.get(kind, "plain-shard")["metadata"]
        assert metadata["ownerReferences"][0]["uid"] == uid, kind
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "routerfleet-operator", kind
    for kind, status_ in (
        ("StreamSized", "True"),
        ("ReplayWindowReduced", "False"),
        ("InventoryValid", "True"),
        ("CredentialsValid", "True"),
        ("TenantConflict", "False"),
    ):
        assert site.condition("plain", kind)["status"] == status_, kind


async def test_nothing_is_written_while_nothing_changes(operator_site: OperatorSite) -> None:
    site = operator_site
    await applied(site, "quiet")

    async def picture() -> dict[str, Any]:
        versions = {
            kind: site.get(kind, name)["metadata"]["resourceVersion"]
            for kind, name in (
                ("rf", "quiet"),
                ("configmap", "quiet-shard"),
                ("service", "quiet-shard"),
                ("statefulset", "quiet-shard"),
                ("poddisruptionbudget", "quiet-shard"),
            )
        }
        async with site.jetstream() as js:
            for bucket in ("fleet-inventory", "fleet-assignments", "fleet-shards"):
                versions[bucket] = str((await js.stream_info(f"KV_{bucket}")).state.last_seq)
        versions["writes"] = str(
            await site.service.metric("fleet_operator_kubernetes_writes_total")
        )
        return versions

    # Devices are counted for the first time some seconds after everything else is told.
    await site.until(
        lambda: site.get("rf", "quiet")["status"]["devices"].get("up"),
        lambda up: up is not None,
        what="the first count of devices",
    )
    # Events of the start may still be on their way, and the API server's own status with them.
    previous, settled = await picture(), time.monotonic()
    while time.monotonic() - settled < 3:
        now = await picture()
        if now != previous:
            previous, settled = now, time.monotonic()
    passes = await site.passed()
    await site.until(
        lambda: asyncio.run(site.passed()),
        lambda seen: seen >= passes + 20,
        what="twenty more passes",
        seconds=60,
    )
    assert await picture() == previous


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("statefulset", {"spec": {"replicas": 3}}),
        ("statefulset", {"metadata": {"labels": {"routerfleet.io/tenant": "other"}}}),
        ("configmap", {"data": {"FLEET_NATS__URL": "nats://elsewhere:1"}}),
        ("service", {"spec": {"publishNotReadyAddresses": False}}),
        ("poddisruptionbudget", {"spec": {"maxUnavailable": 2}}),
    ],
)
async def test_an_object_changed_by_hand_is_put_back(
    operator_site: OperatorSite, kind: str, patch: Document
) -> None:
    site = operator_site
    await applied(site, "drift")

    def wanted() -> str:
        document = site.get(kind, "drift-shard")
        rest = {key: document.get(key) for key in ("spec", "data")}
        return json.dumps([rest, document["metadata"]["labels"]], sort_keys=True)

    before = wanted()
    site.patch(kind, "drift-shard", patch)
    await site.until(wanted, lambda now: now == before, what=f"{kind} as before")


@pytest.mark.parametrize("kind", ["configmap", "service", "statefulset", "poddisruptionbudget"])
async def test_an_object_deleted_by_hand_is_made_again(
    operator_site: OperatorSite, kind: str
) -> None:
    site = operator_site
    await applied(site, "gone")
    uid = site.get(kind, "gone-shard")["metadata"]["uid"]
    site.delete(kind, "gone-shard")
    await site.until(
        lambda: site.find(kind, "gone-shard"),
        lambda found: found is not None and found["metadata"]["uid"] != uid,
        what=f"a new {kind}",
    )


async def test_a_stream_and_records_changed_by_hand_are_put_back(
    operator_site: OperatorSite,
) -> None:
    site = operator_site
    await applied(site, "broker")
    planned = await site.stream_max_bytes("broker")
    async with site.jetstream() as js:
        config = (await js.stream_info("FLEET_broker")).config
        config.max_bytes = 10 * (planned or 0)
        await js.update_stream(config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        inventory = await js.key_value("fleet-inventory")
        await inventory.delete("broker.r0")
        await inventory.put("broker.r1", b"{}")
        await inventory.put("broker.stranger", b"{}")
        await inventory.put("nobody.r0", b"{}")

    async def is_back() -> bool:
        async with site.jetstream() as js:
            store = await js.key_value("fleet-inventory")
            record = (await store.get("broker.r1")).value or b""
        return (
            await site.stream_max_bytes("broker") == planned
            and await site.keys("fleet-inventory", "broker") == ["r0", "r1"]
            and await site.keys("fleet-inventory", "nobody") == []
            and b"10.0.0.1" in record
        )

    await site.until(lambda: asyncio.run(is_back()), bool, what="stream and records as planned")
    async with site.jetstream() as js:
        await js.delete_stream("FLEET_broker")
        await js.delete_key_value("fleet-inventory")
    await site.until(
        lambda: asyncio.run(is_back_after_deletion(site, planned)), bool, what="both made again"
    )


async def is_back_after_deletion(site: OperatorSite, planned: int | None) -> bool:
    try:
        return await site.stream_max_bytes("broker") == planned and await site.keys(
            "fleet-inventory", "broker"
        ) == ["r0", "r1"]
    except Exception:  # noqa: BLE001 - the bucket is not there yet
        return False


async def test_a_wrong_row_is_named_and_the_others_are_devices(
    operator_site: OperatorSite,
) -> None:
    site = operator_site
    rows = [{"name": f"m{n}", "address": f"10.2.0.{n}"} for n in range(200)]
    rows[17] = {"name": "m17", "adress": "10.2.0.17"}
    source = [{"configMapRef": {"name": "rows"}}]
    site.apply(
        config_map("rows", json.dumps(rows)), routers_secret(), fleet("rows", devicesFrom=source)
    )
    found = await site.until_condition("rows", "InventoryValid", "False", text="m17")
    assert found["reason"] == "MalformedDevice"
    await site.until(
        lambda: site.get("rf", "rows")["status"].get("devices", {}),
        lambda devices: devices.get("total") == 201 and devices.get("invalid") == 1,
        what="the other devices",
    )
    rows[17] = {"name": "m17", "address": "10.2.0.17"}
    site.apply(config_map("rows", json.dumps(rows)))
    await site.until_condition("rows", "InventoryValid", "True")
    assert len(await site.keys("fleet-inventory", "rows")) == 202


async def test_a_config_map_and_a_secret_that_come_later_are_taken_up(
    operator_site: OperatorSite,
) -> None:
    site = operator_site
    spec = {
        "devicesFrom": [{"configMapRef": {"name": "later"}}],
        "credentials": {"secretRef": {"name": "later"}},
    }
    site.apply(fleet("later", **spec))
    await site.until_condition("later", "InventoryValid", "False", reason="ConfigMapMissing")
    await site.until_condition("later", "CredentialsValid", "False", reason="SecretMissing")
    began = time.monotonic()
    site.apply(config_map("later", "- {name: x1, address: 10.3.0.1}"), routers_secret("later"))
    await site.until_condition("later", "InventoryValid", "True")
    await site.until_condition("later", "CredentialsValid", "True")
    assert time.monotonic() - began < 10
    assert await site.keys("fleet-inventory", "later") == ["r0", "r1", "x1"]
    site.delete("configmap", "later")
    await site.until_condition("later", "InventoryValid", "False", text="go on being polled")
    assert await site.keys("fleet-inventory", "later") == ["r0", "r1", "x1"]


async def test_a_ca_that_is_none_is_said_until_it_is_mended(
    operator_site: OperatorSite, tmp_path: Path
) -> None:
    site = operator_site
    tls = {"mode": "verify", "caSecretRef": {"name": "bad-ca"}}
    site.apply(ca_secret("not a certificate"), routers_secret(), fleet("bad-ca", tls=tls))
    await site.until_condition(
        "bad-ca",
        "CredentialsValid",
        "False",
        reason="SecretKeyUnusable",
        text="Secret bad-ca: ca.crt holds no certificate in PEM; needed by 2 devices (r0, r1)",
    )
    site.apply(ca_secret(Authority(tmp_path).ca_file.read_text()))
    await site.until_condition("bad-ca", "CredentialsValid", "True")


async def test_more_devices_resize_the_live_stream(operator_site: OperatorSite) -> None:
    site = operator_site
    await applied(site, "grows", events={"replayWindow": "24h"})
    before = await site.stream_max_bytes("grows") or 0
    devices = [{"name": f"d{n}", "address": f"10.4.0.{n}"} for n in range(100)]
    site.patch("rf", "grows", {"spec": {"devices": devices}})
    await site.until(
        lambda: asyncio.run(site.stream_max_bytes("grows")) or 0,
        lambda now: now > 5 * before,
        what="a larger stream",
    )


async def test_a_stream_that_the_broker_refuses_is_said_and_stops_no_other(
    operator_site: OperatorSite,
) -> None:
    site = operator_site
    site.apply(routers_secret(), fleet("three", events={"replicas": 3}), fleet("fine"))
    await site.until_condition("three", "StreamSized", "False", reason="StreamRefused")
    await site.until_condition("fine", "Ready", "True")
    site.delete("rf", "three", wait=True)


async def test_a_foreign_object_of_the_same_name_is_not_taken(
    operator_site: OperatorSite,
) -> None:
    site = operator_site
    site.apply(config_map("foreign-shard", "mine"), routers_secret(), fleet("foreign"))
    await site.until_condition("foreign", "ShardsReady", "False", reason="ObjectRefused")
    assert site.get("configmap", "foreign-shard")["data"] == {"devices.yaml": "mine"}
    # Pods would take what is not theirs for their environment: there are to be none.
    await site.passes(3)
    assert site.find("statefulset", "foreign-shard") is None
    await site.until(
        lambda: site.events("foreign", "ObjectRefused"), bool, what="an Event that says so"
    )
    site.delete("configmap", "foreign-shard")
    await site.until_condition("foreign", "Ready", "True")


async def test_a_foreign_object_that_the_operator_is_not_told_of_is_not_taken(
    operator_site: OperatorSite,
) -> None:
    site = operator_site
    spec = {"ports": [{"name": "mine", "port": 5000}], "selector": {"app": "mine"}}
    service: Document = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "service-shard"},
        "spec": spec,
    }
    site.apply(service, routers_secret(), fleet("service"))
    await site.until_condition("service", "ShardsReady", "False", reason="ObjectRefused")
    assert site.get("service", "service-shard")["spec"]["selector"] == {"app": "mine"}
    site.delete("service", "service-shard")
    await site.until_condition("service", "Ready", "True")
    labels = site.get("service", "service-shard")["metadata"]["labels"]
    # One of its own is known by its owner, also without the label that it is listed by.
    site.patch("service", "service-shard", {"metadata": {"labels": {TENANT_LABEL: None}}})
    await site.until(
        lambda: site.get("service", "service-shard")["metadata"]["labels"],
        lambda now: now == labels,
        what="the label again",
    )


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
async def test_a_deleted_fleet_leaves_only_what_its_policy_keeps(
    operator_site: OperatorSite, policy: str
) -> None:
    site = operator_site
    name = f"ends-{policy.lower()}"
    await applied(site, name, deletionPolicy=policy)
    site.delete("rf", name)
    await site.until(lambda: site.find("rf", name), lambda found: found is None, what="its end")
    assert await site.keys("fleet-inventory", name) == []
    assert (await site.stream_max_bytes(name) is None) is (policy == "Delete")
    for kind in ("configmap", "service", "statefulset", "poddisruptionbudget"):
        await site.until(
            lambda kind=kind: site.find(kind, f"{name}-shard"),
            lambda found: found is None,
            what=f"{kind} collected",
        )
