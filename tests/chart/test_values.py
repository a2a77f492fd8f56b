"""values.yaml, its closed schema and its table; and what is refused, and how."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
import yaml

from e2e.commands import run
from support.helm import CHART, CI_VALUES, ROOT, Chart

REJECTED = sorted((Path(__file__).parent / "rejected").glob("*.yaml"))


def schema() -> dict[str, Any]:
    return json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def test_schema_and_table_are_made_from_the_values() -> None:
    outcome = subprocess.run(  # noqa: S603 - a tool of ours
        [sys.executable, str(ROOT / "tools/chart_values.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.parametrize("values", [CHART / "values.yaml", *CI_VALUES], ids=lambda path: path.stem)
def test_the_schema_takes_values_that_are_meant_to_be_taken(values: Path) -> None:
    content = yaml.safe_load(values.read_text(encoding="utf-8"))

    jsonschema.Draft202012Validator(schema()).validate(content)  # pyright: ignore[reportUnknownMemberType] - jsonschema ships no types


def test_every_map_says_what_may_be_in_it() -> None:
    def open_maps(node: object, where: str) -> list[str]:
        if isinstance(node, list):
            return [one for item in cast("list[object]", node) for one in open_maps(item, where)]
        if not isinstance(node, dict):
            return []
        held = cast("dict[str, object]", node)
        own = held.get("type") == "object" and "additionalProperties" not in held
        inside = [
            one
            for name, child in held.items()
            if name != "default"
            for one in open_maps(child, f"{where}/{name}")
        ]
        return [where, *inside] if own else inside

    known_elsewhere = {
        "/properties/global",  # Helm's own
        "/$defs/pod/properties/affinity",  # Kubernetes' own shapes, which the API server checks
        "/$defs/pod/properties/tolerations/items",
        "/$defs/resources/properties/claims/items",
        "/properties/networkPolicy/properties/metricsFrom/items",
        "/properties/networkPolicy/properties/gatewayFrom/items",
        "/properties/networkPolicy/properties/natsFrom/items",
        "/properties/networkPolicy/properties/postgresqlFrom/items",
        "/properties/networkPolicy/properties/extraEgress/items",
    }
    assert set(open_maps(schema(), "")) == known_elsewhere


@pytest.mark.parametrize("values", REJECTED, ids=lambda path: path.stem)
def test_wrong_values_are_refused_by_name(values: Path, chart: Chart) -> None:
    expected = values.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")

    outcome = chart.template("-f", str(values))

    assert outcome.returncode != 0
    assert expected in outcome.stderr


@pytest.mark.parametrize(
    ("setting", "namespace"),
    [("operator.enabled=true", "here"), ("operator.namespaces={a,b}", "a")],
)
def test_the_notes_apply_fleets_where_they_are_looked_after(setting: str, namespace: str) -> None:
    said = run(
        ("helm", "install", "rf", str(CHART), "-n", "here", "--dry-run=client", "--set", setting)
    ).stdout

    _, _, notes = said.partition("NOTES:")
    assert f"kubectl -n {namespace} apply -f -" in notes
    assert f"kubectl -n {namespace} create secret" in notes
    assert ("in a, b only" in notes) is (namespace == "a")
