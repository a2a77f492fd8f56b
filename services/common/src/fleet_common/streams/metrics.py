"""What the owner of the streams tells of them."""

from collections.abc import Collection

from prometheus_client import CollectorRegistry

from fleet_common.metrics import MetricSet
from fleet_common.streams.live import Account, LiveStream
from fleet_contracts.streams import StreamStorage

_TENANT = ("tenant",)


class StreamMetrics(MetricSet):
    """All of them; the label `tenant` is bounded by the fleets that the owner knows.

    `prefix` names the owner: `fleet_runner`, `fleet_operator`.
    """

    def __init__(self, prefix: str, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.stream_bytes = self.gauge(
            f"{prefix}_stream_bytes", "What the tenant's stream holds", _TENANT
        )
        self.stream_limit = self.gauge(
            f"{prefix}_stream_limit_bytes", "What the tenant's stream may hold", _TENANT
        )
        self.window_wanted = self.gauge(
            f"{prefix}_window_wanted_seconds", "The replay window that the fleet wants", _TENANT
        )
        self.window_planned = self.gauge(
            f"{prefix}_window_planned_seconds",
            "The replay window that the planned size gives",
            _TENANT,
        )
        self.unstored = self.gauge(
            f"{prefix}_unstored_messages",
            "Messages in the stream that the slowest durable consumer has not stored",
            _TENANT,
        )
        self.until_loss = self.gauge(
            f"{prefix}_until_loss_seconds",
            "Until messages are lost if the slowest durable consumer stored nothing from now on; "
            "no series while it cannot be said",
            _TENANT,
        )
        self.account_used = self.gauge(
            f"{prefix}_account_used_bytes",
            "What the NATS account stores, copies counted, by storage: file, memory",
            ("storage",),
        )
        self.account_reserved = self.gauge(
            f"{prefix}_account_reserved_bytes",
            "What all streams of the NATS account may grow to, copies counted, by storage; of a "
            "stream without a bound what it stores",
            ("storage",),
        )
        self.account_limit = self.gauge(
            f"{prefix}_account_limit_bytes",
            "What the NATS account may store, by storage; no series without a limit",
            ("storage",),
        )
        self.trims = self.counter(
            f"{prefix}_trims_total",
            "Trims by cause: shrunk (the plan gave a smaller limit), discarded_unstored (the "
            "stream was full and the writer behind)",
            ("tenant", "cause"),
        )
        self.trimmed_messages = self.counter(
            f"{prefix}_trimmed_messages_total",
            "Messages dropped by trims, by cause",
            ("tenant", "cause"),
        )
        self.trimmed_bytes = self.counter(
            f"{prefix}_trimmed_bytes_total",
            "Bytes dropped by trims, by cause",
            ("tenant", "cause"),
        )
        self.trimmed_unstored = self.counter(
            f"{prefix}_trimmed_unstored_messages_total",
            "Messages dropped before a consumer had stored them",
            _TENANT,
        )
        self.drift = self.counter(
            f"{prefix}_drift_corrections_total",
            "Streams brought back after someone else changed or deleted them",
            _TENANT,
        )
        self.plans = self.counter(
            f"{prefix}_plans_total", "Plans by outcome: applied, failed", ("outcome",)
        )

    def account(self, account: Account, streams: Collection[LiveStream]) -> None:
        """As the broker told them; `streams` are all of the account."""
        limits = account.limits
        for storage, used, limit in (
            (StreamStorage.FILE, account.file_bytes, limits.file_bytes),
            (StreamStorage.MEMORY, account.memory_bytes, limits.memory_bytes),
        ):
            reserved = sum(one.reservation.size_bytes for one in streams if one.storage is storage)
            self.account_used.labels(storage).set(used)
            self.account_reserved.labels(storage).set(reserved)
            if limit is None:
                self.account_limit.remove_by_labels({"storage": storage})
            else:
                self.account_limit.labels(storage).set(limit)

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
