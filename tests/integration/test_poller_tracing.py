"""A sampled poll's trace context travels with its events; an unsampled one costs nothing."""

from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from fleet_common.tracing import Tracing
from fleet_contracts.subjects import Kind
from fleet_simulator.faults import Fault, FaultRule
from fleet_simulator.server import Simulator
from support.pollers import device_record, running_shard, write_secret
from support.waiting import eventually


def tracing(sampler: Sampler) -> tuple[Tracing, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider, "poller"), exporter


async def test_the_events_of_a_sampled_poll_carry_its_context(
    simulator: Simulator, tmp_path: Path
) -> None:
    write_secret(tmp_path, simulator.endpoint("router-1"))
    traces, exporter = tracing(ALWAYS_ON)
    record = device_record(simulator.endpoint("router-1"))
    async with running_shard(tmp_path, record, tracing=traces) as poller:
        await eventually(lambda: poller.kinds("router-1"), lambda kinds: Kind.FIRMWARE in kinds)

    span = exporter.get_finished_spans()[0]
    assert span.name == "poll"
    assert (span.attributes or {})["fleet.device"] == "router-1"
    assert span.context is not None
    parents = {(headers or {})["traceparent"].rpartition("-")[0] for headers in poller.headers[:5]}
    assert parents == {f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}"}


async def test_a_failed_poll_says_so_in_its_span(simulator: Simulator, tmp_path: Path) -> None:
    write_secret(tmp_path, simulator.endpoint("router-1"))
    traces, exporter = tracing(ALWAYS_ON)
    simulator.faults.add(FaultRule(Fault.OFFLINE))
    record = device_record(simulator.endpoint("router-1"))
    async with running_shard(tmp_path, record, tracing=traces):
        await eventually(exporter.get_finished_spans, bool)

    assert (exporter.get_finished_spans()[0].attributes or {})["fleet.error_class"] == "refused"


async def test_the_events_of_an_unsampled_poll_carry_nothing(
    simulator: Simulator, tmp_path: Path
) -> None:
    write_secret(tmp_path, simulator.endpoint("router-1"))
    traces, _ = tracing(ALWAYS_OFF)
    record = device_record(simulator.endpoint("router-1"))
    async with running_shard(tmp_path, record, tracing=traces) as poller:
        await eventually(lambda: poller.headers, bool)

    assert set(poller.headers) == {None}
