"""Bad options of the command line: refused before anything listens or is written."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from fleet_simulator.cli import simulate


@pytest.fixture(autouse=True)
def _own_folder_and_logging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def refusal(*options: str) -> str:
    """What the command says to options it must refuse."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(simulate)
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, options)
    assert result.exit_code == 2, (result.output, result.exception)
    assert "Traceback" not in result.output
    return result.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--base-port", "32700"], "--base-port 32700: 101 devices would need ports up to 32800"),
        (["--faults", "explode=1"], "unknown fault 'explode'"),
        (["--faults", "cut=often"], "'often' is no probability"),
        (["--faults", "cut=2"], "probability must be between 0 and 1"),
        (["--faults", "missing.yaml"], "--faults missing.yaml: cannot be read"),
        (["--kind", "toaster"], "unknown personality 'toaster'"),
        (["--tenant", "a", "--tenant", "a"], "tenants"),
        (["--tenant", "A b"], "--tenant"),
        (["--log-level", "LOUD"], "--log-level"),
        (["--devices", "0"], "--devices"),
    ],
)
def test_bad_option_is_refused_with_the_reason(
    tmp_path: Path, options: list[str], said: str
) -> None:
    assert said in refusal(*options)
    assert list(tmp_path.iterdir()) == []


def test_bad_fault_plan_names_file_and_field(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("faults:\n  - kind: cut\n    chance: 1\n")

    said = refusal("--faults", str(plan))

    assert "plan.yaml" in said
    assert "unknown field 'chance'" in said
