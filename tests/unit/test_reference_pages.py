"""docs/settings.md and docs/metrics.md say what the code does; metric names follow the rules."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fleet_cli.metrics import RunnerMetrics
from fleet_common.metrics import MetricSet
from fleet_firmware.metrics import FirmwareMetrics
from fleet_gateway.telemetry import GatewayMetrics
from fleet_poller.exposition.table import rows as device_rows
from fleet_poller.metrics import PollerMetrics
from fleet_simulator.clock import VirtualClock
from fleet_simulator.faults import FaultBook
from fleet_simulator.metrics import SimulatorMetrics
from fleet_simulator.server import Simulator
from fleet_writer.metrics import WriterMetrics

ROOT = Path(__file__).resolve().parents[2]
# What a name may end in: base units, counted things, and two states (`up`, `state`).
UNITS = (
    "total", "seconds", "bytes", "messages", "events", "devices", "streams", "clients",
    "channels", "sessions", "series", "up",
)  # fmt: skip
PER_DEVICE_LABELS = {"device", "subject", "interface", "mac_address", "host"}


def simulator_metrics() -> MetricSet:
    with asyncio.Runner() as runner:
        return SimulatorMetrics(Simulator({}, VirtualClock(0.0), FaultBook(), runner.get_loop()))


SETS = {
    "poller": PollerMetrics,
    "writer": WriterMetrics,
    "firmware": FirmwareMetrics,
    "gateway": GatewayMetrics,
    "simulator": simulator_metrics,
    "runner": RunnerMetrics,
}
services = pytest.mark.parametrize("service", SETS)


@pytest.mark.parametrize(
    "tool",
    [
        "settings_docs.py",
        "metrics_docs.py",
        "routerfleet_docs.py",
        "rbac_file.py",
        "chart_figures.py",
    ],
)
def test_a_generated_file_is_current(tool: str) -> None:
    result = subprocess.run(  # noqa: S603 - our own tool
        [sys.executable, str(ROOT / "tools" / tool), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, f"run `make generate`\n{result.stdout}{result.stderr}"


@services
def test_metric_names_say_service_and_unit(service: str) -> None:
    for row in SETS[service]().table:
        assert row.name.startswith(f"fleet_{service}_"), row
        assert re.fullmatch(r"[a-z][a-z0-9_]*", row.name), row
        assert (row.type == "counter") == row.name.endswith("_total"), row
        assert row.name.rpartition("_")[2] in UNITS, row


@services
def test_metrics_are_explained_and_carry_no_label_per_device(service: str) -> None:
    for row in SETS[service]().table:
        assert len(row.help.split()) > 1, row
        assert not PER_DEVICE_LABELS & set(row.labels), row


@services
def test_the_table_lists_exactly_what_is_served(service: str) -> None:
    metrics = SETS[service]()
    served = {family.name for family in metrics.registry.collect()}
    assert {row.name.removesuffix("_total") for row in metrics.table} == served


def test_every_device_metric_is_explained_and_on_the_page() -> None:
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    for row in device_rows():
        assert re.fullmatch(r"routeros_[a-z0-9_]+", row.name), row
        assert (row.type == "counter") == row.name.endswith("_total"), row
        assert (row.type == "info") == row.name.endswith("_info"), row
        assert row.labels[:2] == ("tenant", "device"), row
        assert f"| `{row.name}` | {row.type} |" in page
    assert len({row.name for row in device_rows()}) == len(device_rows())


def test_every_setting_is_explained() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `FLEET_\w+` \|.*$", page, re.MULTILINE)
    assert len(rows) > 40
    for row in rows:
        assert len(row.rstrip(" |").rpartition("|")[2].split()) > 1, row


def test_every_service_s_own_settings_are_on_the_page() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    for section in ("NATS", "ADMIN", "POLLER", "WRITER", "DATABASE", "FIRMWARE", "GATEWAY"):
        assert f"| `FLEET_{section}__" in page, section
