"""What the status line and the summary show, read from the parts that know it."""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import httpx
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from fleet_cli.database import DeviceState, Position, ReadModel, read_model
from fleet_cli.ports import LOOPBACK
from fleet_cli.scrape import CounterTotals, read_metrics
from fleet_common.errors import TransientError
from fleet_contracts.subjects import Kind, TenantId, stream_name

_ACKNOWLEDGED: Final = "fleet_poller_events_acknowledged_total"
_DROPPED: Final = "fleet_poller_events_dropped_total"
_POLLS: Final = "fleet_poller_polls_total"
_DUPLICATES: Final = "fleet_poller_events_duplicate_total"
type PollerKey = tuple[TenantId, str]
"""A poller: tenant and shard."""

POLLER_COUNTERS: Final = (_ACKNOWLEDGED, _DROPPED, _DUPLICATES, _POLLS)


@dataclass(frozen=True, slots=True)
class StreamSize:
    """One tenant's stream as the broker has it."""

    tenant: str
    bytes: int
    max_bytes: int
    last_sequence: int


@dataclass(slots=True)
class Figures:
    """One reading. None: that part could not be asked, which the status line shows."""

    devices: list[DeviceState] | None = None
    positions: list[Position] | None = None
    streams: list[StreamSize] = field(default_factory=list[StreamSize])
    polls: int = 0


class FigureReader:
    """Asks NATS, PostgreSQL and the pollers; a part that is down is left out of a reading."""

    def __init__(self, js: JetStreamContext, database_url: str) -> None:
        self._js = js
        self._database_url = database_url
        self._http = httpx.AsyncClient()
        self._exit = contextlib.AsyncExitStack()
        self._model: ReadModel | None = None
        self.pollers: dict[PollerKey, CounterTotals] = {}

    async def close(self) -> None:
        """End all connections."""
        await self._drop_model()
        await self._http.aclose()

    async def read(
        self, tenants: Sequence[TenantId], poller_ports: Mapping[PollerKey, int]
    ) -> Figures:
        """One reading of everything."""
        figures = Figures()
        await self.scrape_pollers(poller_ports)
        figures.polls = self.polls()
        with contextlib.suppress(NatsError, TimeoutError):
            figures.streams = [await self._stream(tenant) for tenant in tenants]
        try:
            model = await self.model()
            figures.positions = await model.positions()
            figures.devices = await model.devices(tenants)
        except TransientError:
            await self._drop_model()
        return figures

    async def scrape_pollers(self, ports: Mapping[PollerKey, int]) -> None:
        """Take the counters of the pollers that answer."""
        for poller, port in ports.items():
            series = await read_metrics(self._http, port)
            if series is not None:
                self.pollers.setdefault(poller, CounterTotals()).update(series, POLLER_COUNTERS)

    def acknowledged(self, tenant: str) -> dict[Kind, int]:
        """Events that a tenant's pollers know to have added to the stream, by kind."""
        added: Counter[Kind] = Counter()
        for (owner, _), totals in self.pollers.items():
            if owner == tenant:
                added.update(events_added(totals))
        return added

    def polls(self) -> int:
        """Polls that the pollers have finished in this run, as far as they could be asked."""
        return sum(one.total(_POLLS) for one in self.pollers.values())

    def dropped(self) -> int:
        """Events that pollers gave up before they reached a stream.

        Without those left when a poller stopped: their answer was missing, they may be stored.
        """
        return sum(one.total(_DROPPED, _while_running) for one in self.pollers.values())

    async def simulator_polls(self, admin_port: int) -> int | None:
        """Polls that the simulated routers answered; None when the simulator does not answer."""
        try:
            response = await self._http.get(f"http://{LOOPBACK}:{admin_port}/ledger", timeout=10)
            response.raise_for_status()
            body = cast("dict[str, Any]", response.json())
            return int(body["totals"]["polls"])
        except (httpx.HTTPError, ValueError, KeyError):
            return None

    async def model(self) -> ReadModel:
        """The open connection to the tables. Raises TransientError."""
        if self._model is None:
            self._model = await self._exit.enter_async_context(read_model(self._database_url))
        return self._model

    async def _drop_model(self) -> None:
        self._model = None
        await self._exit.aclose()
        self._exit = contextlib.AsyncExitStack()

    async def _stream(self, tenant: TenantId) -> StreamSize:
        info = await self._js.stream_info(stream_name(tenant))
        return StreamSize(tenant, info.state.bytes, info.config.max_bytes or 0, info.state.last_seq)


def events_added(totals: CounterTotals) -> dict[Kind, int]:
    """Acknowledged events by kind, without those that the stream held already.

    A slot polled again right after a restart is acknowledged, but adds nothing.
    """
    duplicates = totals.by_label(_DUPLICATES, "kind")
    return {
        Kind(kind): count - duplicates.get(kind, 0)
        for kind, count in totals.by_label(_ACKNOWLEDGED, "kind").items()
    }


def _while_running(labels: Mapping[str, str]) -> bool:
    return labels.get("reason") != "stopped"
