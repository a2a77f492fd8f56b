"""What every process tells of itself: Prometheus's `process_*` and its asyncio tasks.

https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics. Open files,
memory and tasks that only ever grow are leaks, and show here first.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, override

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

TASKS: Final = "fleet_process_tasks"


class TaskCollector(Collector):
    """Counts the tasks of the event loop in which it is asked; nothing outside of one."""

    @override
    def collect(self) -> Iterable[Metric]:
        """One gauge."""
        try:
            count = len(asyncio.all_tasks())
        except RuntimeError:
            return
        yield GaugeMetricFamily(TASKS, "asyncio tasks that have not ended.", value=count)


def process_registry() -> CollectorRegistry:
    """A registry of its own, since there is one process whatever is in it."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(TaskCollector())
    return registry
