"""The local runner's metrics."""

from prometheus_client import CollectorRegistry

from fleet_common.streams.metrics import StreamMetrics


class RunnerMetrics(StreamMetrics):
    """All of them; the label `tenant` is bounded by the fleets of a run."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__("fleet_runner", registry)
