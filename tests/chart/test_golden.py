"""The chart's renders as files: every change of them is seen in review."""

import difflib
from pathlib import Path

import pytest

from support.helm import CI_VALUES, Chart, parsed

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_the_render_is_the_golden_one(
    values: Path, chart: Chart, request: pytest.FixtureRequest
) -> None:
    golden = GOLDEN / values.name.replace("-values", "")
    made = "# Made by `make test-chart ARGS=--golden-update`. Do not edit.\n"
    made += chart.render(values).text
    if request.config.getoption("--golden-update"):
        golden.write_text(made, encoding="utf-8")
    committed = golden.read_text(encoding="utf-8") if golden.is_file() else ""

    difference = "\n".join(
        difflib.unified_diff(committed.splitlines(), made.splitlines(), golden.name, "now", n=2)
    )

    assert not difference, f"`make test-chart ARGS=--golden-update`, and look at:\n{difference}"


def test_each_golden_file_has_its_values() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == {
        path.stem.removesuffix("-values") for path in CI_VALUES
    }


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_a_values_file_says_what_it_is_for(values: Path) -> None:
    assert values.read_text(encoding="utf-8").startswith("# ")


def test_with_secrets_of_ones_own_nothing_is_random(chart: Chart) -> None:
    own = [
        part
        for name in ("nats.auth", "postgresql.auth", "gateway")
        for part in ("--set", f"{name}.existingSecret=own-{name.removesuffix('.auth')}")
    ]

    first, second = (chart.template(*own).stdout for _ in range(2))

    made = parsed(first)
    assert first == second
    assert not made.of("Secret")
    for kind, part in (("Deployment", "writer"), ("StatefulSet", "postgresql")):
        pod = made.one(kind, f"rf-routerfleet-{part}")["spec"]["template"]["spec"]
        (password,) = (
            one["valueFrom"]["secretKeyRef"]
            for one in pod["containers"][0]["env"]
            if one["name"] in {"PGPASSWORD", "POSTGRES_PASSWORD"}
        )
        assert password == {"name": "own-postgresql", "key": "password"}


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_no_password_is_the_same_in_two_renders(values: Path, chart: Chart) -> None:
    first, second = (parsed(chart.template("-f", str(values)).stdout).passwords for _ in range(2))

    assert len(first) == len(second)
    assert not set(first) & set(second)
