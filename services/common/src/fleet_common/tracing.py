"""OpenTelemetry traces from poll through publish to write and SSE; off by default.

The poller samples a poll; its events carry a `traceparent` header, and only they do:
a header costs bytes in the stream and time in every reader.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fleet_common.settings import TracingSection

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_SHUTDOWN_MILLISECONDS = 2000


class Tracing:
    """Spans of one service. Disabled, every method is a cheap no-op."""

    def __init__(self, provider: "TracerProvider | None", service: str) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(service) if provider else None
        self._propagator = TraceContextTextMapPropagator()

    @property
    def enabled(self) -> bool:
        """Whether spans can be recorded at all."""
        return self._tracer is not None

    @contextmanager
    def span(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: Context | None = None,
        links: Sequence[Context] = (),
        attributes: Mapping[str, str | int | float | bool] | None = None,
    ) -> Generator[Span | None]:
        """A span around a block; None when disabled or not sampled.

        `links` are the contexts of other traces the work belongs to, as with a batch.
        """
        if self._tracer is None:
            yield None
            return
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            kind=kind,
            links=[Link(trace.get_current_span(context).get_span_context()) for context in links],
            attributes=attributes,
        ) as span:
            yield span if span.is_recording() else None

    def headers(self, span: Span | None) -> dict[str, str] | None:
        """The message headers that carry `span`; None when there is nothing to carry."""
        if span is None:
            return None
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, trace.set_span_in_context(span))
        return carrier or None

    def parent(self, headers: Mapping[str, str] | None) -> Context | None:
        """The producer's context; None when disabled or the message was not sampled."""
        if self._tracer is None or not headers or "traceparent" not in headers:
            return None
        return self._propagator.extract(dict(headers))

    def shutdown(self) -> None:
        """Send what is left, within two seconds. Blocks; call it last."""
        if self._provider is not None:
            self._provider.force_flush(_SHUTDOWN_MILLISECONDS)
            self._provider.shutdown()


def start_tracing(service: str, settings: TracingSection) -> Tracing:
    """Tracing as configured; disabled without an endpoint."""
    if settings.endpoint is None:
        return Tracing(None, service)
    from fleet_common.trace_export import exporting_provider  # noqa: PLC0415 - see there

    provider = exporting_provider(service, settings.endpoint, settings.sample_ratio)
    return Tracing(provider, service)
