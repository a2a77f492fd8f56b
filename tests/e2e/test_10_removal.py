"""What stays when fleets and release go: nothing but what Retain promises."""

import pytest

from e2e import readings
from e2e.commands import get_all, kubectl, run, wait_until
from e2e.site import FLEETS, RELEASE, Site

_KINDS = "statefulsets,services,configmaps,secrets,poddisruptionbudgets,pods"

_BUCKETS = ("fleet-inventory", "fleet-assignments")


@pytest.mark.timeout(300)
def test_deleted_fleets_leave_only_a_retained_stream(site: Site) -> None:
    with site.broker() as broker:
        assert readings.bucket_keys(broker, "fleet-inventory", "north")
    for tenant in FLEETS:
        kubectl(
            "-n", site.namespace_of(tenant), "delete", "routerfleet", tenant, "--timeout=120s",
            seconds=130,
        )  # fmt: skip
    for tenant in FLEETS:
        wait_until(
            lambda name=tenant: [
                f"{one['kind']}/{one['metadata']['name']}"
                for one in get_all(
                    _KINDS, site.namespace_of(name), f"app.kubernetes.io/instance={name}"
                )
            ],
            lambda left: not left,
            seconds=60,
            what=f"nothing of {tenant} is left",
        )
    with site.broker() as broker:
        limits = {tenant: readings.stream_limit(broker, tenant) for tenant in FLEETS}
        for bucket in _BUCKETS:
            keys = {tenant: readings.bucket_keys(broker, bucket, tenant) for tenant in FLEETS}
            assert keys == {tenant: [] for tenant in FLEETS}, bucket
    assert limits["south"] is None, "deletionPolicy Delete"
    assert limits["north"] is not None, "deletionPolicy Retain"
    assert limits["east"] is not None, "deletionPolicy Retain"


@pytest.mark.timeout(240)
def test_uninstalling_leaves_only_the_data(site: Site) -> None:
    namespace = site.options.system
    run(
        ("helm", "uninstall", RELEASE, "-n", namespace, "--wait", "--timeout", "120s"),
        seconds=130,
    )
    kinds = f"{_KINDS},deployments,persistentvolumeclaims,serviceaccounts,jobs,networkpolicies"
    expected = {
        f"PersistentVolumeClaim/data-{RELEASE}-nats-0",
        f"PersistentVolumeClaim/data-{RELEASE}-postgresql-0",
        f"Secret/{RELEASE}-postgresql",
        "ConfigMap/kube-root-ca.crt",
        "ServiceAccount/default",
    }
    left, _ = wait_until(
        lambda: {f"{one['kind']}/{one['metadata']['name']}" for one in get_all(kinds, namespace)},
        lambda names: names <= expected,
        seconds=90,
        what="only the data is left",
    )
    assert left == expected
    cluster = kubectl(
        "get", "clusterroles,clusterrolebindings", "-o", "name",
        "-l", f"app.kubernetes.io/instance={RELEASE}",
    )  # fmt: skip
    assert namespace not in cluster


@pytest.mark.timeout(200)
def test_namespaces_end(site: Site) -> None:
    kubectl("delete", "namespace", *site.options.namespaces[1:], "--timeout=120s", seconds=130)
