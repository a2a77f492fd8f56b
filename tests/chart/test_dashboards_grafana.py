"""Dashboards before Grafana's own schemas, as its Go module has them; no Grafana runs here."""

import json
import shutil
from pathlib import Path

import pytest

from e2e.commands import CommandError, run
from support.helm import CHART

DASHBOARDS = sorted((CHART / "files/dashboards").glob("*.json"))
PROGRAM = Path(__file__).parent / "grafana"
# Grafana's panels bring defaults for their options.
LEFT_OUT = "required field is missing from input"

pytestmark = [
    pytest.mark.skipif(shutil.which("go") is None, reason="go is not on the PATH"),
    pytest.mark.timeout(420),  # the module's schemas are compiled once
]


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        run(("go", "mod", "download"), seconds=90, directory=PROGRAM)
    except CommandError as error:
        pytest.skip(f"Grafana's schemas cannot be had: {error}")
    program = tmp_path_factory.mktemp("grafana") / "check"
    run(("go", "build", "-o", str(program), "."), seconds=300, directory=PROGRAM)
    return program


def findings(checker: Path, *paths: Path) -> list[str]:
    said = run((str(checker), *map(str, paths))).stdout.splitlines()
    return [line for line in said if not line.endswith(LEFT_OUT)]


def test_grafanas_schemas_know_every_field_and_find_a_misspelt_one(
    checker: Path, tmp_path: Path
) -> None:
    # One test: the schemas are compiled for each worker that has one.
    assert findings(checker, *DASHBOARDS) == []

    for path in DASHBOARDS:
        content = json.loads(path.read_text(encoding="utf-8"))
        panel = next(one for one in content["panels"] if one["type"] != "row")
        panel["options"]["legends"] = {}
        panel["targets"][0]["expression"] = panel["targets"][0].pop("expr")
        wrong = tmp_path / path.name
        wrong.write_text(json.dumps(content))
        said = "\n".join(findings(checker, wrong))
        assert "unexpected field 'legends'" in said
        assert "unexpected field 'expression'" in said
