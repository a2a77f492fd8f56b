"""With a Role in each of its namespaces: one that goes, or is not there, holds nobody up."""

import asyncio
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.commands import kubectl, run
from fleet_operator.rbac import FLEETS, documents
from support.operator_cluster import OperatorSite, operator_at
from support.operator_fleets import applicable, routers_secret

_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Account:
    """A ServiceAccount with the chart's rights in `here` and `there`, and nowhere else.

    Of other namespaces it may read the RouterFleets alone, if it may.
    """

    here: str
    there: str
    kubeconfig: Path


def _bound(kind: str, name: str, rules: list[dict[str, Any]], of: str) -> list[dict[str, Any]]:
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": of}
    return [
        {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": {"name": name}, "rules": rules},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": f"{kind}Binding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name},
            "subjects": [subject],
        },
    ]


def _apply(documents: list[dict[str, Any]], *options: str) -> None:
    kubectl(*options, "apply", "-f", "-", stdin=yaml.safe_dump_all(documents))


def _allow(namespace: str, of: str) -> None:
    _apply(_bound("Role", "operator", documents(), of), "-n", namespace)


@pytest.fixture
def account(namespace: str, tmp_path: Path, request: pytest.FixtureRequest) -> Generator[Account]:
    fleets_anywhere: bool = getattr(request, "param", True)
    there = f"{namespace[:50]}-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", there)
    kubectl("-n", namespace, "create", "serviceaccount", "operator")
    for one in (namespace, there):
        _allow(one, namespace)
    if fleets_anywhere:
        _apply(_bound("ClusterRole", there, [FLEETS.document()], namespace))
    given = yaml.safe_load(kubectl("config", "view", "--raw", "--minify", "--flatten"))
    token = kubectl("-n", namespace, "create", "token", "operator").strip()
    given["users"][0]["user"] = {"token": token}
    own = tmp_path / "kubeconfig"
    own.write_text(yaml.safe_dump(given), encoding="utf-8")
    try:
        yield Account(namespace, there, own)
    finally:
        for kind in ("clusterrolebinding", "clusterrole"):
            kubectl("delete", kind, there, "--ignore-not-found")
        kubectl("-n", namespace, "delete", "serviceaccount", "operator")
        kubectl("delete", "namespace", there, "--wait=false", "--ignore-not-found")


async def test_a_namespace_that_is_deleted_goes_and_the_others_are_looked_after(
    account: Account, tmp_path: Path
) -> None:
    settings = {"KUBECONFIG": str(account.kubeconfig)}
    with operator_at([account.here, account.there], tmp_path, settings) as site:
        site.apply(routers_secret(), applicable("stays"))
        site.apply(routers_secret(), applicable("goes"), namespace=account.there)
        await site.until_condition("goes", "Ready", "True", namespace=account.there)
        # What the namespace's own deletion does sooner or later: the rights go first.
        kubectl("-n", account.there, "delete", "rolebinding", "operator")
        kubectl("delete", "namespace", account.there, "--wait=false")
        await site.until(
            lambda: _namespaces(account.there), lambda left: not left, what="its end", seconds=60
        )
        await _follows(site, "stays", "meanwhile")
        assert await site.keys("fleet-inventory", "goes") == []
        # An operator that starts without it waits for nothing.
        assert await site.service.stop() == 0
        site.service.start()
        await _follows(site, "stays", "after-a-restart")
        # It is made again: only the full lists can find that.
        kubectl("create", "namespace", account.there)
        _allow(account.there, account.here)
        site.apply(routers_secret(), applicable("comes"), namespace=account.there)
        await site.until_condition("comes", "Ready", "True", namespace=account.there)


@pytest.mark.parametrize("account", [False], indirect=True, ids=["without a ClusterRole"])
async def test_where_fleets_may_not_be_read_the_others_are_looked_after_and_nothing_is_collected(
    account: Account, tmp_path: Path
) -> None:
    settings = {"KUBECONFIG": str(account.kubeconfig)}
    with operator_at([account.here, account.there], tmp_path, settings) as site:
        site.apply(routers_secret(), applicable("mine"))
        site.apply(routers_secret(), applicable("hidden"), namespace=account.there)
        await site.until_condition("hidden", "Ready", "True", namespace=account.there)
        await site.until_condition("mine", "Ready", "True")
        assert await site.service.stop() == 0
        kubectl("-n", account.there, "delete", "rolebinding", "operator")
        site.service.start()
        await _follows(site, "mine", "meanwhile")
        await site.passes(2)
        assert await site.keys("fleet-inventory", "hidden") == ["r0", "r1"]
        _allow(account.there, account.here)
        await _follows(site, "hidden", "again", namespace=account.there)
        # As the chart has it: first the RouterFleets, then their namespace.
        kubectl("-n", account.there, "delete", "rf", "hidden", "--timeout=30s")
        kubectl("delete", "namespace", account.there, "--wait=false")
        await site.until(
            lambda: _namespaces(account.there), lambda left: not left, what="its end", seconds=60
        )
        await site.until(lambda: _unread(site), lambda said: said == 2, what="a word of it")
        await _follows(site, "mine", "without-it")
        assert await site.service.stop() == 0
        site.service.start()
        await _follows(site, "mine", "after-a-restart")
        # Once each time that it began.
        assert _unread(site) == 3


def _unread(site: OperatorSite) -> int:
    """How often it said that RouterFleets cannot be read."""
    return site.service.log_text().count("RouterFleets cannot be read")


def _namespaces(name: str) -> str:
    return run(("kubectl", "get", "namespace", name, "-o", "name", "--ignore-not-found")).stdout


async def _follows(
    site: OperatorSite, fleet: str, device: str, namespace: str | None = None
) -> None:
    devices = [{"name": device, "address": "h"}]
    site.patch("rf", fleet, {"spec": {"devices": devices}}, namespace)
    await site.until(
        lambda: asyncio.run(site.keys("fleet-inventory", fleet)),
        lambda keys: keys == [device],
        what=f"{fleet} with {device}",
        seconds=20,
    )
