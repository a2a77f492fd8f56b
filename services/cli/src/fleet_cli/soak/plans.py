"""The streams of a soak: as the incident had them, or as the planner wants them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo

from fleet_cli.soak.model import Trim
from fleet_cli.soak.options import Mode, SoakOptions, cadence_of
from fleet_common.broker import declare_stream
from fleet_common.fleet_spec import (
    CredentialsSpec,
    DeviceSpec,
    EventsSpec,
    Metadata,
    RouterFleet,
    RouterFleetSpec,
    SecretReference,
)
from fleet_common.planning import (
    PlanRequest,
    Sizes,
    StreamPlan,
    StreamState,
    plan_streams,
    single_budget,
)
from fleet_common.streams.live import look_at
from fleet_common.streams.measure import measure_kinds
from fleet_contracts.streams import StreamStorage
from fleet_contracts.subjects import TenantId, stream_name, tenant_subjects
from fleet_simulator.world import SimulatedRouter

NAIVE_AGE_SECONDS: Final = 24 * 3600.0
DUPLICATE_WINDOW_SECONDS: Final = 5.0
"""Of real time, instead of the contracts' 120 s: a compressed day would have the server
remember the ids of many simulated hours, which is memory that a real day does not take."""
_ACCOUNT_SLACK: Final = 1 / 32
"""Of the server's limit, left for what is not an event stream."""


def fleets_of(
    mode: Mode, options: SoakOptions, routers: Sequence[SimulatedRouter]
) -> list[RouterFleet]:
    """The tenants' resources. In memory as in the incident, so that runs can be compared."""
    by_tenant: dict[str, list[DeviceSpec]] = {}
    for router in routers:
        device = DeviceSpec(name=router.name, address="127.0.0.1")
        by_tenant.setdefault(router.tenant, []).append(device)
    return [
        RouterFleet(
            metadata=Metadata(name=tenant),
            spec=RouterFleetSpec(
                credentials=CredentialsSpec(secret_ref=SecretReference(name="routers")),
                cadence=cadence_of(mode),
                events=EventsSpec(
                    replay_window=options.window_seconds, storage=StreamStorage.MEMORY
                ),
                devices=devices,
            ),
        )
        for tenant, devices in by_tenant.items()
    ]


class Streams:
    """Declares the streams of one run and applies plans to them."""

    def __init__(
        self, client: Client, js: JetStreamContext, fleets: Sequence[RouterFleet], limit_bytes: int
    ) -> None:
        self._client = client
        self._js = js
        self._fleets = fleets
        self._budget = single_budget(limit_bytes - round(limit_bytes * _ACCOUNT_SLACK))
        self._planned: dict[TenantId, int] = {}

    async def declare_naive(self) -> None:
        """Age alone bounds them."""
        for fleet in self._fleets:
            config = StreamConfig(
                name=stream_name(fleet.tenant),
                subjects=[tenant_subjects(fleet.tenant)],
                retention=RetentionPolicy.LIMITS,
                discard=DiscardPolicy.OLD,
                max_age=NAIVE_AGE_SECONDS,
                duplicate_window=DUPLICATE_WINDOW_SECONDS,
                storage=StorageType.MEMORY,
                allow_direct=True,
            )
            await self._js.add_stream(config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely

    async def plan(self, *, measured: bool, stored: Mapping[TenantId, int]) -> list[StreamPlan]:
        """The plan for now, not applied. `stored`: the writer's position by tenant."""
        tenants = [fleet.tenant for fleet in self._fleets]
        sizes: Mapping[TenantId, Sizes] = {}
        states: dict[TenantId, StreamState] = {}
        if measured:
            sizes = await measure_kinds(self._client, tenants)
            for tenant in tenants:
                live = await look_at(self._client, stream_name(tenant))
                if live is not None:
                    # Without its times: they are the real clock's, the plan's is virtual.
                    state = live.state(stored.get(tenant, 0))
                    states[tenant] = replace(state, first_time=None, last_time=None)
        request = PlanRequest(self._fleets, self._budget, sizes, states, dict(self._planned))
        return plan_streams(request)

    async def apply(
        self, plans: Sequence[StreamPlan], stored: Mapping[TenantId, int]
    ) -> list[Trim]:
        """Make the live streams be so; what each of those that were there lost by it."""
        trims: list[Trim] = []
        for one in plans:
            if self._planned.get(one.tenant) == one.max_bytes:
                continue
            before = await look_at(self._client, stream_name(one.tenant))
            definition = replace(one.definition, duplicate_window_seconds=DUPLICATE_WINDOW_SECONDS)
            begin = time.perf_counter()
            after = await declare_stream(self._js, definition)
            took = (time.perf_counter() - begin) * 1000
            self._planned[one.tenant] = one.max_bytes
            if before is not None:
                trims.append(_trim(one, before.info, after, stored.get(one.tenant, 0), took))
        return trims


def _trim(
    one: StreamPlan, before: StreamInfo, after: StreamInfo, stored: int, milliseconds: float
) -> Trim:
    return Trim(
        tenant=one.tenant,
        bytes_before=before.state.bytes,
        bytes_after=after.state.bytes,
        messages_before=before.state.messages,
        messages_after=after.state.messages,
        first_before=before.state.first_seq,
        first_after=after.state.first_seq,
        stored_sequence=stored,
        max_bytes=one.max_bytes,
        window_hours=one.resulting_window_seconds / 3600,
        milliseconds=milliseconds,
    )
