"""Monitors and rules before the definitions of Prometheus Operator itself, on a real API server.

The definitions come with its Go module, whose checksum is known here; nothing of it is kept in
the repository.
"""

import json
import os
import shutil
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest
import yaml

from e2e.commands import CommandError, kubectl, run
from support.helm import CHART, Chart, Document

MODULE: Final = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
SUM: Final = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="
KINDS: Final = {
    "PodMonitor": "podmonitors",
    "ServiceMonitor": "servicemonitors",
    "PrometheusRule": "prometheusrules",
}
_NEEDED = [tool for tool in ("helm", "kubectl", "go") if shutil.which(tool) is None]
if not os.environ.get("KUBECONFIG"):  # noqa: TID251 - what kubectl itself goes by
    _NEEDED.append("KUBECONFIG")

pytestmark = pytest.mark.skipif(bool(_NEEDED), reason=f"needs {' and '.join(_NEEDED)}")


@pytest.fixture
def definitions(tmp_path: Path) -> Generator[None]:
    """In the cluster for the time being; those that are there already stay as they are."""
    (tmp_path / "go.mod").write_text("module none\n\ngo 1.22\n")
    try:
        answer = run(
            ("go", "mod", "download", "-json", MODULE),
            seconds=120,
            directory=tmp_path,
            environment={**os.environ, "GOFLAGS": "-mod=mod"},  # noqa: TID251 - go's own
        )
    except CommandError as error:
        pytest.skip(f"the module {MODULE} cannot be had: {error}")
    module = json.loads(answer.stdout)
    assert module["Sum"] == SUM
    made: list[str] = []
    with zipfile.ZipFile(Path(module["Zip"])) as archive:
        for plural in KINDS.values():
            name = f"{plural}.monitoring.coreos.com"
            if run(("kubectl", "get", "crd", name), check=False).returncode == 0:
                continue
            path = f"{MODULE}/example/prometheus-operator-crd/monitoring.coreos.com_{plural}.yaml"
            kubectl("create", "-f", "-", stdin=archive.read(path).decode())
            made.append(f"crd/{name}")
    try:
        for plural in KINDS.values():
            kubectl(
                "wait", "--for=condition=Established", "--timeout=30s",
                f"crd/{plural}.monitoring.coreos.com",
            )  # fmt: skip
        yield
    finally:
        if made:
            kubectl("delete", *made, "--timeout=30s")


def dry_run(document: Document) -> str:
    """What the API server says; unknown fields are errors."""
    return kubectl(
        "-n", "default", "create", "--dry-run=server", "--validate=strict", "-f", "-",
        stdin=yaml.safe_dump({**document, "metadata": document["metadata"] | {"namespace": None}}),
    )  # fmt: skip


@pytest.mark.usefixtures("definitions")
def test_prometheus_operators_definitions_take_ours_and_find_a_misspelt_field(
    chart: Chart,
) -> None:
    # One test: the definitions are the whole cluster's, and two workers would be in each other's.
    rendered = chart.render(CHART / "ci/monitoring-values.yaml")
    for kind in KINDS:
        assert rendered.of(kind)
        for document in rendered.of(kind):
            assert "created (server dry run)" in dry_run(document)

    monitor = rendered.of("PodMonitor")[0]
    spec: Document = {**monitor["spec"], "podMetricsEndpoint": []}
    with pytest.raises(CommandError, match="podMetricsEndpoint"):
        dry_run(monitor | {"spec": spec})
