"""Whatever stands in a resource or a ConfigMap: nothing is raised, nothing lost without a word."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleet_common.fleet_spec import ProblemKind
from fleet_operator.resolve import config_map_names, resolve, secret_needs, secret_problems
from fleet_operator.status import (
    ConditionStatus,
    ConditionType,
    DevicesStatus,
    Findings,
    Verdict,
    merge_status,
)

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
fields = st.sampled_from(
    ["name", "namespace", "spec", "credentials", "secretRef", "tls", "mode", "devices", "address",
     "devicesFrom", "configMapRef", "key", "kind", "apiVersion", "metadata", "port"]
)  # fmt: skip
near_bodies = st.recursive(
    json_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=5),
    max_leaves=12,
)
names = st.sampled_from(["a", "b", "c", "core-1", "Wrong_1", "", "routerfleet"])
rows = (
    st.fixed_dictionaries(
        {"name": names, "address": st.sampled_from(["h", "192.0.2.1", "http://x", ""])},
        optional={"port": st.sampled_from([1, 0, 8728]), "suspend": st.booleans()},
    )
    | json_values
)


def body(inline: list[Any], keys: int) -> dict[str, Any]:
    return {
        "apiVersion": "routerfleet.io/v1alpha1",
        "kind": "RouterFleet",
        "metadata": {"name": "north"},
        "spec": {
            "credentials": {"secretRef": {"name": "login"}},
            "devices": inline,
            "devicesFrom": [
                {"configMapRef": {"name": "sites", "key": f"k{n}"}} for n in range(keys)
            ],
        },
    }


@given(st.dictionaries(fields, near_bodies, max_size=5), st.dictionaries(fields, json_values))
def test_no_body_makes_it_raise(document: dict[str, Any], spec: dict[str, Any]) -> None:
    for one in (document, {**body([], 0), "spec": {**body([], 0)["spec"], **spec}}):
        config_map_names(one)
        resolution = resolve(one, {})
        assert (resolution.fleet is not None) or resolution.problems


writers: st.SearchStrategy[Callable[[object], str]] = st.sampled_from([json.dumps, yaml.safe_dump])


@given(st.lists(rows, max_size=5), st.lists(st.lists(rows, max_size=5), max_size=3), writers)
def test_every_row_is_a_device_or_a_problem(
    inline: list[Any], listed: list[list[Any]], write: Callable[[object], str]
) -> None:
    maps = {"sites": {f"k{number}": write(one) for number, one in enumerate(listed)}}
    resolution = resolve(body(inline, len(listed)), maps)

    assert resolution.fleet is not None
    devices = resolution.fleet.spec.devices
    kinds = {ProblemKind.MALFORMED_DEVICE, ProblemKind.DUPLICATE_DEVICE}
    assert {problem.kind for problem in resolution.problems} <= kinds
    total = len(inline) + sum(len(one) for one in listed)
    assert len(devices) + len(resolution.problems) == total
    assert len({device.name for device in devices}) == len(devices)
    assert resolution.origins is not None
    assert set(resolution.origins) == {device.name for device in devices}


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_no_text_in_a_config_map_spoils_the_others(text: str) -> None:
    good = yaml.safe_dump([{"name": "good", "address": "h"}])
    resolution = resolve(body([], 2), {"sites": {"k0": text, "k1": good}})

    assert resolution.fleet is not None
    assert "good" in [device.name for device in resolution.fleet.spec.devices]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.integers(0, 5))
def test_a_wrong_row_changes_nothing_of_the_others(wrong: list[int], at: int) -> None:
    good = [{"name": f"d{number}", "address": "h"} for number in range(6)]
    spoilt: list[Any] = [*good[:at], *({"name": number} for number in wrong), *good[at:]]
    pure, mixed = resolve(body(good, 0), {}), resolve(body(spoilt, 0), {})

    assert mixed.fleet == pure.fleet
    assert mixed.invalid == len(wrong)


@given(st.sets(st.sampled_from(["username", "password", "ca.crt", "other"])))
def test_a_secret_is_a_problem_exactly_while_a_key_is_missing(keys: set[str]) -> None:
    resolution = resolve(body([{"name": "a", "address": "h"}], 0), {})
    assert resolution.fleet is not None
    problems = secret_problems(secret_needs(resolution.fleet), {"login": frozenset(keys)})
    assert bool(problems) is not ({"username", "password"} <= keys)


verdicts = st.builds(
    Verdict,
    st.sampled_from(ConditionType),
    st.sampled_from(ConditionStatus),
    st.sampled_from(["Here", "There"]),
    st.text(max_size=10),
)
findings = st.builds(
    Findings,
    generation=st.integers(0, 3),
    verdicts=st.lists(verdicts, max_size=4, unique_by=lambda one: one.type),
    devices=st.none() | st.builds(DevicesStatus, total=st.integers(0, 9)),
)


@given(json_values, st.lists(findings, min_size=1, max_size=4))
def test_a_merged_status_merged_again_is_no_write(first: object, found: list[Findings]) -> None:
    document = first
    for one in found:
        document = merge_status(document, one, NOW) or document
        assert merge_status(json.loads(json.dumps(document)), one, NOW) is None
