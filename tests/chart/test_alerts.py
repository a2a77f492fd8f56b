"""Alerts: known to Prometheus, fire when they should and not else, and have a runbook."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from support.helm import CHART, ROOT, Chart
from support.metric_names import documented_series

ALERTS = sorted(path.stem for path in (CHART / "files/alerts").glob("*.yaml"))
CASES = cast(
    "Mapping[str, Mapping[str, Any]]",
    yaml.safe_load((Path(__file__).parent / "alert_cases.yaml").read_text(encoding="utf-8")),
)
METRIC = re.compile(r"\b(?:fleet|routeros)_[a-z0-9_]+")
VALUES = CHART / "ci/monitoring-values.yaml"

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not on the PATH"
)


def rules(chart: Chart) -> list[dict[str, Any]]:
    rule = chart.render(VALUES).one("PrometheusRule", "rf-routerfleet")
    return rule["spec"]["groups"][0]["rules"]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - files of ours
        ["promtool", *arguments],  # noqa: S607 - the user's promtool
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def write_rules(rendered: list[dict[str, Any]], path: Path) -> Path:
    path.write_text(json.dumps({"groups": [{"name": "routerfleet", "rules": rendered}]}))
    return path


def test_every_alert_is_rendered(chart: Chart) -> None:
    assert sorted(rule["alert"] for rule in rules(chart)) == ALERTS


def test_an_alert_can_be_left_out(chart: Chart) -> None:
    made = chart.render(VALUES, f"monitoring.rules.disabled={{{ALERTS[0]}}}")
    rendered = made.one("PrometheusRule", "rf-routerfleet")["spec"]["groups"][0]["rules"]

    assert sorted(rule["alert"] for rule in rendered) == ALERTS[1:]


@needs_promtool
def test_prometheus_takes_the_rules(chart: Chart, tmp_path: Path) -> None:
    outcome = promtool("check", "rules", str(write_rules(rules(chart), tmp_path / "rules.yaml")))

    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert f"{len(ALERTS)} rules found" in outcome.stdout


def promtool_case(rule: Mapping[str, Any], name: str, at: str, given: Mapping[str, Any]) -> object:
    """One test in promtool's form; `given` without labels expects silence."""
    expected: list[object] = []
    if "labels" in given:
        expected.append({"exp_labels": {**rule["labels"], **given["labels"]}})
    return {
        "name": name,
        "interval": "1m",
        "input_series": [
            {"series": series, "values": values} for series, values in given["series"].items()
        ],
        "alert_rule_test": [{"eval_time": at, "alertname": rule["alert"], "exp_alerts": expected}],
    }


@needs_promtool
@pytest.mark.parametrize("alert", ALERTS)
def test_it_fires_when_it_should_and_not_else(alert: str, chart: Chart, tmp_path: Path) -> None:
    (rule,) = [one for one in rules(chart) if one["alert"] == alert]
    # Without annotations: their wording is no part of when an alert fires.
    del (bare := dict(rule))["annotations"]
    case = CASES[alert]
    cases = [
        promtool_case(rule, name, case["at"], given) for name, given in case.items() if name != "at"
    ]
    write_rules([bare], tmp_path / "rules.yaml")
    path = tmp_path / "tests.yaml"
    path.write_text(
        json.dumps({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": cases})
    )

    outcome = promtool("test", "rules", str(path))

    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_it_has_a_firing_and_a_silent_case(alert: str) -> None:
    assert {"at", "firing", "silent"} <= CASES[alert].keys()
    assert "labels" not in CASES[alert]["silent"]


@needs_promtool
def test_a_link_to_the_runbooks_is_given_where_they_are_published(
    chart: Chart, tmp_path: Path
) -> None:
    made = chart.render(VALUES, "monitoring.rules.runbookUrl=https://noc.example.com/runbooks/")
    rendered = made.one("PrometheusRule", "rf-routerfleet")["spec"]["groups"][0]["rules"]

    assert all("runbook_url" not in one["annotations"] for one in rules(chart))
    assert {one["annotations"]["runbook_url"] for one in rendered} == {
        f"https://noc.example.com/runbooks/{alert}.md" for alert in ALERTS
    }
    outcome = promtool("check", "rules", str(write_rules(rendered, tmp_path / "rules.yaml")))
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_its_runbook_is_where_it_says(alert: str, chart: Chart) -> None:
    (rule,) = [one for one in rules(chart) if one["alert"] == alert]
    runbook = ROOT / rule["annotations"]["runbook"]
    text = runbook.read_text(encoding="utf-8")

    assert text.startswith(f"# {alert}\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Meaning",
        "## Look",
        "## Do",
    ]


def test_no_runbook_is_left_over() -> None:
    assert sorted(path.stem for path in (CHART / "runbooks").glob("*.md")) == ALERTS


@pytest.mark.parametrize("alert", ALERTS)
def test_its_metrics_exist(alert: str) -> None:
    content = yaml.safe_load((CHART / f"files/alerts/{alert}.yaml").read_text(encoding="utf-8"))
    used = set(METRIC.findall(content["expr"]))

    assert used
    assert used <= documented_series()
