"""The firmware-checker's metrics."""

from prometheus_client import CollectorRegistry

from fleet_common.metrics import MetricSet


class FirmwareMetrics(MetricSet):
    """All of them; no label names a device or tenant."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.checks = self.counter(
            "fleet_firmware_checks_total",
            "Checks of a device by outcome: published, unchanged, waiting (channel not read yet), "
            "superseded (a newer event is known), failed (broker did not take the advice)",
            ["outcome"],
        )
        self.rejected = self.counter(
            "fleet_firmware_events_rejected_total",
            "Malformed firmware events set aside, by the part of the event that is wrong",
            ["reason"],
        )
        self.fetches = self.counter(
            "fleet_firmware_channel_fetches_total",
            "Reads of a channel by outcome: fresh, not_modified, absent, wrong_major, malformed, "
            "failed (no usable answer)",
            ["outcome"],
        )
        self.channel_age = self.gauge(
            "fleet_firmware_channel_age_seconds",
            "Time since the channel's last good reading; no series before the first",
            ["channel"],
        )
        self.published = self.counter(
            "fleet_firmware_advice_published_total",
            "Advice stored on a stream, by verdict",
            ["verdict"],
        )
        self.devices = self.gauge(
            "fleet_firmware_devices", "Devices whose latest firmware event is known"
        )
        self.streams = self.gauge(
            "fleet_firmware_streams", "Tenant streams with a running consumer"
        )
