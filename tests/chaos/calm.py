"""When the system has recovered, and what its streams then hold."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import httpx
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamState
from pydantic import SecretStr

from chaos.leaks import database_connections
from chaos.watcher import Watcher
from fleet_cli.broker_access import connect_once
from fleet_cli.database import read_model
from fleet_cli.folder import DataFolder, Running, load_kept
from fleet_cli.stream_reader import read_range
from fleet_common.broker import jetstream
from fleet_common.errors import TransientError
from fleet_common.settings import NatsSection
from fleet_contracts.codec import RejectedEventError, decode
from fleet_contracts.subjects import TenantId, stream_name, tenant_id, tenant_subjects
from support.waiting import eventually

_CALM_SECONDS = 90.0
_NOT_SERVICES = frozenset({"nats", "postgres"})


@dataclass(frozen=True)
class Observer:
    """Looks at a running demo directly, past all proxies."""

    folder: DataFolder
    running: Running
    watcher: Watcher

    async def calm(self) -> dict[str, int]:
        """Wait until everything works and has caught up; the streams' ends at some moment before.

        Fails with what was seen last when that takes too long.
        """
        await eventually(
            self._unwell,
            lambda unwell: not unwell,
            deadline_seconds=_CALM_SECONDS,
            every_seconds=0.2,
            what="all services well",
        )
        ends = await self.ends()
        await eventually(
            lambda: self._behind(ends),
            lambda behind: not behind,
            deadline_seconds=_CALM_SECONDS,
            every_seconds=0.2,
            what=f"everything stored and seen up to {ends}",
        )
        return ends

    async def ends(self) -> dict[str, int]:
        """Each tenant's newest sequence."""
        async with self._jetstream() as js:
            return {
                tenant: (await js.stream_info(stream_name(tenant_id(tenant)))).state.last_seq
                for tenant in self.running.tenants
            }

    async def state(self, tenant: str) -> StreamState:
        """A tenant's stream as it is."""
        async with self._jetstream() as js:
            return (await js.stream_info(stream_name(tenant_id(tenant)))).state

    async def stored(self, tenant: str) -> int:
        """The sequence up to which the writer has stored a tenant's stream."""
        async with read_model(self.running.database_url) as model:
            stream = stream_name(tenant_id(tenant))
            return max(one.last_sequence for one in await model.positions() if one.stream == stream)

    async def limit(self, tenant: str) -> int:
        """A stream's max_bytes now."""
        async with self._jetstream() as js:
            info = await js.stream_info(stream_name(tenant_id(tenant)))
        return info.config.max_bytes or 0

    async def cut_short(self, tenant: str, spare: int) -> int:
        """Give a stream room for what is not stored and about `spare` events more; the bytes."""
        stored = await self.stored(tenant)
        async with self._jetstream() as js:
            info = await js.stream_info(stream_name(tenant_id(tenant)))
            state, config = info.state, info.config
            keep = state.last_seq - stored + spare
            config.max_bytes = keep * state.bytes // state.messages
            await js.update_stream(config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
            return config.max_bytes

    async def events(self, tenant: TenantId, last: int) -> set[int]:
        """Sequences up to `last` of the valid events that a tenant's stream holds."""
        stream = stream_name(tenant)
        found: set[int] = set()
        async with self._jetstream() as js:
            first = (await js.stream_info(stream)).state.first_seq
            messages = read_range(js, stream, tenant_subjects(tenant), first, last)
            async with contextlib.aclosing(messages):
                async for message in messages:
                    with contextlib.suppress(RejectedEventError):
                        decode(message.subject, message.payload)
                        found.add(message.sequence)
        return found

    async def connections(self) -> dict[str, int]:
        """What is connected to the servers: consumers by stream, database clients by name."""
        async with self._jetstream() as js:
            streams = {
                f"consumers of {info.config.name}": info.state.consumer_count
                for info in await js.streams_info()
                if (info.config.name or "").startswith("FLEET_")
            }
        clients = await database_connections(self.running.database_url)
        named = {f"database connections of {name}": count for name, count in clients.items()}
        return streams | named

    async def _unwell(self) -> list[str]:
        ports = load_kept(self.folder).ports
        names = [
            one.name for one in self.folder.started_processes() if one.name not in _NOT_SERVICES
        ]
        async with httpx.AsyncClient(timeout=3.0) as client:
            answers = await asyncio.gather(
                *(client.get(f"http://127.0.0.1:{ports[name]}/healthz") for name in names),
                return_exceptions=True,
            )
        return [
            f"{name}: {answer!r}" if isinstance(answer, BaseException) else f"{name}: {answer.text}"
            for name, answer in zip(names, answers, strict=True)
            if isinstance(answer, BaseException) or not answer.is_success
        ]

    async def _behind(self, ends: dict[str, int]) -> list[str]:
        try:
            async with read_model(self.running.database_url) as model:
                positions = {one.stream: one.last_sequence for one in await model.positions()}
        except TransientError as error:
            return [str(error)]
        lines: list[str] = []
        for tenant, last in ends.items():
            stored = positions.get(stream_name(tenant_id(tenant)), 0)
            seen = self.watcher.position(tenant)
            if stored < last:
                lines.append(f"{tenant}: stored {stored} of {last}")
            if seen < last:
                lines.append(f"{tenant}: seen by the client {seen} of {last}")
        return lines

    @contextlib.asynccontextmanager
    async def _jetstream(self) -> AsyncGenerator[JetStreamContext]:
        settings = NatsSection(url=self.running.nats_url, token=SecretStr(self.running.nats_token))
        client = await connect_once(settings, "chaos")
        try:
            yield jetstream(client, settings)
        finally:
            with contextlib.suppress(NatsError, OSError):
                await client.close()
