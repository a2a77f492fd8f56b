"""The process from outside: /metrics, /healthz, settings, traces."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from fleet_contracts.codec import encode
from fleet_contracts.subjects import Kind
from support.ports import free_port
from support.waiting import eventually
from support.writer import now_slot_ms, status_up, writer_process
from support.writer_fleet import Fleet

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@contextmanager
def collector() -> Generator[tuple[str, list[Span]]]:
    """An OTLP/HTTP endpoint; yields its address and the spans it got."""
    spans: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002 - its name
            """Keep the test's output clean."""

    server = HTTPServer(("127.0.0.1", free_port()), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", spans
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


async def test_metrics_health_and_a_trace_from_poll_to_commit(fleet: Fleet, tmp_path: Path) -> None:
    with collector() as (endpoint, spans):
        writer = writer_process(
            fleet.nats_url,
            fleet.database_url,
            tmp_path / "writer.log",
            {"FLEET_TRACING__ENDPOINT": endpoint, "FLEET_TRACING__SAMPLE_RATIO": "1"},
        ).start()
        try:
            payload = encode(status_up(now_slot_ms()))
            await fleet.js.publish(
                f"fleet.acme.gw-1.{Kind.STATUS}", payload, headers={"traceparent": PARENT}
            )
            await fleet.stored(1)
            metrics = await eventually(
                writer.metrics,
                lambda text: (
                    'fleet_writer_events_total{tenant="acme"} 1.0' in text
                    and 'fleet_writer_until_loss_seconds{tenant="acme"}' in text
                ),
                what="the commit is counted, the time until loss estimated",
            )
            health = await writer.get("/healthz")
        finally:
            exit_code = await writer.stop()

    assert exit_code == 0, writer.tail()
    assert health is not None
    assert (health.status_code, health.json()["well"]) == (200, True)
    assert "fleet_writer_commit_duration_seconds_bucket" in metrics
    links = [link.trace_id.hex() for span in spans for link in span.links]
    assert links == [TRACE]
    assert {span.name for span in spans} == {"write batch"}


async def test_the_databases_password_is_never_printed(fleet: Fleet, tmp_path: Path) -> None:
    url = fleet.database_url.replace("postgres:@", "postgres:hunter2@")
    writer = writer_process(fleet.nats_url, url, tmp_path / "writer.log").start()
    try:
        await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms())))
    finally:
        await writer.stop()

    assert "hunter2" in url
    assert "hunter2" not in writer.tail()


async def test_a_bad_setting_is_refused_with_its_name(fleet: Fleet, tmp_path: Path) -> None:
    writer = writer_process(
        fleet.nats_url,
        fleet.database_url,
        tmp_path / "writer.log",
        {"FLEET_WRITER__BATCH_MESSAGES": "0", "FLEET_LOG__FORMAT": "json"},
    ).start()

    code = await writer.exit_code()

    assert code == 2
    assert "FLEET_WRITER__BATCH_MESSAGES" in writer.tail()


async def test_logs_are_json(fleet: Fleet, tmp_path: Path) -> None:
    writer = writer_process(
        fleet.nats_url, fleet.database_url, tmp_path / "w.log", {"FLEET_LOG__FORMAT": "json"}
    ).start()
    try:
        await fleet.stored(await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms())))
    finally:
        await writer.stop()

    lines = [json.loads(line) for line in writer.log_text().splitlines()]
    assert {line["service"] for line in lines} == {"writer"}
    assert "writing a stream" in {line["message"] for line in lines}
