"""The chart before a real API server: schemas, a dry run, and an upgrade that keeps what is."""

import base64
import copy
import json
import os
import shlex
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.commands import CommandError, find, get, kubectl, run
from support.helm import CHART, CI_VALUES, Chart, parsed
from support.kube_schemas import write_schemas

PROMETHEUS_OPERATOR = {"PodMonitor", "ServiceMonitor", "PrometheusRule"}
NATS = "rf-routerfleet-nats"
_NEEDED = [tool for tool in ("helm", "kubectl") if shutil.which(tool) is None]
if not os.environ.get("KUBECONFIG"):  # noqa: TID251 - what kubectl itself goes by
    _NEEDED.append("KUBECONFIG")

pytestmark = pytest.mark.skipif(bool(_NEEDED), reason=f"needs {' and '.join(_NEEDED)}")


@pytest.fixture
def namespace() -> Iterator[str]:
    """An empty one in which only restricted pods are let in."""
    name = f"test-chart-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> str:
    text = kubectl("get", "--raw", "/openapi/v2")
    return write_schemas(text, tmp_path_factory.mktemp("schemas"))


@pytest.mark.skipif(shutil.which("kubeconform") is None, reason="needs kubeconform")
@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_every_object_has_only_fields_that_there_are(
    values: Path, chart: Chart, schemas: str
) -> None:
    text = yaml.safe_dump_all(chart.render(values).documents)

    run(
        ("kubeconform", "-strict", "-skip", ",".join(PROMETHEUS_OPERATOR),
         "-schema-location", schemas, "-"),
        stdin=text,
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("kubeconform") is None, reason="needs kubeconform")
def test_a_misspelt_field_is_found(chart: Chart, schemas: str) -> None:
    document = chart.render().one("Deployment", "rf-routerfleet-writer")
    document["spec"]["template"]["spec"]["enableServiceLink"] = False
    text = yaml.safe_dump(document)
    del document["spec"]["template"]["spec"]["enableServiceLink"]

    with pytest.raises(CommandError, match="enableServiceLink"):
        run(("kubeconform", "-strict", "-schema-location", schemas, "-"), stdin=text)


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_the_server_takes_every_object(values: Path, chart: Chart, namespace: str) -> None:
    settings = ["-f", str(values), "--namespace", namespace]
    if "external" in values.name:
        settings += ["--set", f"operator.namespaces={{{namespace}}}"]
    made = parsed(chart.template(*settings).stdout)
    documents = [one for one in made.documents if one["kind"] not in PROMETHEUS_OPERATOR]

    outcome = run(
        ("kubectl", "-n", namespace, "apply", "--dry-run=server", "-f", "-"),
        stdin=yaml.safe_dump_all(documents),
    )

    # A warning is how the server says that a workload's pods would be refused.
    assert not outcome.stderr
    assert outcome.stdout.count("(server dry run)") == len(documents)


def helm(verb: str, namespace: str, *settings: str) -> None:
    """Without images and without waiting: it is about objects, not about pods."""
    options = [part for setting in settings for part in ("--set", setting)]
    run(
        ("helm", verb, "rf", str(CHART), "-n", namespace, "--set", "image.registry=none.invalid",
         "--set", "image.pullPolicy=Never", *options),
        seconds=120,
    )  # fmt: skip


def secrets(namespace: str) -> dict[str, Any]:
    names = (NATS, "rf-routerfleet-postgresql", "rf-routerfleet-gateway")
    return {name: get("secret", name, namespace)["data"] for name in names}


def claim(namespace: str) -> str:
    templates = get("statefulset", NATS, namespace)["spec"]["volumeClaimTemplates"]
    return templates[0]["spec"]["resources"]["requests"]["storage"]


def test_an_upgrade_keeps_passwords_and_volumes(namespace: str) -> None:
    helm("install", namespace, "nats.persistence.size=4Gi")
    before = secrets(namespace)

    helm("upgrade", namespace, "nats.streams.fileBytes=1Gi", "writer.replicas=2")

    assert secrets(namespace) == before
    assert claim(namespace) == "4Gi"
    assert get("deployment", "rf-routerfleet-writer", namespace)["spec"]["replicas"] == 2
    assert base64.b64decode(before[NATS]["services-password"]).decode()[0].isalpha()
    with pytest.raises(CommandError, match="is to have 71Gi and has 4Gi"):
        helm("upgrade", namespace, "nats.streams.fileBytes=64Gi")
    with pytest.raises(CommandError, match="is to have 4Gi, and streams of 64Gi"):
        helm("upgrade", namespace, "nats.persistence.size=4Gi", "nats.streams.fileBytes=64Gi")
    run(("helm", "uninstall", "rf", "-n", namespace))
    assert find("secret", "rf-routerfleet-postgresql", namespace) is not None
    helm("install", namespace)  # the kept password goes with the kept volume
    assert secrets(namespace)["rf-routerfleet-postgresql"] == before["rf-routerfleet-postgresql"]
    run(("helm", "uninstall", "rf", "-n", namespace))
    kinds = "deployments,statefulsets,services,networkpolicies,roles,rolebindings,configmaps"
    left = json.loads(kubectl("-n", namespace, "get", kinds, "-o", "json"))["items"]
    assert [one["metadata"]["name"] for one in left] == ["kube-root-ca.crt"]


@pytest.mark.parametrize(
    ("installed", "upgraded", "complaint"),
    [
        (
            ("nats.persistence.enabled=false",),
            ("nats.persistence.enabled=true",),
            "nats.persistence.enabled: rf-routerfleet-nats was made without a volume",
        ),
        (
            ("postgresql.persistence.enabled=true",),
            ("postgresql.persistence.enabled=false",),
            "postgresql.persistence.enabled: rf-routerfleet-postgresql was made with a volume",
        ),
        (
            ("nats.persistence.storageClass=one",),
            ("nats.persistence.storageClass=other",),
            'has volumes of "one" and is to have them of "other"',
        ),
        (("nats.replicas=1",), ("nats.replicas=3",), "nats.replicas: .* has 1 and is to have 3"),
        (("nats.replicas=5",), ("nats.replicas=3",), "nats.replicas: .* has 5 and is to have 3"),
    ],
)
def test_what_no_upgrade_can_do_is_refused_with_what_to_do(
    installed: tuple[str, ...], upgraded: tuple[str, ...], complaint: str, namespace: str
) -> None:
    helm("install", namespace, *installed)
    before = get("statefulset", NATS, namespace)["metadata"]["generation"]

    with pytest.raises(CommandError, match=complaint) as refusal:
        helm("upgrade", namespace, *upgraded)

    assert get("statefulset", NATS, namespace)["metadata"]["generation"] == before
    for command in commands_in(str(refusal.value)):
        run(command)
    if "nats.replicas" in complaint:
        kubectl("-n", namespace, "delete", "statefulset", NATS)
    helm("upgrade", namespace, *upgraded)


def commands_in(text: str) -> list[list[str]]:
    """The commands that a refusal tells the user to run."""
    return [shlex.split(line) for line in text.splitlines() if line.startswith("  kubectl ")]


def test_three_servers_may_become_five_and_images_and_replicas_change(namespace: str) -> None:
    helm("install", namespace, "nats.replicas=3")
    before = secrets(namespace)

    helm("upgrade", namespace, "nats.replicas=5", "image.tag=other", "gateway.replicas=3")

    assert secrets(namespace) == before
    assert get("statefulset", NATS, namespace)["spec"]["replicas"] == 5
    gateway = get("deployment", "rf-routerfleet-gateway", namespace)["spec"]
    assert gateway["replicas"] == 3
    image = gateway["template"]["spec"]["containers"][0]["image"]
    assert image == "none.invalid/routerfleet-gateway:other"


@pytest.fixture
def expandable(namespace: str) -> Iterator[str]:
    """A StorageClass whose volumes may grow, with one volume for each claim to be made."""
    name = f"{namespace}-expandable"
    claims = {"nats": f"data-{NATS}-0", "postgresql": "data-rf-routerfleet-postgresql-0"}
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "kubernetes.io/no-provisioner",
        "allowVolumeExpansion": True,
    }
    volumes = [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{name}-{part}"},
            "spec": {
                "capacity": {"storage": "100Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": name,
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": namespace, "name": claim},
                "hostPath": {"path": "/nowhere"},
            },
        }
        for part, claim in claims.items()
    ]
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([storage_class, *volumes]))
    try:
        yield name
    finally:
        made = [f"pv/{name}-{part}" for part in claims]
        kubectl("delete", f"storageclass/{name}", *made, "--wait=false")


@pytest.mark.parametrize(
    ("part", "claim_name"),
    [("nats", f"data-{NATS}-0"), ("postgresql", "data-rf-routerfleet-postgresql-0")],
)
def test_a_volume_grows_by_the_commands_that_the_refusal_tells(
    part: str, claim_name: str, namespace: str, expandable: str
) -> None:
    settings = [f"{one}.persistence.storageClass={expandable}" for one in ("nats", "postgresql")]
    helm("install", namespace, *settings, f"{part}.persistence.size=30Gi")
    kubectl("-n", namespace, "wait", f"pvc/{claim_name}", "--for=jsonpath={.status.phase}=Bound")
    uid = get("pvc", claim_name, namespace)["metadata"]["uid"]
    larger = [*settings, f"{part}.persistence.size=40Gi"]

    with pytest.raises(CommandError, match="is to have 40Gi and has 30Gi") as refusal:
        helm("upgrade", namespace, *larger)
    commands = commands_in(str(refusal.value))
    for command in commands:
        run(command)
    helm("upgrade", namespace, *larger)

    assert len(commands) == 2
    claimed = get("pvc", claim_name, namespace)
    assert claimed["spec"]["resources"]["requests"]["storage"] == "40Gi"
    assert claimed["metadata"]["uid"] == uid
    made = get("statefulset", f"rf-routerfleet-{part}", namespace)["spec"]["volumeClaimTemplates"]
    assert made[0]["spec"]["resources"]["requests"]["storage"] == "40Gi"


@pytest.fixture
def older_definition(namespace: str) -> Iterator[dict[str, Any]]:
    """A definition like ours under other names, as Helm installed it from an older chart: a
    field is missing and a text was another.

    No name is ours: kubectl keeps what it knows of a server for hours, and would take
    `routerfleets` for this group's when it has gone."""
    (path,) = (CHART / "crds").glob("*.yaml")
    newer = yaml.safe_load(path.read_text(encoding="utf-8"))
    newer["spec"]["group"] = f"{namespace}.example.com"
    newer["spec"]["names"] = {
        "kind": "RouterFleet", "plural": "fleetsofbefore", "singular": "fleetofbefore",
    }  # fmt: skip
    newer["metadata"]["name"] = f"fleetsofbefore.{namespace}.example.com"
    older = copy.deepcopy(newer)
    spec = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["deletionPolicy"]
    spec["properties"]["suspend"]["description"] = "Words of before."
    kubectl("create", "--field-manager=helm", "-f", "-", stdin=yaml.safe_dump(older))
    kubectl("wait", "--for=condition=Established", f"crd/{newer['metadata']['name']}")
    try:
        yield newer
    finally:
        kubectl("delete", "crd", newer["metadata"]["name"], "--wait=false")


def readme_command(begin: str) -> list[str]:
    """A command of the README that begins so, without its comment."""
    text = (CHART / "README.md").read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith(begin)]
    return shlex.split(line, comments=True)


def test_a_newer_definition_goes_over_helms_older_one_by_the_readmes_command(
    namespace: str, older_definition: dict[str, Any], tmp_path: Path
) -> None:
    group = older_definition["spec"]["group"]
    fleet: dict[str, Any] = {
        "apiVersion": f"{group}/v1alpha1",
        "kind": "RouterFleet",
        "metadata": {"name": "alpha", "namespace": namespace},
        "spec": {"credentials": {"secretRef": {"name": "routers"}}, "devices": []},
    }
    newer_fleet = fleet | {"spec": {**fleet["spec"], "deletionPolicy": "Delete"}}
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(fleet))
    with pytest.raises(CommandError, match="deletionPolicy"):
        kubectl("apply", "-f", "-", stdin=yaml.safe_dump(newer_fleet))
    path = tmp_path / "newer.yaml"
    path.write_text(yaml.safe_dump(older_definition))
    command = readme_command("kubectl apply --server-side")

    run([str(path) if part.endswith("/crds") else part for part in command])

    definition = older_definition["metadata"]["name"]
    uid = get(definition, "alpha", namespace)["metadata"]["uid"]
    deadline = time.monotonic() + 20
    while True:  # the API server takes a moment to serve the new schema
        try:
            kubectl("apply", "-f", "-", stdin=yaml.safe_dump(newer_fleet))
            break
        except CommandError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    stored = get(definition, "alpha", namespace)
    assert stored["metadata"]["uid"] == uid
    assert stored["spec"]["deletionPolicy"] == "Delete"
