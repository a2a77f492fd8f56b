from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet_common.errors import ConfigurationError
from fleet_common.fleet_spec import RouterFleet, load_fleet_file, parse_fleet
from fleet_common.inventory import device_records


def document(**spec: object) -> dict[str, Any]:
    return {
        "apiVersion": "routerfleet.io/v1alpha1",
        "kind": "RouterFleet",
        "metadata": {"name": "north"},
        "spec": {
            "credentials": {"secretRef": {"name": "north-routers"}},
            "devices": [{"name": "core-001", "address": "192.0.2.1"}],
            **spec,
        },
    }


def test_a_small_document_gets_the_documented_defaults() -> None:
    fleet = parse_fleet(document(), "fleet.yaml")

    assert fleet.tenant == "north"
    assert fleet.spec.cadence.interval == 60
    assert fleet.spec.events.replay_window == 6 * 3600
    assert fleet.spec.shards.devices_per_shard == 1000
    assert not fleet.spec.suspend


def test_a_written_fleet_reads_back_the_same() -> None:
    fleet = parse_fleet(document(cadence={"interval": "1m30s"}, events={"maxBytes": "64MiB"}), "x")

    again = RouterFleet.model_validate(yaml.safe_load(fleet.model_dump_json(by_alias=True)))

    assert again == fleet


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"interval": 5}, "spec.interval: no such field; allowed here: cadence, credentials"),
        ({"cadence": {"intervall": 5}}, "spec.cadence.intervall: no such field; allowed here: fi"),
        ({"cadence": {"interval": "soon"}}, "'soon' is not a duration (examples: 500ms, 60s"),
        ({"cadence": {"interval": "0.1s"}}, "spec.cadence.interval: Input should be greater"),
        ({"events": {"maxBytes": "1 potato"}}, "'1 potato' is not a size (examples: 1048576"),
        ({"events": {"storage": "tape"}}, "spec.events.storage: Input should be 'file' or 'mem"),
        ({"events": {"replicas": 2}}, "spec.events.replicas: Input should be 1, 3 or 5 (it is 2)"),
        ({"shards": {"min": 3, "max": 2}}, "spec.shards: min must not be above max: min 3"),
        ({"tls": {"mode": "pinned"}}, "spec.tls: mode pinned needs fingerprintSha256"),
        ({"tls": {"mode": "ssl"}}, "spec.tls.mode: Input should be 'plain', 'verify', 'pinned'"),
        ({"credentials": {}}, "spec.credentials.secretRef: is missing and must be given"),
        ({"devices": [{"name": "A_b", "address": "h"}]}, "'A_b' is not a DNS-1123 label"),
        ({"devices": [{"name": "a", "address": "http://h"}]}, "spec.devices[0].address: a host"),
        (
            {"devices": [{"name": "a", "address": "r..lan"}]},
            "spec.devices[0].address: each part of",
        ),
        ({"devices": [{"name": "a", "address": "r\0lan"}]}, "spec.devices[0].address: a host name"),
        ({"devices": [{"name": "a", "address": "a\u3002\u3002b"}]}, "give it as xn--"),
        ({"tls": {"mode": "verify", "serverName": ".lan"}}, "spec.tls.serverName: each part of"),
        ({"devices": [{"name": "a", "address": "h", "port": 70000}]}, "spec.devices[0].port"),
        (
            {"devices": [{"name": "a", "address": "h"}, {"name": "a", "address": "i"}]},
            "spec.devices: device names must be unique; twice or more: a",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_is_allowed(
    spec: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_fleet(document(**spec), "fleet.yaml, document 1")

    assert "fleet.yaml, document 1: not a valid RouterFleet" in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.1",
        "2001:db8::1",
        "fe80::1%ether1",
        "router.lan.",
        "b\u00fcro.example",
        f"{'x' * 63}.lan",
    ],
)
def test_an_address_is_any_host_name_or_ip_address(address: str) -> None:
    fleet = parse_fleet(document(devices=[{"name": "a", "address": address}]), "f")

    assert fleet.spec.devices[0].address == address


def test_every_wrong_field_is_reported_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_fleet(document(suspend="maybe", tls={"mode": "x"}, shards={"min": -1}), "f")

    assert str(caught.value).count("\n  spec.") == 3


def test_a_file_may_hold_several_fleets(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    second = document() | {"metadata": {"name": "south"}}
    path.write_text(yaml.safe_dump_all([document(), second]), encoding="utf-8")

    assert [fleet.tenant for fleet in load_fleet_file(path)] == ["north", "south"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "holds no RouterFleet"),
        ("a: [", "not YAML"),
        ("- 1\n", "not a valid RouterFleet"),
        (yaml.safe_dump_all([document(), document()]), "twice: north"),
    ],
)
def test_a_file_that_is_no_fleet_says_why(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError, match=expected):
        load_fleet_file(path)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_fleet_file(tmp_path / "absent.yaml")


def test_a_device_record_has_the_fleets_defaults_and_its_own_overrides() -> None:
    fleet = parse_fleet(
        document(
            tls={"mode": "anonymous"},
            devices=[
                {"name": "a", "address": "h"},
                {"name": "b", "address": "h", "tls": {"mode": "plain"}, "suspend": True},
                {
                    "name": "c",
                    "address": "h",
                    "port": 1234,
                    "credentials": {"secretRef": {"name": "other"}},
                },
            ],
        ),
        "f",
    )

    a, b, c = device_records(fleet)

    assert (a.port, a.tls.mode, a.credentials_secret) == (8729, "anonymous", "north-routers")
    assert (b.port, b.tls.mode, b.suspend) == (8728, "plain", True)
    assert (c.port, c.credentials_secret) == (1234, "other")
