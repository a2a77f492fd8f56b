"""The chart before a real API server: schemas, a dry run, and an upgrade that keeps what is."""

import base64
import json
import os
import shutil
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
    run(("helm", "uninstall", "rf", "-n", namespace))
    assert find("secret", "rf-routerfleet-postgresql", namespace) is not None
    helm("install", namespace)  # the kept password goes with the kept volume
    assert secrets(namespace)["rf-routerfleet-postgresql"] == before["rf-routerfleet-postgresql"]
    run(("helm", "uninstall", "rf", "-n", namespace))
    kinds = "deployments,statefulsets,services,networkpolicies,roles,rolebindings,configmaps"
    left = json.loads(kubectl("-n", namespace, "get", kinds, "-o", "json"))["items"]
    assert [one["metadata"]["name"] for one in left] == ["kube-root-ca.crt"]
