"""Prometheus metrics as one typed table per service.

A service subclasses MetricSet and creates each metric as a typed attribute; the set
keeps the table of what it made, from which the documentation is written and the
naming rules are tested. States are labels; no label is bounded only by the fleet: what is
said of single devices goes by MetricStream.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

DURATION_BUCKETS_SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One line of the table."""

    name: str
    type: Literal["counter", "gauge", "histogram", "info"]
    labels: tuple[str, ...]
    help: str


class MetricStream(Protocol):
    """More metrics than fit a registry, as text in pieces; whole families, each once."""

    def __call__(self, *, openmetrics: bool) -> AsyncIterator[bytes]:
        """The text in the format asked for, without OpenMetrics' closing line."""
        ...


class MetricSet:
    """The metrics of one service in their own registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.table: list[MetricRow] = []
        self.devices_stream: MetricStream | None = None
        """What the service knows of single devices; served before its own metrics."""

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """A total; `name` ends in `_total`."""
        self.table.append(MetricRow(name, "counter", tuple(labels), text))
        return Counter(name, text, labels, registry=self.registry)

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        """A value that goes up and down; the unit ends the name."""
        self.table.append(MetricRow(name, "gauge", tuple(labels), text))
        return Gauge(name, text, labels, registry=self.registry)

    def histogram(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = DURATION_BUCKETS_SECONDS,
    ) -> Histogram:
        """A distribution; the unit ends the name."""
        self.table.append(MetricRow(name, "histogram", tuple(labels), text))
        return Histogram(name, text, labels, registry=self.registry, buckets=buckets)
