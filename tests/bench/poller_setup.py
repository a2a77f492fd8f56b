"""What the poller's benches share: records of the simulated fleet, a poll context, a sink."""

import json
import random
from pathlib import Path
from typing import cast

from fleet_common.fleet_spec import CadenceSpec, TlsMode, TlsSpec
from fleet_common.inventory import DeviceRecord
from fleet_common.settings import TracingSection
from fleet_common.tracing import start_tracing
from fleet_contracts.subjects import Kind
from fleet_poller.breaker import BreakerPolicy
from fleet_poller.clock import SystemClock
from fleet_poller.credentials import SecretStore
from fleet_poller.device import EventSink, PollContext, PollTimeouts
from fleet_poller.exposition.scrape import wanted_kinds
from fleet_poller.gate import LoginGates
from fleet_poller.metrics import PollerMetrics
from fleet_poller.settings import PollerSection

type Endpoint = tuple[str, str, str, int, str, str]
"""Tenant, device, address, port, user name, password."""


class NullSink:
    """Takes events and counts them."""

    def __init__(self) -> None:
        self.events = 0

    def publish(
        self,
        kind: Kind,  # noqa: ARG002 - the sink's signature
        subject: str,  # noqa: ARG002
        payload: bytes,  # noqa: ARG002
        message_id: str,  # noqa: ARG002
        headers: dict[str, str] | None = None,  # noqa: ARG002
    ) -> None:
        """Count it."""
        self.events += 1


def load_endpoints(path: Path) -> list[Endpoint]:
    """What bench.poller_fleet printed."""
    return [cast("Endpoint", tuple(one)) for one in json.loads(path.read_text(encoding="utf-8"))]


def write_secrets(directory: Path, endpoints: list[Endpoint]) -> None:
    """One Secret per device, named like it."""
    for _, device, _, _, username, password in endpoints:
        (directory / device).mkdir(parents=True)
        (directory / device / "username").write_text(username, encoding="utf-8")
        (directory / device / "password").write_text(password, encoding="utf-8")


def records(endpoints: Path, cadence: CadenceSpec) -> list[DeviceRecord]:
    """The fleet's records."""
    return [
        DeviceRecord(
            tenant=tenant,
            device=device,
            address=address,
            port=port,
            credentials_secret=device,
            tls=TlsSpec(mode=TlsMode.PLAIN),
            cadence=cadence,
        )
        for tenant, device, address, port, _, _ in load_endpoints(endpoints)
    ]


def context(secrets: Path, sink: EventSink, metrics: PollerMetrics | None = None) -> PollContext:
    """As the service composes it."""
    return PollContext(
        secrets=SecretStore(secrets),
        gates=LoginGates(32),
        timeouts=PollTimeouts(10.0, 30.0),
        breaker=BreakerPolicy(),
        sink=sink,
        metrics=metrics or PollerMetrics(),
        tracing=start_tracing("poller", TracingSection()),
        clock=SystemClock(),
        jitter=random.Random(1),  # noqa: S311 - repeatable, no secret
        held_kinds=wanted_kinds(PollerSection(tenant="bench").device_groups),
    )
