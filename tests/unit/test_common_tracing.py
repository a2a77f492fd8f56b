import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from fleet_common.settings import TracingSection
from fleet_common.tracing import Tracing, start_tracing


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def tracing_into(exporter: InMemorySpanExporter, ratio: float = 1.0) -> Tracing:
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(ratio)))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider, "test")


def named(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    return next(span for span in exporter.get_finished_spans() if span.name == name)


def test_a_trace_goes_on_in_the_service_that_reads_the_headers(
    exporter: InMemorySpanExporter,
) -> None:
    poller, writer = tracing_into(exporter), tracing_into(exporter, ratio=0)
    with poller.span("poll", attributes={"device": "r1"}) as span:
        headers = poller.headers(span)
    assert headers is not None
    assert list(headers) == ["traceparent"]
    with writer.span("write", parent=writer.parent(headers)):
        pass
    poll, write = named(exporter, "poll"), named(exporter, "write")
    assert poll.context is not None
    assert write.context is not None
    assert write.parent is not None
    assert write.context.trace_id == poll.context.trace_id
    assert write.parent.span_id == poll.context.span_id


def test_an_unsampled_poll_costs_its_events_no_header(exporter: InMemorySpanExporter) -> None:
    tracing = tracing_into(exporter, ratio=0)
    with tracing.span("poll") as span:
        assert span is None
        assert tracing.headers(span) is None
    assert exporter.get_finished_spans() == ()


def test_a_batch_is_linked_to_the_traces_it_holds(exporter: InMemorySpanExporter) -> None:
    tracing = tracing_into(exporter)
    with tracing.span("poll") as span:
        parent = tracing.parent(tracing.headers(span))
    assert parent is not None
    with tracing.span("commit", links=[parent]):
        pass
    poll, commit = named(exporter, "poll"), named(exporter, "commit")
    assert poll.context is not None
    assert [link.context.span_id for link in commit.links] == [poll.context.span_id]


def test_without_an_endpoint_everything_is_a_no_op() -> None:
    tracing = start_tracing("test", TracingSection())
    assert not tracing.enabled
    with tracing.span("poll") as span:
        assert span is None
    assert tracing.headers(None) is None
    assert tracing.parent({"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}) is None
    tracing.shutdown()


@pytest.mark.parametrize("headers", [None, {}, {"Nats-Msg-Id": "x"}])
def test_a_message_without_a_trace_has_no_parent(
    exporter: InMemorySpanExporter, headers: dict[str, str] | None
) -> None:
    assert tracing_into(exporter).parent(headers) is None
