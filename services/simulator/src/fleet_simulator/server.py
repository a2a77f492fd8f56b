"""Devices on the network: a listener each, faults that open and close them, the whole fleet."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from fleet_simulator.clock import VirtualClock
from fleet_simulator.command import CommandReader
from fleet_simulator.device import DEFAULT_MAX_SESSIONS, Device, FleetRouter, TlsMode
from fleet_simulator.faults import FaultBook, FaultRule
from fleet_simulator.session import Session

_BACKLOG: Final = 128
_TLS_HANDSHAKE_SECONDS: Final = 15.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device listens and how it is to be reached there."""

    address: str
    """What clients connect to."""
    port: int
    tls: TlsMode = TlsMode.NONE
    context: ssl.SSLContext | None = field(default=None, repr=False)
    fingerprint: str | None = None
    """SHA-256 of the certificate in hexadecimal, when there is one."""
    listen: str | None = None
    """Where to bind when that is not `address`, e.g. 0.0.0.0 behind a Service."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a client needs to know of one device."""

    tenant: str
    device: str
    address: str
    port: int
    username: str
    password: str = field(repr=False)
    tls: TlsMode = TlsMode.NONE
    fingerprint: str | None = None


class Listener:
    """One device's listening socket, opened and closed as its faults say."""

    __slots__ = ("_loop", "_server", "device", "place")

    def __init__(self, device: Device, place: Place, loop: asyncio.AbstractEventLoop) -> None:
        self.device = device
        self.place = place
        self._loop = loop
        self._server: asyncio.AbstractServer | None = None

    @property
    def listening(self) -> bool:
        """Whether connecting is possible now."""
        return self._server is not None

    async def open(self) -> None:
        """Bind and listen. Raises OSError naming the device when the place is taken."""
        if self._server is not None:
            return
        place = self.place
        raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            raw.setblocking(False)
            raw.bind((place.listen or place.address, place.port))
        except OSError as error:
            raw.close()
            raise OSError(
                error.errno,
                f"{self.device.name} cannot listen on {place.address}:{place.port}: "
                f"{error.strerror}",
            ) from error
        handshake = None if place.context is None else _TLS_HANDSHAKE_SECONDS
        self._server = await self._loop.create_server(
            self._session,
            sock=raw,
            backlog=_BACKLOG,
            ssl=place.context,
            ssl_handshake_timeout=handshake,
        )

    def close(self) -> None:
        """Listen no more; open sessions go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _session(self) -> Session:
        return Session(self.device, self._loop)


class Simulator:
    """A running fleet. Made by `running_simulator`; one event loop owns it."""

    def __init__(
        self,
        listeners: Mapping[str, Listener],
        clock: VirtualClock,
        faults: FaultBook,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.clock = clock
        self.faults = faults
        self._listeners = listeners
        self._loop = loop
        self._started = time.monotonic()
        self._window: asyncio.TimerHandle | None = None
        self._changes: set[asyncio.Task[None]] = set()
        # Opening takes turns of the loop: two at once would bind a place twice, or leave open
        # what the second one had found closed.
        self._opening = asyncio.Lock()
        faults.subscribe(self._apply)

    @property
    def listeners(self) -> Mapping[str, Listener]:
        """All listeners by `tenant/device`, in the order given."""
        return self._listeners

    @property
    def devices(self) -> list[Device]:
        """All devices with their ledgers, routers and sessions, in the order given."""
        return [listener.device for listener in self._listeners.values()]

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where and how to reach each device, in the order given."""
        return [_endpoint(listener) for listener in self._listeners.values()]

    def device(self, name: str) -> Device:
        """A device by its name or, where tenants share names, by `tenant/name`.

        Raises KeyError when no device, or more than one, is called so.
        """
        return self._listener(name).device

    def endpoint(self, name: str) -> Endpoint:
        """A device's endpoint; `name` as for `device`."""
        return _endpoint(self._listener(name))

    def _listener(self, name: str) -> Listener:
        if name in self._listeners:
            return self._listeners[name]
        found = [one for one in self._listeners.values() if one.device.name == name]
        if len(found) != 1:
            raise KeyError(f"{len(found)} devices are called {name!r}")
        return found[0]

    def from_now(self, rule: FaultRule) -> FaultRule:
        """The same rule with its window counted from this moment instead of the start."""
        return replace(rule, after=rule.after + time.monotonic() - self._started)

    async def start(self) -> None:
        """Listen for every device that is not offline."""
        self._started = time.monotonic()
        async with self._opening:
            self._apply_rules()
            for listener in self._listeners.values():
                if not listener.device.closed:
                    await listener.open()

    async def stop(self) -> None:
        """Cut all sessions and listen no more; returns when the transports are gone."""
        if self._window is not None:
            self._window.cancel()
        if self._changes:
            await asyncio.wait(self._changes)
        for listener in self._listeners.values():
            listener.close()
            listener.device.cut()
        deadline = time.monotonic() + 5
        while any(device.sessions for device in self.devices):
            if time.monotonic() > deadline:
                _log.warning("sessions did not end in time")
                return
            await asyncio.sleep(0)

    def _apply(self) -> None:
        """The rules changed: follow them now, listeners within this turn of the loop."""
        self._apply_rules()
        task = self._loop.create_task(self._open_and_close())
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)

    def _apply_rules(self) -> None:
        elapsed = time.monotonic() - self._started
        for listener in self._listeners.values():
            device = listener.device
            device.use(self.faults.for_device(device.tenant, device.name, elapsed))
        if self._window is not None:
            self._window.cancel()
            self._window = None
        moment = self.faults.next_change(elapsed)
        if moment is not None:
            self._window = self._loop.call_later(moment - elapsed, self._apply)

    async def _open_and_close(self) -> None:
        # What is to close does so at once; what is under way sees that for itself.
        for listener in self._listeners.values():
            if listener.device.closed:
                listener.close()
        async with self._opening:
            for listener in self._listeners.values():
                if listener.device.closed:
                    listener.close()
                    continue
                try:
                    await listener.open()
                except OSError as error:
                    _log.error(
                        "a device cannot come back; free its port",
                        extra={"device": listener.device.name, "reason": str(error)},
                    )


@asynccontextmanager
async def running_simulator(
    routers: Sequence[FleetRouter],
    places: Sequence[Place],
    *,
    clock: VirtualClock | None = None,
    faults: FaultBook | None = None,
    max_sessions: int = DEFAULT_MAX_SESSIONS,
    seed: int = 0,
) -> AsyncGenerator[Simulator]:
    """Serve each router at its place for as long as the block lasts.

    The world's time is `clock` (real time from now on by default); `seed` decides on faults by
    chance. Raises ValueError when a tenant's names repeat or places do not suffice, OSError when
    a place is taken; nothing is left listening then.
    """
    if len(routers) != len(places):
        raise ValueError(f"{len(routers)} devices but {len(places)} places to listen")
    loop = asyncio.get_running_loop()
    clock = clock or VirtualClock(time.time())
    reader = CommandReader()
    listeners: dict[str, Listener] = {}
    for router, place in zip(routers, places, strict=True):
        key = f"{router.tenant}/{router.name}"
        if key in listeners:
            raise ValueError(f"two devices are called {key}")
        device = Device(
            router,
            clock=clock,
            reader=reader,
            monotonic=time.monotonic,
            max_sessions=max_sessions,
            seed=seed,
        )
        listeners[key] = Listener(device, place, loop)
    simulator = Simulator(listeners, clock, faults or FaultBook(), loop)
    try:
        await simulator.start()
        yield simulator
    finally:
        await simulator.stop()


def _endpoint(listener: Listener) -> Endpoint:
    router, place = listener.device.router, listener.place
    return Endpoint(
        router.tenant,
        router.name,
        place.address,
        place.port,
        router.username,
        router.password,
        place.tls,
        place.fingerprint,
    )
