"""Grafana's dashboards: whole, and about metrics that exist."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.helm import CHART, Chart
from support.metric_names import documented_series

DASHBOARDS = sorted((CHART / "files/dashboards").glob("*.json"))
_METRIC = re.compile(r"\b(?:fleet|routeros|process)_[a-z0-9_]+")
_OF_EACH_PROCESS = {
    "fleet_process_tasks",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
}
_GRID_WIDTH = 24


def dashboard(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def panels(path: Path) -> Iterator[dict[str, Any]]:
    return (panel for panel in dashboard(path)["panels"] if panel["type"] != "row")


def expressions(path: Path) -> list[str]:
    return [target["expr"] for panel in panels(path) for target in panel["targets"]]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_its_metrics_exist(path: Path) -> None:
    variables = [
        one["query"]["query"]
        for one in dashboard(path)["templating"]["list"]
        if one["type"] == "query"
    ]
    used = {name for text in expressions(path) + variables for name in _METRIC.findall(text)}

    assert used
    assert used <= documented_series() | _OF_EACH_PROCESS


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_its_panels_have_names_units_and_room(path: Path) -> None:
    seen: set[tuple[int, int]] = set()
    for panel in panels(path):
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert place["x"] + place["w"] <= _GRID_WIDTH
        assert not cells & seen, f"{panel['title']} lies over another panel"
        seen |= cells


def test_their_ids_differ() -> None:
    assert len({dashboard(path)["uid"] for path in DASHBOARDS}) == len(DASHBOARDS)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH")
def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__range", "6h")}
        for number, expression in enumerate(
            expression for path in DASHBOARDS for expression in expressions(path)
        )
    ]
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"groups": [{"name": "dashboards", "rules": rules}]}))

    outcome = subprocess.run(  # noqa: S603 - a file of ours
        ["promtool", "check", "rules", str(path)],  # noqa: S607 - the user's promtool
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_each_is_rendered_as_it_is(chart: Chart) -> None:
    made = chart.render(CHART / "ci/monitoring-values.yaml")

    for path in DASHBOARDS:
        rendered = made.one("ConfigMap", f"rf-routerfleet-dashboard-{path.stem}")
        assert json.loads(rendered["data"][path.name]) == dashboard(path)
        assert rendered["metadata"]["labels"]["grafana_dashboard"] == "1"
