"""Every sample is what it says it is, for the models; tests/cluster asks the API server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet_common.errors import ConfigurationError
from fleet_common.fleet_spec import load_fleet_file, parse_fleet
from fleet_operator.crd import resource_schema
from fleet_operator.resolve import resolve
from support.samples import InvalidSample, invalid_samples, valid_samples

ONLY_THE_API_SERVER = {"days-after-hours", "fraction-of-a-number"}


@pytest.mark.parametrize("path", valid_samples(), ids=lambda path: path.stem)
def test_a_valid_sample_is_a_fleet_for_the_operator(path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    maps = {one["metadata"]["name"]: one["data"] for one in documents if one["kind"] == "ConfigMap"}
    (body,) = [one for one in documents if one["kind"] == "RouterFleet"]

    resolution = resolve(body, maps)

    assert resolution.problems == ()
    assert resolution.fleet is not None
    assert load_fleet_file(path) == [resolution.fleet]


@pytest.mark.parametrize("sample", invalid_samples(), ids=str)
def test_an_invalid_sample_is_refused_with_the_words_it_gives(sample: InvalidSample) -> None:
    if sample.operator is None:
        assert sample.path.stem in ONLY_THE_API_SERVER
        parse_fleet(sample.document(), "sample")
        return
    with pytest.raises(ConfigurationError) as caught:
        parse_fleet(sample.document(), "sample")
    lines = str(caught.value).splitlines()
    assert len(lines) == 2, "one thing is wrong with a sample"
    assert sample.operator in lines[1]


def test_there_are_samples_of_every_rule() -> None:
    headings = [sample.api_server for sample in invalid_samples()]
    for message in _messages(resource_schema()):
        assert any(heading.split(": ")[-1] in message for heading in headings), message


def test_every_field_there_is_is_in_a_valid_sample() -> None:
    given: set[str] = set()
    for path in valid_samples():
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            given.update(_paths(document.get("spec"), ".spec"))
    missing = set(_fields(resource_schema()["properties"]["spec"], ".spec")) - given
    assert missing == set()


def _messages(schema: dict[str, Any]) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", []):
        if "oldSelf" not in rule["rule"]:  # one document alone cannot break it
            yield rule["message"]
    for child in schema.get("properties", {}).values():
        yield from _messages(child)
    if "items" in schema:
        yield from _messages(schema["items"])


def _fields(schema: dict[str, Any], path: str) -> Iterator[str]:
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from _fields(child, f"{path}.{name}")
    if "items" in schema:
        yield from _fields(schema["items"], f"{path}[]")


def _paths(value: object, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, child in value.items():  # pyright: ignore[reportUnknownVariableType] - YAML
            yield f"{path}.{name}"
            yield from _paths(child, f"{path}.{name}")  # pyright: ignore[reportUnknownArgumentType] - YAML
    elif isinstance(value, list):
        for child in value:  # pyright: ignore[reportUnknownVariableType] - YAML
            yield from _paths(child, f"{path}[]")  # pyright: ignore[reportUnknownArgumentType] - YAML
