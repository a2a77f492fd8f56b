"""The local runner's metrics."""

from prometheus_client import CollectorRegistry

from fleet_common.metrics import MetricSet

_TENANT = ("tenant",)


class RunnerMetrics(MetricSet):
    """All of them; the label `tenant` is bounded by the fleets of a run."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.stream_bytes = self.gauge(
            "fleet_runner_stream_bytes", "What the tenant's stream holds", _TENANT
        )
        self.stream_limit = self.gauge(
            "fleet_runner_stream_limit_bytes", "What the tenant's stream may hold", _TENANT
        )
        self.window_wanted = self.gauge(
            "fleet_runner_window_wanted_seconds", "The replay window that the fleet wants", _TENANT
        )
        self.window_planned = self.gauge(
            "fleet_runner_window_planned_seconds",
            "The replay window that the planned size gives",
            _TENANT,
        )
        self.unstored = self.gauge(
            "fleet_runner_unstored_messages",
            "Messages in the stream that the slowest durable consumer has not stored",
            _TENANT,
        )
        self.until_loss = self.gauge(
            "fleet_runner_until_loss_seconds",
            "Until messages are lost if the slowest durable consumer stored nothing from now on; "
            "no series while it cannot be said",
            _TENANT,
        )
        self.trims = self.counter(
            "fleet_runner_trims_total",
            "Trims by cause: shrunk (the plan gave a smaller limit), discarded_unstored (the "
            "stream was full and the writer behind)",
            ("tenant", "cause"),
        )
        self.trimmed_messages = self.counter(
            "fleet_runner_trimmed_messages_total",
            "Messages dropped by trims, by cause",
            ("tenant", "cause"),
        )
        self.trimmed_bytes = self.counter(
            "fleet_runner_trimmed_bytes_total",
            "Bytes dropped by trims, by cause",
            ("tenant", "cause"),
        )
        self.trimmed_unstored = self.counter(
            "fleet_runner_trimmed_unstored_messages_total",
            "Messages dropped before a consumer had stored them",
            _TENANT,
        )
        self.drift = self.counter(
            "fleet_runner_drift_corrections_total",
            "Streams brought back after someone else changed or deleted them",
            _TENANT,
        )
        self.plans = self.counter(
            "fleet_runner_plans_total", "Plans by outcome: applied, failed", ("outcome",)
        )

    def forget(self, tenant: str) -> None:
        """A tenant left: its gauges would stand still for ever."""
        for gauge in (
            self.stream_bytes,
            self.stream_limit,
            self.window_wanted,
            self.window_planned,
            self.unstored,
            self.until_loss,
        ):
            gauge.remove_by_labels({"tenant": tenant})
