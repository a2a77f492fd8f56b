"""Fixtures of the chart's tests; helm is a tool of the machine, not of the environment."""

import shutil
from pathlib import Path

import pytest

from support.helm import Chart


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden-update", action="store_true", help="write the golden renders anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    absent = pytest.mark.skip(reason="helm is not on the PATH")
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.chart)
            if shutil.which("helm") is None and "chart" in getattr(item, "fixturenames", ()):
                item.add_marker(absent)


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """The chart; each set of values is rendered once."""
    return Chart(tmp_path_factory.mktemp("helm"))
