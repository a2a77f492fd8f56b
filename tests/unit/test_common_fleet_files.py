"""Fleet files whose devices are listed in ConfigMap documents of the same file."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet_common.errors import ConfigurationError
from fleet_common.fleet_spec import load_fleet_file


def fleet(name: str = "north", namespace: str | None = None, **spec: object) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": "routerfleet.io/v1alpha1",
        "kind": "RouterFleet",
        "metadata": metadata,
        "spec": {
            "credentials": {"secretRef": {"name": "login"}},
            "devicesFrom": [{"configMapRef": {"name": "sites"}}],
            **spec,
        },
    }


def config_map(
    *names: str, name: str = "sites", namespace: str | None = None, key: str = "list"
) -> dict[str, Any]:
    listed = [{"name": one, "address": "192.0.2.1"} for one in names]
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {key: yaml.safe_dump(listed)},
    }


def devices(tmp_path: Path, *documents: dict[str, Any]) -> list[list[str]]:
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    fleets = load_fleet_file(path)
    assert all(not one.spec.devices_from for one in fleets)
    return [list(one.device_ids()) for one in fleets]


def refusal(tmp_path: Path, *documents: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        devices(tmp_path, *documents)
    return str(caught.value)


def test_devices_come_from_the_file_s_config_maps_whatever_the_order(tmp_path: Path) -> None:
    inline: dict[str, Any] = {"devices": [{"name": "core", "address": "192.0.2.9"}]}
    assert devices(tmp_path, fleet(**inline), config_map("a", "b")) == [["core", "a", "b"]]
    assert devices(tmp_path, config_map("a", "b"), fleet(**inline)) == [["core", "a", "b"]]


def test_two_fleets_may_share_a_config_map(tmp_path: Path) -> None:
    both = devices(tmp_path, fleet("north"), fleet("south"), config_map("a"))
    assert both == [["a"], ["a"]]


def test_a_config_map_of_another_namespace_is_not_seen(tmp_path: Path) -> None:
    here = fleet(namespace="here")
    assert devices(tmp_path, here, config_map("a", namespace="here")) == [["a"]]
    assert devices(tmp_path, here, config_map("a")) == [["a"]]
    said = refusal(tmp_path, here, config_map("a", namespace="there"))
    assert "ConfigMap sites: does not exist" in said


def test_a_reference_that_leads_nowhere_says_what_to_do(tmp_path: Path) -> None:
    assert refusal(tmp_path, fleet()) == (
        f"{tmp_path}/fleet.yaml, document 1: the devices of north cannot be read "
        "(a ConfigMap must be a document of the same file):\n  ConfigMap sites: does not exist"
    )
    optional = [{"configMapRef": {"name": "sites", "optional": True}}]
    assert devices(tmp_path, fleet(devicesFrom=optional)) == [[]]


def test_every_wrong_row_is_named_up_to_a_bound(tmp_path: Path) -> None:
    wrong = config_map(*(f"Row_{number}" for number in range(30)))
    lines = refusal(tmp_path, fleet(), wrong).splitlines()

    assert lines[1].startswith("  ConfigMap sites, key list, row 1 (Row_0): field name: ")
    assert len(lines) == 22
    assert lines[-1] == "  and 10 more"


def test_a_device_that_is_listed_twice_is_an_error_here(tmp_path: Path) -> None:
    said = refusal(tmp_path, fleet(), config_map("a", "a"))
    assert "row 2 (a): the name is taken by ConfigMap sites, key list, row 1 (a)" in said


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"kind": "ConfigMap"}, "document 1: not a valid ConfigMap:\n  metadata: is missing"),
        (
            {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"key": [1]}},
            "data.key: must be text",
        ),
        ({"kind": "ConfigMap", "metadata": {"name": "a"}}, "holds no RouterFleet"),
        ({"kind": "Secret", "metadata": {"name": "a"}}, "kind: Input should be 'RouterFleet'"),
    ],
)
def test_a_document_that_is_neither_says_why(
    tmp_path: Path, document: dict[str, Any], expected: str
) -> None:
    assert expected in refusal(tmp_path, document)
