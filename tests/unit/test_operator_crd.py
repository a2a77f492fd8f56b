"""The resource definition: current, structural, and saying what the models say."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from fleet_common.fleet_spec import RouterFleet
from fleet_operator.crd import definition, resource_schema
from fleet_operator.crd_schema import UnstructuralSchemaError, structural_schema
from fleet_operator.status import FleetStatus

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ["Devices", "Up", "Shards", "Stream", "Window", "Ready", "Age"]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def version() -> dict[str, Any]:
    (only,) = definition()["spec"]["versions"]
    return only


def at(path: str) -> dict[str, Any]:
    return dict(nodes(resource_schema()))[path]


def test_the_committed_definition_is_current() -> None:
    result = subprocess.run(  # noqa: S603 - our own tool
        [sys.executable, str(ROOT / "tools/crd_file.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, f"run `make generate`\n{result.stdout}{result.stderr}"


def test_every_field_has_a_type_and_a_description() -> None:
    for path, node in nodes(resource_schema()):
        if path == ".metadata":
            continue
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert node.get("description"), path


def test_every_list_says_how_it_is_merged_and_what_it_holds_at_most() -> None:
    lists = {path: node for path, node in nodes(resource_schema()) if node.get("type") == "array"}

    assert set(lists) == {".spec.devices", ".spec.devicesFrom", ".status.conditions"}
    assert lists[".spec.devices"]["x-kubernetes-list-map-keys"] == ["name"]
    assert lists[".spec.devices"]["maxItems"] == 10_000
    assert lists[".spec.devicesFrom"]["x-kubernetes-list-type"] == "atomic"
    assert lists[".status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]


def test_the_columns_people_need_come_first() -> None:
    columns = version()["additionalPrinterColumns"]
    assert [one["name"] for one in columns if not one.get("priority")] == COLUMNS


def test_every_column_and_the_scale_paths_lead_to_a_field() -> None:
    known = {path for path, _ in nodes(resource_schema())}
    paths = [one["jsonPath"] for one in version()["additionalPrinterColumns"]]
    paths += version()["subresources"]["scale"].values()
    for path in paths:
        plain = path.replace('[?(@.type=="Ready")]', "[]")
        assert plain in known or plain == ".metadata.creationTimestamp", path


def test_an_empty_spec_has_the_models_defaults() -> None:
    spec = at(".spec")["properties"]
    defaults = {name: node["default"] for name, node in spec.items() if "default" in node}
    fleet = RouterFleet.model_validate(
        {
            "metadata": {"name": "a"},
            "spec": {"credentials": {"secretRef": {"name": "s"}}, **defaults},
        }
    )
    bare = RouterFleet.model_validate(
        {"metadata": {"name": "a"}, "spec": {"credentials": {"secretRef": {"name": "s"}}}}
    )
    assert fleet == bare


def test_the_status_has_no_defaults() -> None:
    assert [path for path, node in nodes(at(".status")) if "default" in node] == []
    assert set(at(".status")["properties"]) == {
        field.alias for field in FleetStatus.model_fields.values()
    }


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (".spec.cadence.interval", "a duration, at least 200ms and at most 1d"),
        (".spec.cadence.firmware", "a duration, above 0 and at most 7d"),
        (".spec.events.replayWindow", "a duration, at least 5m and at most 31d"),
        (".spec.events.maxBytes", "a size, at least 1 MiB"),
        (".spec.events.storage", "storage of a live stream cannot be changed: delete the"),
        (".spec.shards", "min must not be above max"),
        (".spec.tls", "mode pinned needs fingerprintSha256"),
        (".spec.devices[].tls", "mode pinned needs fingerprintSha256"),
        (".spec", "events.replayWindow must not be below cadence.interval"),
        ("", "the name becomes the tenant id: at most 40"),
    ],
)
def test_a_rule_says_what_is_allowed(path: str, said: str) -> None:
    messages = [rule["message"] for rule in at(path)["x-kubernetes-validations"]]
    assert any(said in message for message in messages), messages


def test_what_a_definition_cannot_say_is_refused_by_the_field_s_name() -> None:
    class Choice(BaseModel):
        either: int | str

    class Nothing(BaseModel):
        anything: Literal["a"] | None = None
        free: object = None

    with pytest.raises(UnstructuralSchemaError, match=r"Choice\.either: a choice of 2 types"):
        structural_schema(Choice)
    with pytest.raises(UnstructuralSchemaError, match=r"Nothing\.free: has no type"):
        structural_schema(Nothing)
