"""Spans sent to an OTLP endpoint; imported only where one is configured: it takes 4 MB."""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased


def exporting_provider(service: str, endpoint: str, sample_ratio: float) -> TracerProvider:
    """Samples so many of the traces that begin here, and what others sampled."""
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
        resource=Resource.create({"service.name": f"routerfleet-{service}"}),
    )
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=2)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=2048))
    return provider
