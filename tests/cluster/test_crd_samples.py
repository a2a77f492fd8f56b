"""The API server takes the valid samples, and refuses the others in the words they give."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.commands import kubectl, run
from fleet_common.fleet_spec import RouterFleet
from support.samples import InvalidSample, invalid_samples, valid_samples


def dry_run(namespace: str, text: str) -> str:
    """What kubectl says, whether well or not."""
    done = run(
        ("kubectl", "-n", namespace, "apply", "--dry-run=server", "-f", "-"),
        stdin=text,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("path", valid_samples(), ids=lambda path: path.stem)
def test_a_valid_sample_is_taken_with_the_defaults_of_the_models(
    namespace: str, path: Path
) -> None:
    text = path.read_text(encoding="utf-8")
    taken = kubectl(
        "-n", namespace, "apply", "--dry-run=server", "-o", "yaml", "-f", "-", stdin=text
    )

    assert fleet_of(yaml.safe_load(taken)) == fleet_of(*yaml.safe_load_all(text))


def fleet_of(*documents: dict[str, Any]) -> dict[str, Any]:
    """The spec of the one RouterFleet, with the models' defaults."""
    listed = [one for document in documents for one in document.get("items", [document])]
    (body,) = [one for one in listed if one["kind"] == "RouterFleet"]
    return RouterFleet.model_validate(
        {"metadata": {"name": body["metadata"]["name"]}, "spec": body["spec"]}
    ).model_dump()


@pytest.mark.parametrize("sample", invalid_samples(), ids=str)
def test_an_invalid_sample_is_refused_with_the_words_it_gives(
    namespace: str, sample: InvalidSample
) -> None:
    said = dry_run(namespace, sample.path.read_text(encoding="utf-8"))
    assert sample.api_server in said
    assert "created" not in said
    assert "evaluation error" not in said


# fmt: off
DURATIONS = (
    "300ms", "0.3s", "60s", "1m", "90m", "1.5h", "24h", "1d", "1.0d", "23h59m60s", "1h1h", "1m1h",
    "12h12h0s", "86400s", "86400000ms", "0.01d", "0.001w", "25h", "1d1ms", "2d", "1w", "1w1d",
    "199ms", "200ms", "0s", "0.1s", "0d", "0w", 1, 60, 0, -1, 86400, 86401, "60", "1s1", "s", "1x",
    "1M", "1H", "m1", "1..5h", "1h30", "-1s", "+1s", "1e3s", "1_000s", "", " ", "60sec", "PT1H",
    "1h,30m", "0x10s", "1dd", "1hh", "9999999999h", "soon", "60 s",
)
SIZES = (
    "1MiB", "1Mi", "1048576", 1048576, 1048575, 0, -1, "1.5GB", "1 GiB", "1.04MB", "1.05MB",
    "1024KiB", "1023Ki", "1TB", "2Ti", "0.001TiB", "1000kB", "1049kB", "1100KB", "5mb", "2m", "64M",
    "1G", "B", "1e9", "-1MiB", "1,5GB", "2097152B", "2_048_576", "", "99999999B", "1MiBB", "2MiB ",
)
# fmt: on
KNOWN_TO_DIFFER = {"1m1h", "2MiB "}
"""The operator takes units in any order and spaces around; the API server need not."""


@pytest.mark.parametrize(
    ("group", "field", "texts"),
    [("cadence", "interval", DURATIONS), ("events", "maxBytes", SIZES)],
)
def test_the_api_server_reads_durations_and_sizes_as_the_operator_does(
    namespace: str, group: str, field: str, texts: tuple[str | int, ...]
) -> None:
    documents: dict[str, dict[str, Any]] = {}
    for number, text in enumerate(texts):
        documents[f"n{number}"] = {
            "apiVersion": "routerfleet.io/v1alpha1",
            "kind": "RouterFleet",
            "metadata": {"name": f"n{number}"},
            "spec": {
                "credentials": {"secretRef": {"name": "s"}},
                "events": {"replayWindow": "31d"},
                group: {field: text, **({"replayWindow": "31d"} if group == "events" else {})},
            },
        }
    listed = {"apiVersion": "v1", "kind": "List", "items": list(documents.values())}
    said = dry_run(namespace, json.dumps(listed))
    created = set(re.findall(r"routerfleet.routerfleet.io/(\S+) created", said))

    read = {name for name, document in documents.items() if parses(document)}
    differ = {documents[name]["spec"][group][field] for name in created ^ read}
    assert differ <= KNOWN_TO_DIFFER, said
    assert len(created) > len(texts) // 4
    assert "evaluation error" not in said


def parses(document: dict[str, Any]) -> bool:
    try:
        RouterFleet.model_validate(document)
    except ValueError:
        return False
    return True
