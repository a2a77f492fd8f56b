"""docs/metrics.md: every metric of every service, from the metric sets."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

from fleet_common.metrics import MetricRow, MetricSet
from fleet_poller.exposition.table import rows as device_rows
from fleet_simulator.clock import VirtualClock
from fleet_simulator.faults import FaultBook
from fleet_simulator.metrics import SimulatorMetrics
from fleet_simulator.server import Simulator
from pages import page_command, write_page
from service_modules import SERVICES, Service, classes_of, module_of

PAGE: Final = Path(__file__).resolve().parent.parent / "docs/metrics.md"
_INTRODUCTION: Final = """\
<!-- Made by tools/metrics_docs.py (`make generate`). Do not edit. -->
# Metrics

Each service serves `/metrics` on its admin port (`FLEET_ADMIN__PORT`). Names are
`fleet_<service>_<what>_<unit>`, totals end in `_total`, states are labels, and no label
grows with the fleet unless its meaning says so.

Each also tells of its process: Prometheus's `process_*` (open files, memory, CPU time) and
`fleet_process_tasks`, the asyncio tasks that have not ended.

The pollers also serve the newest reading of each of their devices (last section). For those who
want two intervals, `/metrics` is split in `/metrics/service` and `/metrics/devices`.
"""
_DEVICES: Final = """\
## devices

What a poller-shard has read of its devices, from the same events that it published; settings
`FLEET_POLLER__DEVICE_METRICS…`. A value that the router does not give has no sample. While a
device is down its readings are gone; `routeros_up` is 0. An interface whose name another one of
the device has too gets `#` and its RouterOS id behind the name. After a reboot totals begin anew,
as Prometheus expects. When a device moves to another shard, its series end there and begin here:
ask with `max by (tenant, device, …)`, also around `rate()`, whose window remembers both.
"""


def metric_sets(service: Service) -> Iterator[MetricSet]:
    """A fresh instance of each metric set of the service."""
    module = module_of(service, service.metrics_module)
    if module is None:
        return
    for set_class in classes_of(module, MetricSet):
        if set_class is SimulatorMetrics:
            yield _simulator_metrics()
        else:
            yield cast("type[MetricSet]", set_class)()


def _simulator_metrics() -> MetricSet:
    """The simulator counts in its devices' ledgers; a simulator without devices will do."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        return SimulatorMetrics(Simulator({}, VirtualClock(0.0), FaultBook(), loop))


def render() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for service in SERVICES:
        rows = [row for metric_set in metric_sets(service) for row in metric_set.table]
        if rows:
            parts.append(f"## {service.name}")
            parts.append(_table(rows))
    parts += [_DEVICES, _table(device_rows())]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def write() -> None:
    """Write the page."""
    write_page(PAGE, render())


def _table(rows: list[MetricRow]) -> str:
    lines = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    for row in rows:
        labels = ", ".join(f"`{label}`" for label in row.labels)
        help_text = " ".join(row.help.split()).replace("|", "\\|")
        lines.append(f"| `{row.name}` | {row.type} | {labels} | {help_text} |")
    return "\n".join(lines)


if __name__ == "__main__":
    page_command(PAGE, render)
