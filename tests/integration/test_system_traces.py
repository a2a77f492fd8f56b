"""One sampled poll is one trace: from the poller through the writer's commit to the gateway."""

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from fleet_simulator.server import Simulator
from support.nats import NatsServer
from support.poller_process import SHARD, fleet_broker
from support.pollers import device_record, write_secret
from support.ports import free_port
from support.processes import service_process
from support.waiting import eventually


@dataclass
class Collector:
    """What an OTLP collector received: for each trace the services that had a span in it."""

    endpoint: str
    services: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            service = next(
                attribute.value.string_value
                for attribute in resource.resource.attributes
                if attribute.key == "service.name"
            )
            for scope in resource.scope_spans:
                for span in scope.spans:
                    for trace in (span.trace_id, *(link.trace_id for link in span.links)):
                        self.services[trace.hex()].add(service)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A real HTTP endpoint that takes OTLP's protobuf."""
    port = free_port()
    received = Collector(f"http://127.0.0.1:{port}/v1/traces")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.take(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield received
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


async def listen(url: str) -> None:
    """Read server-sent events until cancelled, from when the gateway listens."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                async with client.stream("GET", url) as response:
                    async for _ in response.aiter_bytes():
                        pass
            await asyncio.sleep(0.1)  # until it listens


async def test_a_poll_is_one_trace_through_all_services(
    nats_server: NatsServer,
    postgres_url: str,
    simulator: Simulator,
    collector: Collector,
    tmp_path: Path,
) -> None:
    endpoint = simulator.endpoint("router-1")
    secrets = tmp_path / "secrets"
    write_secret(secrets, endpoint)
    page = free_port()
    every = {
        "FLEET_NATS__URL": nats_server.url,
        "FLEET_TRACING__ENDPOINT": collector.endpoint,
        "FLEET_TRACING__SAMPLE_RATIO": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "200",  # milliseconds; five seconds by default
    }
    async with fleet_broker(nats_server, endpoint.tenant) as broker:
        await broker.assign([device_record(endpoint)])
        with ExitStack() as stack:
            for module, settings in {
                "fleet_writer": {"FLEET_DATABASE__URL": postgres_url},
                "fleet_gateway": {
                    "FLEET_GATEWAY__PORT": str(page),
                    "FLEET_GATEWAY__AUTH__MODE": "none",
                },
                "fleet_poller": {
                    "FLEET_POLLER__TENANT": endpoint.tenant,
                    "FLEET_POLLER__SHARD": SHARD,
                    "FLEET_POLLER__SECRETS_DIRECTORY": str(secrets),
                },
            }.items():
                stack.enter_context(service_process(module, every | settings, tmp_path))
            # The gateway's span is an event's first delivery: somebody has to listen.
            listener = asyncio.create_task(listen(f"http://127.0.0.1:{page}/api/v1/events"))
            whole = await eventually(
                lambda: [sorted(names) for names in collector.services.values() if len(names) > 2],
                bool,
                deadline_seconds=60,
                what="a trace with spans of three services",
            )
            listener.cancel()

    assert whole[0] == ["routerfleet-gateway", "routerfleet-poller", "routerfleet-writer"]
