"""Readings of a running soak: streams, server, tables, event stream, health pages."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx
import orjson
import psutil
from nats.errors import Error as NatsError
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from fleet_cli.database import Position, ReadModel
from fleet_cli.event_source import EventSource, SseFrame
from fleet_cli.scrape import read_metrics
from fleet_cli.soak.model import SseTally
from fleet_cli.soak.stage import Stage
from fleet_common.errors import TransientError
from fleet_contracts.codec import decode
from fleet_contracts.subjects import Kind, TenantId, stream_name

_TRIES: Final = 20
_PROBE: Final = "SOAK_PROBE"


@dataclass(frozen=True, slots=True)
class StreamReading:
    """One stream; `first_slot_ms` is the slot of its oldest event, None when it is empty."""

    bytes: int
    max_bytes: int | None
    messages: int
    first_sequence: int
    last_sequence: int
    first_slot_ms: int | None


class Observer:
    """Reads what a sample needs; one connection to the tables."""

    def __init__(self, stage: Stage, model: ReadModel, tenants: Sequence[TenantId]) -> None:
        self._stage = stage
        self._model = model
        self._tenants = tenants

    async def streams(self) -> dict[TenantId, StreamReading]:
        """Every stream as the broker has it."""
        return {tenant: await self._stream(tenant) for tenant in self._tenants}

    async def _stream(self, tenant: TenantId) -> StreamReading:
        """Raises TransientError when its oldest event goes faster than it can be read."""
        for _ in range(_TRIES):
            # A full stream may drop its oldest event between the two questions.
            with contextlib.suppress(NotFoundError):
                return await self._stream_once(tenant)
        raise TransientError(f"the oldest event of {tenant} was gone {_TRIES} times")

    async def _stream_once(self, tenant: TenantId) -> StreamReading:
        js = self._stage.js
        info = await js.stream_info(stream_name(tenant))
        state, limit = info.state, info.config.max_bytes or 0
        slot: int | None = None
        if state.messages:
            first = await js.get_msg(stream_name(tenant), seq=state.first_seq, direct=True)
            if first.subject is not None and first.data is not None:
                slot = decode(first.subject, first.data).event.slot_unix_ms
        return StreamReading(
            bytes=state.bytes,
            max_bytes=limit if limit > 0 else None,
            messages=state.messages,
            first_sequence=state.first_seq,
            last_sequence=state.last_seq,
            first_slot_ms=slot,
        )

    async def positions(self) -> dict[TenantId, Position]:
        """The writer's position by tenant; a tenant it has not begun is missing."""
        wanted = {str(tenant): tenant for tenant in self._tenants}
        found = await self._model.positions()
        return {wanted[one.tenant]: one for one in found if one.tenant in wanted}

    async def newest_slots(self) -> dict[TenantId, datetime]:
        """By tenant the newest slot that a table has."""
        newest: dict[TenantId, datetime] = {}
        for device in await self._model.devices(self._tenants):
            if device.status_slot is None:
                continue
            tenant = TenantId(device.tenant)
            newest[tenant] = max(newest.get(tenant, device.status_slot), device.status_slot)
        return newest

    def server_rss(self) -> int:
        """Resident bytes of nats-server. Raises TransientError while it is down."""
        pid = self._stage.nats_pid
        if pid is None:
            raise TransientError("nats-server is not running")
        return psutil.Process(pid).memory_info().rss

    async def services(self, names: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """What each service says of itself: /healthz, and some of its metrics."""
        said: dict[str, str] = {}
        for name, wanted in names.items():
            port = self._stage.wiring.admin_ports[name]
            try:
                answer = await self._stage.http.get(
                    f"{self._stage.admin_url(name)}/healthz", timeout=5
                )
                text = f"/healthz {answer.status_code}"
            except httpx.HTTPError as error:
                text = f"/healthz {type(error).__name__}"
            series = await read_metrics(self._stage.http, port) or {}
            for metric in wanted:
                values = [value for (known, _), value in series.items() if known == metric]
                if values:
                    text += f", {metric} {max(values):g}"
            said[name] = text
        return said


async def probe_new_stream(stage: Stage) -> str:
    """Whether the broker still takes anything: a new, tiny stream of the same storage type."""
    try:
        await stage.js.add_stream(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
            StreamConfig(
                name=_PROBE, subjects=["soak.probe"], storage=StorageType.MEMORY, max_bytes=4096
            )
        )
        await stage.js.publish("soak.probe", b"x")
    except APIError as error:
        return f"refused: {error.code}, err_code {error.err_code}, {error.description!r}"
    except (NatsError, TimeoutError) as error:
        return f"no answer: {type(error).__name__}"
    else:
        return "taken"
    finally:
        with contextlib.suppress(NatsError, TimeoutError):
            await stage.js.delete_stream(_PROBE)


def follow(url: str, kind: Kind, tally: SseTally) -> EventSource:
    """A client of the event stream for one kind; not yet running."""

    def connected() -> None:
        tally.connects += 1

    def take(frame: SseFrame) -> None:
        if frame.event == kind.value:
            body = orjson.loads(frame.data)
            tally.take(body["tenant"], body["device"], body["slot_unix_ms"])
        tally.resets += frame.event == "reset"

    return EventSource(f"{url}?kind={kind.value}", connected, take)
