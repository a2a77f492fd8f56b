"""The operator's metrics."""

from prometheus_client import CollectorRegistry

from fleet_common.streams.metrics import StreamMetrics


class OperatorMetrics(StreamMetrics):
    """All of them; the label `tenant` is bounded by the cluster's RouterFleets."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__("fleet_operator", registry)
        self.fleets = self.gauge(
            "fleet_operator_fleets",
            "RouterFleets by state: ready, not_ready, conflict, deleting",
            ["state"],
        )
        self.reconciles = self.counter(
            "fleet_operator_reconciles_total",
            "Passes over all fleets by outcome: done, failed (something is tried again)",
            ["outcome"],
        )
        # There from the start: nothing is not zero, and no alert sees it stand still.
        for outcome in ("done", "failed"):
            self.reconciles.labels(outcome)
        self.reconcile_seconds = self.histogram(
            "fleet_operator_reconcile_duration_seconds", "Time of one pass over all fleets"
        )
        self.writes = self.counter(
            "fleet_operator_kubernetes_writes_total",
            "Writes to the API server by kind and reason: created, changed, drifted (someone else "
            "had changed or deleted it), status, finalizer, deleted, event",
            ["kind", "reason"],
        )
        self.inventory_writes = self.counter(
            "fleet_operator_inventory_writes_total",
            "Device records written to or deleted from the inventory",
        )
        self.missed = self.counter(
            "fleet_operator_missed_changes_total",
            "Changes that a full list found before any watch told of them",
        )
        self.watch_restarts = self.counter(
            "fleet_operator_watch_restarts_total",
            "Times that watching began anew since it had ended or told nothing any more",
        )
        self.failures = self.counter(
            "fleet_operator_failures_total",
            "Things that did not work and are tried again, by party: kubernetes, broker",
            ["party"],
        )
        for party in ("kubernetes", "broker"):
            self.failures.labels(party)
        self.fenced = self.counter(
            "fleet_operator_fenced_shards_total",
            "Shards that gave no sign of life and whose pods were ended",
            ["tenant"],
        )
        self.moved = self.counter(
            "fleet_operator_moved_devices_total", "Devices that changed their shard", ["tenant"]
        )
        self.abandoned = self.counter(
            "fleet_operator_cleanups_abandoned_total",
            "RouterFleets whose finalizer went before everything of theirs was cleaned up",
        )
