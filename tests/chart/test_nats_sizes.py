"""The bundled NATS has the limits that the planner reckons with."""

import re
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from fleet_common.planning import ServerBudget, bucket_reservations, server_memory_needed
from fleet_common.planning.budget import DISK_OVERHEAD
from support.helm import Chart, Rendered

_MIB = 1024 * 1024
_BUCKETS = sum(one.size_bytes for one in bucket_reservations())
CASES: dict[str, dict[str, int]] = {
    "default": {"file": 2048 * _MIB, "memory": 0, "tenants": 20, "rate": 200},
    "memory": {"file": 512 * _MIB, "memory": 768 * _MIB, "tenants": 3, "rate": 70},
    "large": {"file": 65536 * _MIB, "memory": 1, "tenants": 500, "rate": 20_000},
    "least": {"file": 64 * _MIB, "memory": 0, "tenants": 1, "rate": 1},
}


def rendered(chart: Chart, case: Mapping[str, int], *settings: str) -> Rendered:
    return chart.render(
        None,
        f"nats.streams.fileBytes={case['file'] // 1024}Ki",
        f"nats.streams.memoryBytes={case['memory']}",
        f"nats.streams.tenants={case['tenants']}",
        f"nats.streams.messagesPerSecond={case['rate']}",
        *settings,
    )


def container(chart: Rendered) -> dict[str, Any]:
    stateful_set = chart.one("StatefulSet", "rf-routerfleet-nats")
    return stateful_set["spec"]["template"]["spec"]["containers"][0]


def volume_bytes(chart: Rendered) -> int:
    claims = chart.one("StatefulSet", "rf-routerfleet-nats")["spec"]["volumeClaimTemplates"]
    size = str(claims[0]["spec"]["resources"]["requests"]["storage"])
    return int(size.removesuffix("Gi")) * 1024 * _MIB


def limits(chart: Rendered) -> list[tuple[int, int]]:
    """(max_mem, max_file) of the server and of the account, in bytes."""
    config = chart.one("ConfigMap", "rf-routerfleet-nats")["data"]["nats.conf"]
    pairs = re.findall(r"max_mem: (\d+),?\s+max_file: (\d+)", config)
    return [(int(memory), int(file)) for memory, file in pairs]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> dict[str, int]:
    return CASES[request.param]


def test_memory_limit_is_what_the_planner_asks_for(case: dict[str, int], chart: Chart) -> None:
    file_streams = case["tenants"] + len(bucket_reservations())
    needed = server_memory_needed(file_streams, case["memory"], case["rate"])

    resources = container(rendered(chart, case))["resources"]

    limit = int(resources["limits"]["memory"])
    assert needed <= limit < needed + _MIB
    assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_what_may_be_stored_fits_the_memory_and_the_volume(
    case: dict[str, int], chart: Chart
) -> None:
    made = rendered(chart, case)
    server = ServerBudget(int(container(made)["resources"]["limits"]["memory"]), volume_bytes(made))
    budget = server.stream_budget(case["tenants"] + len(bucket_reservations()), case["rate"])

    (server_memory, server_file), (account_memory, account_file) = limits(made)

    assert budget.memory_bytes is not None
    assert budget.file_bytes is not None
    assert account_memory == server_memory == case["memory"] <= budget.memory_bytes
    assert account_file == case["file"] + _BUCKETS
    assert account_file <= server_file <= budget.file_bytes


def test_gomemlimit_is_the_planners(case: dict[str, int], chart: Chart) -> None:
    one = container(rendered(chart, case))
    server = ServerBudget(int(one["resources"]["limits"]["memory"]), 0)

    assert {"name": "GOMEMLIMIT", "value": str(server.go_memory_limit_bytes)} in one["env"]


def test_copies_count_in_the_account_of_a_cluster(chart: Chart) -> None:
    single, cluster = (
        limits(rendered(chart, CASES["memory"], f"nats.replicas={count}")) for count in (1, 3)
    )

    assert cluster[0] == single[0]
    assert cluster[1] == (3 * single[1][0], 3 * single[1][1])


def test_a_volume_of_ones_own_size_stays_that_size(chart: Chart) -> None:
    made = chart.render(None, "nats.persistence.size=50Gi")

    claim = made.one("StatefulSet", "rf-routerfleet-nats")["spec"]["volumeClaimTemplates"][0]

    assert claim["spec"]["resources"]["requests"]["storage"] == "50Gi"


def test_a_volume_of_ones_own_holds_all_that_may_be_stored(
    case: dict[str, int], chart: Chart
) -> None:
    (_, server_file), _ = limits(rendered(chart, case))
    least = ceil(server_file * DISK_OVERHEAD / _MIB)

    rendered(chart, case, f"nats.persistence.size={least}Mi")
    with pytest.raises(AssertionError, match=r"nats\.persistence\.size: the volume is"):
        rendered(chart, case, f"nats.persistence.size={least - 1}Mi")


def test_bytes_may_be_a_plain_number(chart: Chart, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("nats: {streams: {fileBytes: 4294967296}, persistence: {size: 10000000000}}")

    plain = chart.render(values)

    claim = plain.one("StatefulSet", "rf-routerfleet-nats")["spec"]["volumeClaimTemplates"][0]
    assert limits(plain) == limits(chart.render(None, "nats.streams.fileBytes=4Gi"))
    assert claim["spec"]["resources"]["requests"]["storage"] == "10000000000"
