"""Metrics of devices in the chart: settings that reach the shards, and who reads which page."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet_poller.exposition.families import Group
from fleet_poller.settings import PollerSection
from support.helm import CHART, Chart, Rendered

MONITORING = CHART / "ci/monitoring-values.yaml"
KINDS = pytest.mark.parametrize(
    ("kind", "endpoints"), [("PodMonitor", "podMetricsEndpoints"), ("ServiceMonitor", "endpoints")]
)


def poller_settings(rendered: Rendered) -> PollerSection:
    """As a shard with the rendered pod file reads them."""
    config = rendered.one("ConfigMap", "rf-routerfleet-operator")
    environment = yaml.safe_load(config["data"]["poller-pod.yaml"])["env"]
    given = {
        name.removeprefix("FLEET_POLLER__").lower(): value
        for name, value in environment.items()
        if name.startswith("FLEET_POLLER__DEVICE")
    }
    return PollerSection.model_validate({"tenant": "alpha", **given})


def test_without_values_shards_have_the_settings_own_defaults(chart: Chart) -> None:
    section = poller_settings(chart.render(None))

    assert section.device_groups == PollerSection(tenant="alpha").device_groups
    assert section.device_metrics_max_series == 500_000


def test_values_reach_the_shards(chart: Chart, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("poller: {deviceMetrics: {groups: [wireless-clients], maxSeries: 2000000}}")

    section = poller_settings(chart.render(values))

    assert section.device_groups == {Group.DEVICE, Group.WIRELESS_CLIENTS}
    assert section.device_metrics_max_series == 2_000_000


@pytest.mark.parametrize(
    ("given", "groups"), [("{enabled: false}", set[Group]()), ("{groups: []}", {Group.DEVICE})]
)
def test_they_can_be_less(given: str, groups: set[Group], chart: Chart, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(f"poller: {{deviceMetrics: {given}}}", encoding="utf-8")

    assert poller_settings(chart.render(values)).device_groups == groups


def read_by(monitor: dict[str, Any], component: str) -> bool:
    """Whether a monitor selects the pods or services of a component."""
    for one in monitor["spec"]["selector"].get("matchExpressions", []):
        assert one["key"] == "app.kubernetes.io/component"
        if (component in one["values"]) != (one["operator"] == "In"):
            return False
    return True


@KINDS
def test_one_interval_is_one_page(kind: str, endpoints: str, chart: Chart) -> None:
    (monitor,) = chart.render(MONITORING).of(kind)

    assert read_by(monitor, "poller-shard")
    assert [one["path"] for one in monitor["spec"][endpoints]] == ["/metrics"]


@KINDS
def test_two_intervals_read_each_shard_in_two_parts_and_all_others_once(
    kind: str, endpoints: str, chart: Chart
) -> None:
    monitors = chart.render(MONITORING, "monitoring.deviceInterval=60s").of(kind)

    def pages(component: str) -> dict[str, str]:
        return {
            one["path"]: one["interval"]
            for monitor in monitors
            if read_by(monitor, component)
            for one in monitor["spec"][endpoints]
        }

    assert pages("poller-shard") == {"/metrics/service": "30s", "/metrics/devices": "60s"}
    assert pages("metrics-writer") == {"/metrics": "30s"}
    shards = next(one for one in monitors if read_by(one, "poller-shard"))
    relabelled = [
        one["replacement"]
        for endpoint in shards["spec"][endpoints]
        for one in endpoint["relabelings"]
        if one["targetLabel"] == "endpoint"
    ]
    assert relabelled == ["devices"], "`up` of both parts must be two series"
