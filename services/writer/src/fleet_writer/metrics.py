"""The metrics of the metrics-writer."""

from prometheus_client import CollectorRegistry

from fleet_common.metrics import MetricSet


class WriterMetrics(MetricSet):
    """One typed attribute per metric; labels are tenants, tables and fixed words."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.events = self.counter("fleet_writer_events_total", "Events stored.", ["tenant"])
        self.rows = self.counter("fleet_writer_rows_total", "Rows stored.", ["table"])
        self.batches = self.counter(
            "fleet_writer_batches_total",
            "Transactions committed, by the way rows went in: copy or staging.",
            ["way"],
        )
        self.duplicates = self.counter(
            "fleet_writer_duplicate_rows_total",
            "Rows that were stored already and were absorbed by their key.",
            ["table"],
        )
        self.expired = self.counter(
            "fleet_writer_expired_rows_total",
            "Rows not stored because they are older than their table's retention.",
            ["tenant"],
        )
        self.rejected = self.counter(
            "fleet_writer_rejected_events_total",
            "Messages set aside in rejected_events, by the field that was wrong.",
            ["reason"],
        )
        self.lost = self.counter(
            "fleet_writer_lost_messages_total",
            "Messages gone from the stream before they were stored; see lost_ranges.",
            ["tenant", "reason"],
        )
        self.lag_messages = self.gauge(
            "fleet_writer_lag_messages", "Messages in the stream not stored yet.", ["tenant"]
        )
        self.lag_seconds = self.gauge(
            "fleet_writer_lag_seconds",
            "Age of the newest stored message while others wait; 0 when none wait.",
            ["tenant"],
        )
        self.until_loss = self.gauge(
            "fleet_writer_until_loss_seconds",
            "Seconds until the stream would discard the oldest message not stored, "
            "if nothing were stored from now on.",
            ["tenant"],
        )
        self.owned = self.gauge("fleet_writer_owned_streams", "Streams this process writes.")
        self.standby = self.gauge(
            "fleet_writer_standby_streams", "Streams another writer holds; this one waits."
        )
        self.database_up = self.gauge(
            "fleet_writer_database_up", "1 while the database answers and takes rows."
        )
        self.sessions = self.counter(
            "fleet_writer_session_failures_total",
            "Sessions ended by an error; the next resumes at the stored position.",
            ["reason"],
        )
        self.commit_seconds = self.histogram(
            "fleet_writer_commit_duration_seconds", "Time of one transaction."
        )
        self.partitions_made = self.counter(
            "fleet_writer_partitions_made_total", "Partitions made."
        )
        self.partitions_dropped = self.counter(
            "fleet_writer_partitions_dropped_total",
            "Partitions dropped: older than what any tenant keeps.",
            ["table"],
        )
        self.rows_deleted = self.counter(
            "fleet_writer_rows_deleted_total",
            "Old rows deleted of tenants that keep them less long than others.",
            ["table"],
        )
        self.database_up.set(0)
