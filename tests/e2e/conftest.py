"""The site, installed once; figures at the end; what the cluster looked like when a step fails."""

import json
import os
import shutil
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from e2e import diagnosis
from e2e.commands import kubectl, run
from e2e.images import build_and_load
from e2e.options import ROOT, Options, add_options, read_options
from e2e.site import RELEASE, Site

_NAMESPACE_SECONDS = 180


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every step is marked, and skipped by name where there is no cluster."""
    missing = [name for name in ("kubectl", "helm") if shutil.which(name) is None]
    if not os.environ.get("KUBECONFIG"):  # noqa: TID251 - what kubectl itself goes by
        missing.append("KUBECONFIG")
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.e2e)
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"e2e needs {', '.join(missing)}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and call.when in {"setup", "call"}:
        diagnosis.show(read_options(item.config))
    return report


def _remove(options: Options) -> None:
    """Everything that this run or an earlier one made; RouterFleets while an operator is there."""
    for namespace in options.namespaces[1:]:
        run(
            ("kubectl", "-n", namespace, "delete", "routerfleets", "--all", "--timeout=60s"),
            check=False,
            seconds=90,
        )
    run(
        ("helm", "uninstall", RELEASE, "-n", options.system, "--wait", "--timeout", "60s"),
        check=False,
        seconds=90,
    )
    kubectl(
        "delete",
        "namespace",
        *options.namespaces,
        "--ignore-not-found",
        f"--timeout={_NAMESPACE_SECONDS}s",
        seconds=_NAMESPACE_SECONDS + 10,
    )


def _make(site: Site) -> None:
    options = site.options
    for name, seconds in build_and_load(options).items():
        site.note(f"images_{name}_seconds", seconds)
    crds = str(ROOT / "charts/routerfleet/crds")
    if run(("kubectl", "get", "crd", "routerfleets.routerfleet.io"), check=False).returncode == 0:
        # Helm installs a CRD once and never touches it again.
        kubectl("apply", "--server-side", "--force-conflicts", "-f", crds)
    for namespace in options.namespaces[1:]:
        kubectl("create", "namespace", namespace)
    site.note("helm_install_seconds", site.install())


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Generator[Site]:
    """Images built and loaded, the chart installed, empty namespaces for the fleets."""
    options = read_options(request.config)
    site = Site(options)
    if not options.reuse:
        _remove(options)
        _make(site)
    elif options.rebuild:
        build_and_load(options)
        site.install()
    site.read_manifests()
    yield site
    sys.stderr.write(json.dumps({"figures": site.figures}, indent=1) + "\n")
    if not options.keep:
        _remove(options)
