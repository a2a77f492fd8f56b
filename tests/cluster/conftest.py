"""A real API server for the tests: the cluster of KUBECONFIG, a namespace of one's own."""

import os
import shutil
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

from e2e.commands import kubectl, run

ROOT: Final = Path(__file__).resolve().parents[2]
CRDS: Final = ROOT / "charts/routerfleet/crds"
_TEST_CONTEXTS: Final = ("fleet-test", "kind-", "k3d-", "minikube")
_HERE: Final = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nats-image", default="nats:2", help="image of the chart's NATS")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test is marked, and skipped by name where there is no cluster."""
    missing = [] if shutil.which("kubectl") else ["kubectl"]
    if not os.environ.get("KUBECONFIG"):  # noqa: TID251 - what kubectl itself goes by
        missing.append("KUBECONFIG")
    for item in items:
        if _HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.cluster)
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"needs {' and '.join(missing)}"))


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    """The file of KUBECONFIG; its context must be that of a cluster made for tests."""
    context = run(("kubectl", "config", "current-context")).stdout.strip()
    if not context.startswith(_TEST_CONTEXTS):
        pytest.fail(
            f"context {context!r} is no test cluster: it must begin with one of "
            f"{', '.join(_TEST_CONTEXTS)}"
        )
    return Path(os.environ["KUBECONFIG"])  # noqa: TID251 - what kubectl itself goes by


@pytest.fixture(scope="session")
def definition(kubeconfig: Path) -> Path:
    """The custom resource definition as committed, in the cluster; its folder."""
    del kubeconfig
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    return CRDS


@pytest.fixture(scope="module")
def namespace(definition: Path, request: pytest.FixtureRequest) -> Generator[str]:
    """An empty namespace, deleted afterwards."""
    del definition
    part = request.path.stem.removeprefix("test_").replace("_", "-")[:30]
    name = f"test-{part}-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")
