"""The gateway's metrics."""

from prometheus_client import CollectorRegistry

from fleet_common.metrics import MetricSet

_LATENCY_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class GatewayMetrics(MetricSet):
    """Tenants are labels where an operator must know which stream it is; clients never are."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.clients = self.gauge(
            "fleet_gateway_clients", "Connected SSE clients by mode.", ["mode"]
        )
        self.channels = self.gauge(
            "fleet_gateway_channels", "Groups of clients that share filter and mode."
        )
        self.events = self.counter(
            "fleet_gateway_events_total", "Events taken from the streams.", ["tenant", "kind"]
        )
        self.rejected = self.counter(
            "fleet_gateway_rejected_events_total",
            "Messages that were no valid event and were skipped.",
            ["tenant"],
        )
        self.deliveries = self.counter(
            "fleet_gateway_deliveries_total", "Live events written, counted for each client."
        )
        self.writes = self.counter(
            "fleet_gateway_writes_total", "Writes that carried live events, one per client."
        )
        self.latency = self.histogram(
            "fleet_gateway_publish_to_client_seconds",
            "From the broker's time of an event until it was written to the clients.",
            buckets=_LATENCY_BUCKETS_SECONDS,
        )
        self.ended = self.counter(
            "fleet_gateway_ended_clients_total",
            "Connections that ended, by reason; slow, stalled and behind were cut.",
            ["reason"],
        )
        self.refused = self.counter(
            "fleet_gateway_refused_requests_total", "Requests refused, by error code.", ["code"]
        )
        self.resumes = self.counter(
            "fleet_gateway_resumes_total",
            "Positions resumed, by where the events came from: ring or stream.",
            ["source"],
        )
        self.resets = self.counter(
            "fleet_gateway_resets_total",
            "Positions that could not be resumed and got a fresh snapshot.",
            ["reason"],
        )
        self.snapshots = self.counter(
            "fleet_gateway_snapshots_total", "Snapshots of a tenant sent to a client."
        )
        self.replayed = self.counter(
            "fleet_gateway_replayed_events_total", "Events read from a stream for one client."
        )
        self.ring_bytes = self.gauge(
            "fleet_gateway_ring_bytes", "Bytes held for resuming clients.", ["tenant"]
        )
        self.devices = self.gauge("fleet_gateway_devices", "Devices in the state.", ["tenant"])
        self.ingest_lag = self.gauge(
            "fleet_gateway_ingest_lag_events",
            "Events on the stream that the gateway has not read.",
            ["tenant"],
        )
        self.ingest_restarts = self.counter(
            "fleet_gateway_ingest_restarts_total",
            "Times a stream's reader was set up anew, by reason.",
            ["tenant", "reason"],
        )
        self.token_reloads = self.counter(
            "fleet_gateway_token_reloads_total", "Readings of the token file.", ["outcome"]
        )
