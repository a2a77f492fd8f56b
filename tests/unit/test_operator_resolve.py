"""A fleet from inline devices, ConfigMaps and the key names of Secrets."""

import json
import time
from typing import Any

import pytest
import yaml

from fleet_common.fleet_spec import ProblemKind, summarize
from fleet_operator.resolve import (
    Resolution,
    config_map_names,
    resolve,
    secret_needs,
    secret_problems,
)


def body(**spec: object) -> dict[str, Any]:
    return {
        "apiVersion": "routerfleet.io/v1alpha1",
        "kind": "RouterFleet",
        "metadata": {"name": "north", "namespace": "fleets", "uid": "1", "managedFields": [{}]},
        "spec": {"credentials": {"secretRef": {"name": "login"}}, **spec},
        "status": {"observedGeneration": 1},
    }


def from_map(name: str = "sites", **more: object) -> dict[str, object]:
    return {"configMapRef": {"name": name, **more}}


def rows(*names: str) -> list[dict[str, object]]:
    return [{"name": name, "address": f"{name}.example"} for name in names]


def device_names(resolution: Resolution) -> list[str]:
    assert resolution.fleet is not None
    return [device.name for device in resolution.fleet.spec.devices]


def problems(resolution: Resolution) -> list[str]:
    return [str(problem) for problem in resolution.problems]


def test_inline_and_listed_devices_make_one_fleet_in_order() -> None:
    spec = body(devices=rows("z"), devicesFrom=[from_map("b", key="k"), from_map("a")])
    maps = {
        "a": {"2.json": json.dumps(rows("two")), "1.yaml": yaml.safe_dump(rows("one"))},
        "b": {"k": yaml.safe_dump(rows("kay")), "other": "not read"},
    }

    resolution = resolve(spec, maps)

    assert resolution.problems == ()
    assert device_names(resolution) == ["z", "kay", "one", "two"]
    assert resolution.fleet is not None
    assert resolution.fleet.spec.devices_from == []
    assert resolution.fleet.metadata.model_dump() == {"name": "north", "namespace": "fleets"}
    assert resolution.origins == {
        "z": "spec.devices[0] (z)",
        "kay": "ConfigMap b, key k, row 1 (kay)",
        "one": "ConfigMap a, key 1.yaml, row 1 (one)",
        "two": "ConfigMap a, key 2.json, row 1 (two)",
    }


def test_config_maps_to_read_are_named_even_beside_a_malformed_reference() -> None:
    nameless: dict[str, object] = {"configMapRef": None}
    spec = body(devicesFrom=[from_map("a"), nameless, "text", from_map("b"), None])
    assert config_map_names(spec) == {"a", "b"}
    assert config_map_names({}) == frozenset()


def test_one_malformed_row_among_a_thousand_is_named_and_the_others_are_polled() -> None:
    listed = rows(*(f"r{number}" for number in range(1001)))
    listed[500] = {"name": "r500", "address": "10.0.0.1/24", "port": 70000}
    resolution = resolve(
        body(devicesFrom=[from_map()]), {"sites": {"devices": yaml.safe_dump(listed)}}
    )

    assert len(device_names(resolution)) == 1000
    (problem,) = problems(resolution)
    assert problem == (
        "ConfigMap sites, key devices, row 501 (r500): field address: a host name or IP address, "
        "without scheme, user, port or spaces (it is '10.0.0.1/24'); field port: Input should be "
        "less than or equal to 65535 (it is 70000)"
    )
    assert resolution.invalid == 1
    assert resolution.unread == ()


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"address": "h"}, "row 1: field name: is missing and must be given"),
        ({"name": "A_b", "address": "h"}, "'A_b' is not a DNS-1123 label"),
        ({"name": "a", "adress": "h"}, "field adress: no such field; allowed here: address, cred"),
        ({"name": True, "address": "h"}, "field name: must be text: put it in quotes (it is True)"),
        ("text", "row 1: must be a mapping"),
        (None, "row 1: must be a mapping"),
        ({"name": "routerfleet", "address": "h"}, "no device may be called routerfleet"),
        (
            {"name": "a", "address": "h", "tls": {"mode": "pinned"}},
            "field tls: mode pinned needs fingerprintSha256",
        ),
    ],
)
def test_a_malformed_row_says_field_value_and_what_is_allowed(row: object, expected: str) -> None:
    text = yaml.safe_dump([row, *rows("good")])
    resolution = resolve(body(devicesFrom=[from_map()]), {"sites": {"devices": text}})

    (problem,) = resolution.problems
    assert problem.kind is ProblemKind.MALFORMED_DEVICE
    assert expected in str(problem)
    assert device_names(resolution) == ["good"]


def test_a_wrong_value_as_long_as_a_config_map_leaves_room_for_other_messages() -> None:
    text = yaml.safe_dump([{"name": "a", "address": "/" * 900_000}, {"name": "b"}])
    resolution = resolve(body(devicesFrom=[from_map()]), {"sites": {"devices": text}})

    assert len(summarize(resolution.problems)) < 1000
    assert "row 2 (b): field address: is missing" in summarize(resolution.problems)


def test_a_syntax_error_costs_only_the_row_it_is_in() -> None:
    text = "# site\n- name: a\n  address: h\n- name: b\n  address: [h\n- {name: c, address: h}\n"
    resolution = resolve(body(devicesFrom=[from_map()]), {"sites": {"devices": text}})

    assert device_names(resolution) == ["a", "c"]
    (problem,) = resolution.problems
    assert str(problem).startswith("ConfigMap sites, key devices, row 2: line 4: not YAML: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty; a list of no devices is written []"),
        ("name: a", "must be a list of devices (- name: …), it is a mapping"),
        ("hello", "it is a text"),
        ("null", "it is empty"),
        ("{[", "is neither YAML nor JSON"),
        ('[{"name": "a"', "is neither YAML nor JSON"),
        ("- name: a\n\ttab", "row 1: line 1: not YAML"),
        pytest.param("[" * 100_000, "is neither YAML nor JSON: nested too deeply", id="nested"),
        # A forgotten dash: of two devices YAML alone would silently keep the second.
        ("- name: a\n  address: h\n  name: b", "row 1: line 1: not YAML: the field name stands"),
        ('[{"name": "a", "address": "h", "name": "b"}]', "the field name stands twice"),
        (None, "is not text in UTF-8"),
        ("- !!timestamp x", "row 1: line 1: not YAML"),
        ("- !!int ''", "row 1: line 1: not YAML"),
        ("- !!bool maybe", "row 1: line 1: not YAML"),
        ("- &a {name: *a}", "row 1: field name: must be text"),
    ],
)
def test_a_key_without_a_list_says_so_and_the_other_keys_are_read(
    text: str | None, expected: str
) -> None:
    maps = {"sites": {"a": text, "b": yaml.safe_dump(rows("good"))}}
    resolution = resolve(body(devicesFrom=[from_map()]), maps)

    assert device_names(resolution) == ["good"]
    (line,) = problems(resolution)
    assert line.startswith("ConfigMap sites, key a")
    assert expected in line


def test_an_empty_list_is_no_devices_and_no_problem() -> None:
    resolution = resolve(body(devicesFrom=[from_map()]), {"sites": {"devices": "[]"}})
    assert device_names(resolution) == []
    assert resolution.problems == ()


@pytest.mark.parametrize(
    ("reference", "maps", "where", "kind"),
    [
        (from_map(), {}, "ConfigMap sites", ProblemKind.CONFIG_MAP_MISSING),
        (from_map(), {"sites": None}, "ConfigMap sites", ProblemKind.CONFIG_MAP_MISSING),
        (from_map(), {"sites": {}}, "ConfigMap sites", ProblemKind.CONFIG_MAP_KEY_MISSING),
        (
            from_map(key="x"),
            {"sites": {"a": "[]", "b": "[]"}},
            "ConfigMap sites, key x",
            ProblemKind.CONFIG_MAP_KEY_MISSING,
        ),
    ],
)
def test_what_is_missing_is_named_and_its_devices_are_unknown_not_gone(
    reference: dict[str, Any],
    maps: dict[str, dict[str, str] | None],
    where: str,
    kind: ProblemKind,
) -> None:
    spec = body(devices=rows("inline"), devicesFrom=[reference])
    resolution = resolve(spec, maps)

    (problem,) = resolution.problems
    assert (problem.kind, problem.where) == (kind, where)
    assert resolution.unread == (where,)
    assert device_names(resolution) == ["inline"]

    reference["configMapRef"]["optional"] = True
    optional = resolve(spec, maps)
    assert (optional.problems, optional.unread) == ((), ())


def test_a_missing_key_is_told_with_those_there_are() -> None:
    resolution = resolve(body(devicesFrom=[from_map(key="x")]), {"sites": {"b": "", "a": ""}})
    assert problems(resolution) == [
        "ConfigMap sites, key x: does not exist; the ConfigMap holds a, b"
    ]


def test_of_two_devices_of_one_name_the_first_is_polled_and_the_other_named() -> None:
    maps = {
        "sites": {
            "a": yaml.safe_dump(rows("core", "new")),
            "b": yaml.safe_dump([{"name": "new", "address": "other"}]),
        }
    }
    resolution = resolve(body(devices=rows("core"), devicesFrom=[from_map()]), maps)

    assert device_names(resolution) == ["core", "new"]
    assert resolution.fleet is not None
    assert resolution.fleet.spec.devices[1].address == "new.example"
    first, second = problems(resolution)
    assert first == (
        "ConfigMap sites, key a, row 1 (core): the name is taken by spec.devices[0] (core); "
        "this one is left out"
    )
    assert second == (
        "ConfigMap sites, key b, row 1 (new): the name is taken by ConfigMap sites, key a, row 2 "
        "(new); this one is left out"
    )


def test_inline_devices_are_read_one_by_one_too() -> None:
    resolution = resolve(body(devices=[*rows("a"), {"name": "b"}, *rows("c", "a")]), {})

    assert device_names(resolution) == ["a", "c"]
    assert problems(resolution) == [
        "spec.devices[1] (b): field address: is missing and must be given",
        "spec.devices[3] (a): the name is taken by spec.devices[0] (a); this one is left out",
    ]


def test_ten_thousand_devices_are_read_in_seconds_and_more_are_left_out() -> None:
    text = yaml.safe_dump(rows(*(f"r{number}" for number in range(10_003))))
    began = time.process_time()
    resolution = resolve(body(devicesFrom=[from_map()]), {"sites": {"devices": text}})
    spent = time.process_time() - began

    assert len(device_names(resolution)) == 10_000
    assert problems(resolution) == [
        "devices: a fleet holds at most 10000; 3 after these are left out"
    ]
    assert spent < 10


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"cadence": {"interval": "soon"}}, "spec.cadence.interval: 'soon' is not a duration"),
        ({"unknown": 1}, "spec.unknown: no such field; allowed here: cadence, credentials"),
        ({"devices": "text"}, "spec.devices: must be a list"),
        ({"devicesFrom": [{"configMapRef": None}]}, "spec.devicesFrom[0].configMapRef: must be a"),
        ({"deletionPolicy": "Keep"}, "spec.deletionPolicy: Input should be 'Retain' or 'Delete'"),
        (
            {"database": {"retentionDays": {"health": 0}}},
            "spec.database.retentionDays.health: Input should be greater than or equal to 1",
        ),
    ],
)
def test_a_spec_that_is_not_valid_gives_no_fleet_and_says_why(
    spec: dict[str, object], expected: str
) -> None:
    resolution = resolve(body(**spec), {})

    assert resolution.fleet is None
    assert {problem.kind for problem in resolution.problems} == {ProblemKind.INVALID_SPEC}
    assert expected in "\n".join(problems(resolution))


def test_a_body_without_a_spec_is_a_problem_not_a_crash() -> None:
    resolution = resolve({"metadata": {"name": "north"}}, {})
    assert resolution.fleet is None
    assert "spec.credentials: is missing and must be given" in problems(resolution)


def test_missing_secrets_and_keys_are_named_with_the_devices_they_concern() -> None:
    verify = {"mode": "verify", "caSecretRef": {"name": "ca"}}
    resolution = resolve(
        body(
            devices=[
                *rows("a", "b", "c", "d"),
                {**rows("v")[0], "tls": verify},
                {**rows("o")[0], "credentials": {"secretRef": {"name": "other"}}},
                {
                    **rows("asleep")[0],
                    "suspend": True,
                    "credentials": {"secretRef": {"name": "unused"}},
                },
            ]
        ),
        {},
    )
    assert resolution.fleet is not None
    needs = secret_needs(resolution.fleet)

    assert sorted(needs) == ["ca", "login", "other"]
    assert [
        str(problem)
        for problem in secret_problems(needs, {"login": frozenset({"username"}), "ca": frozenset()})
    ] == [
        "Secret ca: has no ca.crt; needed by v",
        "Secret login: has no password; needed by 5 devices (a, b, c, …)",
        "Secret other: does not exist; needed with username, password by o",
    ]


def test_one_secret_for_login_and_ca_needs_all_three_keys() -> None:
    tls = {"mode": "verify", "caSecretRef": {"name": "login"}}
    resolution = resolve(body(devices=rows("a"), tls=tls), {})
    assert resolution.fleet is not None
    needs = secret_needs(resolution.fleet)

    (problem,) = secret_problems(needs, {"login": None})
    assert str(problem) == (
        "Secret login: does not exist; needed with username, password, ca.crt by a"
    )
    whole = {"login": frozenset({"username", "password", "ca.crt"})}
    assert secret_problems(needs, whole) == ()
    (problem,) = secret_problems(needs, whole, {"login"})
    assert problem.kind is ProblemKind.SECRET_KEY_UNUSABLE
    assert str(problem) == "Secret login: ca.crt holds no certificate in PEM; needed by a"


def test_a_summary_names_the_first_problems_and_counts_the_rest() -> None:
    resolution = resolve(body(devices=[{"name": f"d{number}"} for number in range(8)]), {})
    text = summarize(resolution.problems, most=2)
    assert text.startswith("spec.devices[0] (d0): field address: is missing")
    assert text.endswith("; and 6 more")
    assert text.count("; ") == 2
