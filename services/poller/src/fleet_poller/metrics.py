"""The poller's own metrics. No label is a device: those are in fleet_poller.exposition."""

from fleet_common.metrics import MetricSet


class PollerMetrics(MetricSet):
    """`fleet_poller_*` of one process."""

    def __init__(self) -> None:
        super().__init__()
        self.polls = self.counter(
            "fleet_poller_polls_total",
            "Polls by outcome: ok, or the class of the error.",
            ["outcome"],
        )
        self.ok = self.polls.labels("ok")
        self.unforeseen = self.counter(
            "fleet_poller_unforeseen_failures_total",
            "Polls that ended in an error that nobody foresaw: a bug that something in a device's "
            "record or answers sets off; in the log with a traceback, `protocol` among the polls.",
        )
        self.poll_duration = self.histogram(
            "fleet_poller_poll_duration_seconds",
            "From the first byte sent to the last reply read, of successful polls.",
        )
        self.slots_missed = self.counter(
            "fleet_poller_slots_missed_total",
            "Slots without a poll: late (this process), busy (the device's last poll went on), "
            "unowned (before this shard took the device over), replaced (the device's record "
            "changed during its poll, and it was too late for another).",
            ["reason"],
        )
        self.taken_over = self.counter(
            "fleet_poller_devices_taken_over_total",
            "Devices that came to this shard with a history in the stream.",
        )
        self.slots_held_back = self.counter(
            "fleet_poller_slots_held_back_total",
            "Slots at which a device's circuit breaker was open.",
        )
        self.devices = self.gauge(
            "fleet_poller_assigned_devices", "Devices assigned to this shard, by state.", ["state"]
        )
        self.slot_lag = self.gauge(
            "fleet_poller_slot_lag_seconds",
            "How late polls begin against their slots, the 95th percentile of half a minute.",
        )
        self.logins = self.counter(
            "fleet_poller_logins_total", "Sessions opened, by outcome.", ["outcome"]
        )
        self.buffer_messages = self.gauge(
            "fleet_poller_buffer_messages", "Events waiting for the broker."
        )
        self.buffer_bytes = self.gauge(
            "fleet_poller_buffer_bytes", "Bytes of events waiting for the broker."
        )
        self.in_flight = self.gauge(
            "fleet_poller_in_flight_messages", "Events sent and not yet acknowledged."
        )
        self.dropped = self.counter(
            "fleet_poller_events_dropped_total",
            "Events lost: buffer_full, too_large or refused (the broker will never take them), "
            "stopped (not acknowledged when the process ended).",
            ["kind", "reason"],
        )
        self.acknowledged = self.counter(
            "fleet_poller_events_acknowledged_total", "Events stored by the broker.", ["kind"]
        )
        self.duplicates = self.counter(
            "fleet_poller_events_duplicate_total",
            "Of these, events that the broker already had: a retry whose first answer was lost, "
            "or a slot polled twice around a restart or handover.",
            ["kind"],
        )
        self.publish_retries = self.counter(
            "fleet_poller_publish_retries_total",
            "Events sent again, by reason.",
            ["reason"],
        )
        self.broker_connected = self.gauge(
            "fleet_poller_broker_up", "1 while the broker connection is up."
        )
        self.publishing_stalled = self.gauge(
            "fleet_poller_publishing_stalled_seconds",
            "For how long events have waited since the broker stored one last, whether it is away "
            "or will not; 0 while none waits.",
        )
        self.bad_records = self.counter(
            "fleet_poller_bad_records_total", "Device records that could not be read."
        )
        self.device_series = self.gauge(
            "fleet_poller_device_metrics_series",
            "Series of devices (`routeros_*`) in the newest scrape of them, reckoned with every "
            "value given.",
        )
        self.devices_left_out = self.gauge(
            "fleet_poller_device_metrics_left_out_devices",
            "Devices without metrics, for FLEET_POLLER__DEVICE_METRICS_MAX_SERIES.",
        )
