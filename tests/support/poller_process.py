"""The poller as the process that is deployed, against a real broker.

async with fleet_broker(nats_server, "alpha") as broker:
    await broker.assign([device_record(sim.endpoint("core-1"))])
    with poller_process(nats_server, "alpha", secrets) as poller:
        await eventually(lambda: broker.events("core-1"), lambda events: len(events) > 10)
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext

from fleet_common.broker import declare_bucket, declare_stream
from fleet_common.inventory import Assignment, DeviceRecord, replace_all
from fleet_contracts.codec import DecodedEvent, decode
from fleet_contracts.streams import ASSIGNMENTS_BUCKET, INVENTORY_BUCKET, tenant_stream
from fleet_contracts.subjects import Kind, TenantId, stream_name
from support.nats import NatsServer, connected
from support.processes import ServiceProcess, running

SHARD = "shard-0"
_BUCKET_BYTES = 4 * 1024 * 1024


@dataclass
class FleetBroker:
    """What the operator does for one tenant, and a reader of its stream."""

    js: JetStreamContext
    tenant: TenantId
    revision: int = 0
    records: dict[str, DeviceRecord] = field(default_factory=dict[str, DeviceRecord])

    async def declare_stream(self, max_bytes: int = 16 * 1024 * 1024) -> None:
        definition = tenant_stream(self.tenant, max_bytes=max_bytes, max_age_seconds=3600)
        await declare_stream(self.js, definition)

    async def assign(
        self,
        records: Sequence[DeviceRecord],
        shards: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Make inventory and assignments be these devices; one shard has them all by default."""
        inventory = await declare_bucket(self.js, INVENTORY_BUCKET, _BUCKET_BYTES)
        await replace_all(inventory, self.tenant, {one.key(): one for one in records})
        self.revision += 1
        assignments = [
            Assignment(
                tenant=self.tenant, shard=shard, revision=self.revision, devices=tuple(devices)
            )
            for shard, devices in (shards or {SHARD: [one.device for one in records]}).items()
        ]
        bucket = await declare_bucket(self.js, ASSIGNMENTS_BUCKET, _BUCKET_BYTES)
        await replace_all(bucket, self.tenant, {one.key(): one for one in assignments})

    async def events(self, device: str = "*", kind: Kind | None = None) -> list[DecodedEvent]:
        """Everything the stream holds of a device, in its order."""
        subject = f"fleet.{self.tenant}.{device}.{kind.value if kind else '*'}"
        subscription = await self.js.subscribe(subject, ordered_consumer=True)  # pyright: ignore[reportUnknownMemberType] - nats-py types its callbacks loosely
        info = await self.js.stream_info(stream_name(self.tenant))
        events: list[DecodedEvent] = []
        try:
            while info.state.messages:
                async with asyncio.timeout(5):
                    message = await subscription.next_msg(timeout=0.3)
                events.append(decode(message.subject, message.data))
                if message.metadata.num_pending == 0:
                    break
        except NatsTimeoutError:
            pass
        finally:
            await subscription.unsubscribe()
        return events

    async def stored(self) -> int:
        """Messages in the stream."""
        return (await self.js.stream_info(stream_name(self.tenant))).state.messages


@asynccontextmanager
async def fleet_broker(server: NatsServer, tenant: str) -> AsyncGenerator[FleetBroker]:
    """A connection with the tenant's stream declared."""
    async with connected(server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1) as client:
        broker = FleetBroker(client.jetstream(), TenantId(tenant))  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        await broker.declare_stream()
        yield broker


class PollerProcess(ServiceProcess):
    """One running `python -m fleet_poller`."""

    async def terminate(self, deadline_seconds: float) -> tuple[int, float]:
        """SIGTERM; exit code and the seconds it took. Fails with the log when it took longer."""
        started = time.monotonic()
        return await self.stop(deadline_seconds), time.monotonic() - started


@contextlib.contextmanager
def poller_process(
    server: NatsServer, tenant: str, secrets: Path, **settings: str
) -> Generator[PollerProcess]:
    """Run a poller for the tenant; `settings` are fields of its section. Killed at the end."""
    environment = {
        "FLEET_NATS__URL": server.url,
        "FLEET_POLLER__TENANT": tenant,
        "FLEET_POLLER__SHARD": SHARD,
        "FLEET_POLLER__SECRETS_DIRECTORY": str(secrets),
        **{f"FLEET_POLLER__{name.upper()}": value for name, value in settings.items()},
    }
    log = secrets.parent / "poller.log"
    log.unlink(missing_ok=True)
    with running(PollerProcess("fleet_poller", environment, log)) as poller:
        yield poller
