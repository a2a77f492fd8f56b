"""`routerfleet capacity`: what it prints, and how it refuses."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from fleet_cli.commands import build_app

FLEET = """\
apiVersion: routerfleet.io/v1alpha1
kind: RouterFleet
metadata: {name: harbour}
spec:
  credentials: {secretRef: {name: routers}}
  cadence: {interval: 1s}
  events: {replayWindow: 2h, maxBytes: 2MiB}
  devices:
    - {name: a, address: 192.0.2.1}
    - {name: b, address: 192.0.2.2}
"""


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner(env={"COLUMNS": "140"}).invoke(build_app(), ["capacity", *arguments])
    return result.exit_code, result.stdout, result.stderr


def report(*arguments: str) -> dict[str, Any]:
    code, out, err = run("--json", *arguments)
    assert (code, err) == (0, "")
    return cast("dict[str, Any]", json.loads(out))


def test_without_options_it_does_the_incidents_arithmetic() -> None:
    found = report()
    assert (found["devices"], found["tenants"], found["budget_bytes"]) == (101, 3, 128_000_000)
    assert found["naive"]["messages_per_day"] == 727_200
    assert found["naive"]["hours_to_fill_budget"] == pytest.approx(10.25, abs=0.05)
    assert {one["reason"] for one in found["fleets"].values()} == {"fits"}
    assert found["max_bytes"] < 128_000_000
    assert found["shards"] == 3


def test_every_option_counts() -> None:
    options = (
        "--devices", "1000", "--tenants", "1", "--interval", "10s", "--interfaces", "24",
        "--budget", "64MB", "--window", "12h", "--retention-days", "10", "--shards-of", "300",
    )  # fmt: skip
    found = report(*options)
    (one,) = found["fleets"].values()
    assert found["naive"]["messages_per_day"] == 1000 * 5 * 8640
    assert one["reason"] == "shrunk-to-budget"
    assert one["max_bytes"] <= 64_000_000
    assert one["wanted_window_seconds"] == 43_200
    assert one["shards"] == 4
    assert one["conditions"][0]["type"] == "WindowShortened"
    assert found["kinds"]["interfaces"]["message_bytes"] == 390 + 14 * 27
    assert {one["retention_days"] for one in found["tables"].values()} == {10}
    growth = sum(one["bytes_per_day"] for one in found["tables"].values())
    assert found["table_bytes_per_day"] == pytest.approx(growth, abs=10)


def test_a_fleet_file_takes_the_place_of_the_options(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(FLEET, encoding="utf-8")
    found = report("--fleet", str(file))
    assert list(found["fleets"]) == ["harbour"]
    assert found["fleets"]["harbour"]["reason"] == "capped-by-owner"
    code, _, err = run("--fleet", str(file), "--devices", "5")
    assert code == 2
    assert "leave out --devices" in err


def test_people_get_tables_with_the_same_figures() -> None:
    code, out, _ = run("--budget", "30MB")
    assert code == 0
    for text in ("Events", "Streams", "PostgreSQL", "tenant-1", "shrunk-to-budget"):
        assert text in out
    assert "727,200 messages and 300 MB a day would fill 28.6 MiB after 2.4 hours" in out
    assert "of the wanted 6h" in out


def test_an_empty_fleet_is_planned_at_the_floor() -> None:
    found = report("--devices", "0")
    (one,) = found["fleets"].values()
    assert (one["reason"], one["max_bytes"]) == ("no-devices", 1024**2)
    assert found["hours_to_fill_budget"] is None
    code, out, _ = run("--devices", "0")
    assert code == 0
    assert "never" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--budget", "2MB"), "2000000 bytes"),
        (("--devices", "2", "--tenants", "3"), "cannot be spread over 3 tenants"),
        (("--window", "10s"), "replayWindow"),
        (("--devices", "20001", "--tenants", "2"), "10000"),
        (("--interval", "0s"), "not above 0"),
        (("--budget", "much"), "is not a size"),
        (("--fleet", "/nowhere/fleet.yaml"), "/nowhere/fleet.yaml"),
    ],
)
def test_bad_input_is_refused_with_what_is_wrong(options: tuple[str, ...], message: str) -> None:
    code, out, err = run(*options)
    assert (code, out) == (2, "")
    assert message in err
