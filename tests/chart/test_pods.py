"""What every pod of the chart must be: restricted, bounded, and able to say how it is."""

from pathlib import Path
from typing import cast

import pytest

from fleet_operator.poller_pods import load_extras
from fleet_operator.rbac import FLEETS, documents
from support.helm import CHART, CI_VALUES, Chart, Document, Rendered


@pytest.fixture(params=CI_VALUES, ids=lambda path: path.stem)
def rendered(request: pytest.FixtureRequest, chart: Chart) -> Rendered:
    return chart.render(cast("Path", request.param))


def containers(rendered: Rendered) -> list[tuple[str, Document]]:
    return [
        (name, container)
        for name, spec in rendered.pod_specs()
        for container in [*spec["containers"], *spec.get("initContainers", [])]
    ]


def test_pods_are_nobody_special(rendered: Rendered) -> None:
    for name, spec in rendered.pod_specs():
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] >= 1, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert spec["automountServiceAccountToken"] is name.endswith("-operator"), name
        assert spec["enableServiceLinks"] is False, name


def test_containers_can_write_and_become_nothing(rendered: Rendered) -> None:
    for name, container in containers(rendered):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        }, name


def test_every_volume_in_memory_or_on_a_nodes_disk_is_bounded(rendered: Rendered) -> None:
    for name, spec in rendered.pod_specs():
        for volume in spec.get("volumes", []):
            if "emptyDir" in volume:
                assert volume["emptyDir"].get("sizeLimit"), f"{name}: {volume['name']}"


def test_containers_ask_for_what_they_need_and_have_a_limit(rendered: Rendered) -> None:
    for name, container in containers(rendered):
        resources = container["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys(), name
        assert resources["limits"].get("memory"), name


def test_what_runs_has_probes(rendered: Rendered) -> None:
    for name, container in containers(rendered):
        if name.startswith("Pod "):
            continue  # the test, which ends
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys(), name


def test_no_variable_is_there_twice(rendered: Rendered) -> None:
    for name, container in containers(rendered):
        names = [one["name"] for one in container.get("env", [])]
        assert len(names) == len(set(names)), name


@pytest.mark.parametrize("service", ["writer", "firmware", "gateway", "operator", "simulator"])
def test_a_users_variable_takes_the_place_of_the_charts(service: str, chart: Chart) -> None:
    rendered = chart.render(
        CHART / "ci/demo-values.yaml",
        f"{service}.env.FLEET_LOG__LEVEL=DEBUG",
        f"{service}.env.FLEET_NATS__PASSWORD=mine",
    )
    pod = rendered.one("Deployment", f"rf-routerfleet-{service}")["spec"]["template"]["spec"]
    env = pod["containers"][0]["env"]

    for name, value in {"FLEET_LOG__LEVEL": "DEBUG", "FLEET_NATS__PASSWORD": "mine"}.items():
        assert [one for one in env if one["name"] == name] == [{"name": name, "value": value}]
    assert {"name": "FLEET_LOG__FORMAT", "value": "json"} in env


def test_selectors_find_their_own_pods_and_no_others(rendered: Rendered) -> None:
    workloads = [*rendered.of("Deployment"), *rendered.of("StatefulSet")]
    for workload in workloads:
        selector = workload["spec"]["selector"]["matchLabels"].items()
        found = [
            one["metadata"]["name"]
            for one in workloads
            if selector <= one["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert found == [workload["metadata"]["name"]]


def test_a_service_leads_to_ports_that_there_are(rendered: Rendered) -> None:
    workloads = [*rendered.of("Deployment"), *rendered.of("StatefulSet")]
    for service in rendered.of("Service"):
        selector = service["spec"]["selector"].items()
        (pod,) = [
            one["spec"]["template"]["spec"]
            for one in workloads
            if selector <= one["spec"]["template"]["metadata"]["labels"].items()
        ]
        names = {port["name"] for one in pod["containers"] for port in one["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names


@pytest.mark.parametrize(
    ("setting", "nodes"), [("true", "ScheduleAnyway"), ("required", "DoNotSchedule")]
)
def test_servers_are_kept_on_different_nodes_where_that_is_required(
    setting: str, nodes: str, chart: Chart
) -> None:
    rendered = chart.render(None, "nats.replicas=3", f"nats.pod.topologySpread={setting}")
    spec = rendered.one("StatefulSet", "rf-routerfleet-nats")["spec"]["template"]["spec"]

    assert {
        one["topologyKey"]: one["whenUnsatisfiable"] for one in spec["topologySpreadConstraints"]
    } == {"kubernetes.io/hostname": nodes, "topology.kubernetes.io/zone": "ScheduleAnyway"}


def test_more_than_one_of_a_kind_has_a_budget(chart: Chart) -> None:
    rendered = chart.render(CHART / "ci/cluster-values.yaml")
    several = {
        one["metadata"]["name"]
        for one in [*rendered.of("Deployment"), *rendered.of("StatefulSet")]
        if one["spec"]["replicas"] > 1
    }

    assert several == {"rf-routerfleet-nats", "rf-routerfleet-writer", "rf-routerfleet-gateway"}
    assert {one["metadata"]["name"] for one in rendered.of("PodDisruptionBudget")} == several


def test_the_operators_rights_are_those_in_its_code(chart: Chart) -> None:
    everywhere = chart.render()
    named = chart.render(None, "operator.namespaces={fleets}")
    alone = chart.render(None, "operator.namespaces={fleets}", "operator.fleetsClusterRole=false")

    assert [role["rules"] for role in everywhere.of("ClusterRole")] == [documents()]
    assert [role["rules"] for role in named.of("Role")] == [documents()]
    assert [role["rules"] for role in named.of("ClusterRole")] == [[FLEETS.document()]]
    assert not everywhere.of("Role")
    assert not [*alone.of("ClusterRole"), *alone.of("ClusterRoleBinding")]
    assert [role["rules"] for role in alone.of("Role")] == [documents()]


def test_the_pod_file_is_one_that_the_operator_takes(chart: Chart, tmp_path: Path) -> None:
    rendered = chart.render(CHART / "ci/cluster-values.yaml")
    config = rendered.one("ConfigMap", "rf-routerfleet-operator")
    path = tmp_path / "poller-pod.yaml"
    path.write_text(config["data"]["poller-pod.yaml"], encoding="utf-8")

    extras = load_extras(path)

    assert extras.node_selector == {"pool": "fleet"}
    assert extras.tolerations == [{"key": "fleet", "operator": "Exists"}]
    assert extras.priority_class_name == "system-cluster-critical"
    assert extras.pod_annotations == {"example.com/owner": "noc"}
    assert extras.env == {
        "FLEET_POLLER__CONCURRENT_LOGINS": "8",
        "FLEET_POLLER__BUFFER_BYTES": "134217728",
        "FLEET_POLLER__DEVICE_METRICS": "true",
        "FLEET_POLLER__DEVICE_METRICS_GROUPS": "system,sensors,interfaces,wireless",
        "FLEET_POLLER__DEVICE_METRICS_MAX_SERIES": "500000",
    }
    assert extras.resources is not None
    assert extras.resources["limits"]["memory"]
