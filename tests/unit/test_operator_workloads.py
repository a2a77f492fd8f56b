"""The objects of a fleet: what is in them, and what changes roll the pods."""

from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fleet_common.errors import ConfigurationError
from fleet_common.fleet_spec import RouterFleet, parse_fleet
from fleet_common.settings import LogSection
from fleet_operator.drift import covers, projected
from fleet_operator.kinds import STATEFUL_SET
from fleet_operator.poller_pods import PodExtras, PodSource, PollerPods, load_extras
from fleet_operator.settings import OperatorSettings
from fleet_operator.workloads import (
    HASH_ANNOTATION,
    TEMPLATE_ANNOTATION,
    Owner,
    pod_name,
    router_secrets,
    template_hash,
    workloads,
)
from support.operator_fleets import fleet_document

OWNER = Owner("one", "alpha", "uid-1")
PODS = PollerPods(
    image="routerfleet-poller:1",
    pull_policy="IfNotPresent",
    nats_url="nats://nats:4222",
    nats_user="poller",
    nats_password="secret",
    log=LogSection(),
)

FILES = {
    "ca.crt": b"secret ca",
    "tls.crt": b"secret cert",
    "tls.key": b"secret key",
    "user.creds": b"secret creds",
}


def settings(**variables: object) -> OperatorSettings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, str(value))
        return OperatorSettings()


def fleet(**spec: object) -> RouterFleet:
    return parse_fleet(fleet_document(spec=spec), "test")


def by_kind(
    pods: PollerPods = PODS, *, replicas: int = 2, spec: RouterFleet | None = None
) -> dict[str, Any]:
    made = workloads(OWNER, spec or fleet(), pods, replicas)
    return {one.key.kind.kind: one.document for one in made}


def template(pods: PollerPods = PODS, *, spec: RouterFleet | None = None) -> dict[str, Any]:
    return by_kind(pods, spec=spec)["StatefulSet"]["spec"]["template"]


def test_every_object_is_owned_named_and_labelled() -> None:
    for one in workloads(OWNER, fleet(), PODS, 1):
        metadata = one.document["metadata"]
        assert metadata["ownerReferences"][0]["uid"] == "uid-1"
        assert metadata["labels"]["routerfleet.io/tenant"] == "alpha"
        assert metadata["annotations"][HASH_ANNOTATION] == one.hash
        assert one.key.name in {"alpha-shard", "alpha-shard-nats"}


def test_the_pods_come_last() -> None:
    assert workloads(OWNER, fleet(), PODS, 1)[-1].key.kind is STATEFUL_SET


def test_a_shard_is_named_after_the_pods_index() -> None:
    container = template()["spec"]["containers"][0]
    env = {one["name"]: one for one in container["env"]}
    assert env["FLEET_POLLER__SHARD"]["value"] == "shard-$(POD_INDEX)"
    path = env["POD_INDEX"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert path == "metadata.labels['apps.kubernetes.io/pod-index']"
    assert pod_name("alpha", "shard-12") == "alpha-shard-12"


def test_pods_are_restricted() -> None:
    spec = template()["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    security = spec["containers"][0]["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}


def test_every_secret_of_the_fleet_is_mounted_and_optional() -> None:
    other = {"secretRef": {"name": "edge"}}
    tls = {"mode": "verify", "caSecretRef": {"name": "ca"}}
    devices = [{"name": "a", "address": "h", "credentials": other, "tls": tls}]
    assert router_secrets(fleet(devices=devices)) == ("ca", "edge", "routers")
    sources = template(spec=fleet(devices=devices))["spec"]["volumes"][0]["projected"]["sources"]
    assert all(one["secret"]["optional"] for one in sources)
    paths = {item["path"] for one in sources for item in one["secret"]["items"]}
    assert {"edge/username", "edge/password", "ca/ca.crt", "routers/password"} <= paths


def test_no_password_is_in_any_object_but_the_secret() -> None:
    for kind, document in by_kind().items():
        assert kind == "Secret" or "c2VjcmV0" not in str(document)
        assert "'secret'" not in str(document.get("data", ""))


def test_a_nats_user_is_in_variables_and_nothing_else_of_the_secret() -> None:
    container = template(replace(PODS, nats_files=FILES))["spec"]["containers"][0]
    assert container["envFrom"] == [{"configMapRef": {"name": "alpha-shard"}}]
    names = {one["name"]: one.get("valueFrom", {}).get("secretKeyRef") for one in container["env"]}
    for name in ("FLEET_NATS__USER", "FLEET_NATS__PASSWORD"):
        assert names[name] == {"name": "alpha-shard-nats", "key": name}


def test_files_of_the_nats_connection_reach_the_pods() -> None:
    made = by_kind(replace(PODS, nats_files=FILES, nats_server_name="nats.example.com"))
    assert b64decode(made["Secret"]["data"]["user.creds"]) == b"secret creds"
    spec = made["StatefulSet"]["spec"]["template"]["spec"]
    (volume,) = [one for one in spec["volumes"] if one["name"] == "nats"]
    assert volume["secret"]["secretName"] == "alpha-shard-nats"
    paths = {item["path"] for item in volume["secret"]["items"]}
    (mount,) = [one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "nats"]
    data = made["ConfigMap"]["data"]
    assert {data[f"FLEET_NATS__{name}_FILE"] for name in ("CA", "CERT", "KEY", "CREDENTIALS")} == {
        f"{mount['mountPath']}/{path}" for path in paths
    }
    assert data["FLEET_NATS__SERVER_NAME"] == "nats.example.com"


def test_renewed_files_roll_no_pod() -> None:
    one, other = (
        by_kind(replace(PODS, nats_files={"ca.crt": content})) for content in (b"old", b"new")
    )
    assert one["Secret"] != other["Secret"]
    assert one["StatefulSet"]["spec"] == other["StatefulSet"]["spec"]


def test_files_are_read_anew_and_kept_while_they_cannot_be(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.crt"
    ca_file.write_bytes(b"old")
    source = PodSource(settings(FLEET_NATS__CA_FILE=ca_file))
    before = source.now()
    assert source.now() is before
    ca_file.write_bytes(b"new")
    after = source.now()
    assert (before.nats_files, after.nats_files) == ({"ca.crt": b"old"}, {"ca.crt": b"new"})
    ca_file.unlink()
    assert source.now() is after


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"FLEET_OPERATOR__POLLER_NATS_USER": "x"}, "POLLER_NATS_PASSWORD go together"),
        ({"FLEET_OPERATOR__POLLER_NATS_CERT_FILE": "/x"}, "POLLER_NATS_KEY_FILE go together"),
        ({"FLEET_NATS__CA_FILE": "/none/ca.crt"}, "/none/ca.crt"),
    ],
)
def test_what_is_wrong_with_the_pollers_connection_is_named(
    variables: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        PodSource(settings(**variables))


def test_without_a_nats_user_there_is_no_secret_and_no_mention_of_it() -> None:
    plain = replace(PODS, nats_user=None, nats_password=None)
    assert "Secret" not in by_kind(plain)
    container = template(plain)["spec"]["containers"][0]
    assert container["envFrom"] == [{"configMapRef": {"name": "alpha-shard"}}]


@pytest.mark.parametrize(
    "pods",
    [
        replace(PODS, nats_password="other"),
        replace(PODS, nats_files={"ca.crt": b"one"}),
        replace(PODS, nats_url="nats://elsewhere:4222"),
        replace(PODS, image="routerfleet-poller:2"),
        replace(PODS, extras=PodExtras(env={"FLEET_POLLER__CONCURRENT_LOGINS": "8"})),
    ],
)
def test_a_change_of_environment_or_image_rolls_the_pods(pods: PollerPods) -> None:
    assert template(pods) != template()


def test_a_shard_is_restarted_only_for_what_a_restart_may_cure() -> None:
    container = template()["spec"]["containers"][0]
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"


def test_scaling_and_other_devices_roll_no_pod() -> None:
    three = [{"name": f"x{n}", "address": "h"} for n in range(3)]
    assert template(spec=fleet(devices=three)) == template()
    assert by_kind(replicas=5)["StatefulSet"]["spec"]["template"] == template()


def test_the_charts_wishes_are_in_the_pod_and_cannot_undo_the_selector() -> None:
    extras = PodExtras(
        resources={"limits": {"memory": "64Mi"}},
        node_selector={"disk": "ssd"},
        pod_labels={"team": "net", "app.kubernetes.io/instance": "stolen"},
        pod_annotations={"prometheus.io/scrape": "false"},
    )
    made = template(replace(PODS, extras=extras))
    assert made["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert made["spec"]["containers"][0]["resources"] == {"limits": {"memory": "64Mi"}}
    assert made["metadata"]["labels"]["team"] == "net"
    assert made["metadata"]["labels"]["app.kubernetes.io/instance"] == "alpha"
    assert made["metadata"]["annotations"]["prometheus.io/scrape"] == "false"


def test_the_pod_file_names_a_wrong_field(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text("podLabel: {a: b}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="podLabel"):
        load_extras(file)


def test_options_left_empty_in_the_pod_file_are_not_set(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text("nodeSelector: {}\naffinity:\nenv: {A: b}\n", encoding="utf-8")
    extras = load_extras(file)
    assert extras.env == {"A": "b"}
    assert extras.node_selector is None


def test_a_pod_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert load_extras(None) == PodExtras()
    with pytest.raises(ConfigurationError, match="POLLER_POD_FILE"):
        load_extras(tmp_path / "absent.yaml")


def test_what_the_api_server_adds_is_no_drift() -> None:
    wanted: dict[str, Any] = {"spec": {"replicas": 2, "ports": [{"name": "admin"}], "none": {}}}
    live = {"spec": {"replicas": 2, "ports": [{"name": "admin", "protocol": "TCP"}], "more": 1}}
    assert covers(live, wanted)


@pytest.mark.parametrize(
    "live",
    [
        {"spec": {"replicas": 3, "ports": [{"name": "admin"}]}},
        {"spec": {"replicas": 2, "ports": []}},
        {"spec": {"replicas": 2}},
        {"spec": {"replicas": 2, "ports": [{"name": "other"}]}},
        {},
    ],
)
def test_what_someone_else_changed_is_drift(live: dict[str, Any]) -> None:
    assert not covers(live, {"spec": {"replicas": 2, "ports": [{"name": "admin"}]}})


def test_a_projection_has_only_what_was_asked_for() -> None:
    wanted = {"a": {"b": 1}, "c": [{"d": 1}]}
    live = {"a": {"b": "1", "x": 1}, "c": [{"d": 2, "y": 1}], "z": 1}
    assert projected(live, wanted) == {"a": {"b": "1"}, "c": [{"d": 2}]}


def test_another_template_is_seen_by_its_annotation() -> None:
    annotation = by_kind()["StatefulSet"]["metadata"]["annotations"][TEMPLATE_ANNOTATION]
    assert annotation == template_hash(OWNER, fleet(), PODS)
    assert annotation == template_hash(OWNER, fleet(devices=[]), PODS), "devices are in no pod"
    assert annotation != template_hash(OWNER, fleet(), replace(PODS, image="other:1"))


@pytest.mark.parametrize(
    ("grace", "leave", "stop"), [(30, "5", "15"), (13, "2", "12"), (10, "0", "10")]
)
def test_a_pod_that_ends_waits_for_others_within_its_grace(
    grace: int, leave: str, stop: str
) -> None:
    extras = PodExtras(termination_grace_period_seconds=grace)
    data = by_kind(replace(PODS, extras=extras))["ConfigMap"]["data"]
    assert data["FLEET_POLLER__LEAVE_SECONDS"] == leave
    assert data["FLEET_RUNTIME__GRACE_SECONDS"] == stop


def test_copies_of_buckets_are_read_from_a_variable() -> None:
    assert settings(FLEET_OPERATOR__BUCKET_REPLICAS="3").operator.bucket_replicas == 3
    with pytest.raises(ValidationError, match="Input should be 1, 3 or 5"):
        settings(FLEET_OPERATOR__BUCKET_REPLICAS="2")
