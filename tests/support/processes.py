"""A service as a real process: `python -m fleet_x` with settings, logs kept, always ended."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from support.ports import free_port
from support.waiting import eventually

_STOP_SECONDS = 20.0


@dataclass
class ServiceProcess:
    """One service process. `settings` are FLEET_… variables; the admin port is chosen here."""

    module: str
    settings: dict[str, str]
    log_path: Path
    admin_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Begin, also again after an end; the log goes on."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FLEET_")},  # noqa: TID251 - a child needs PATH and HOME
            "FLEET_ADMIN__PORT": str(self.admin_port),
            "NO_PROXY": "127.0.0.1",
            **self.settings,
        }
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", self.module], stdout=log, stderr=log, env=environment
            )
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it still runs."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, number)

    async def exit_code(self, deadline_seconds: float = _STOP_SECONDS) -> int:
        """Wait for the end; fails with the log when it does not come."""
        process = self.process
        assert process is not None
        try:
            return await asyncio.to_thread(process.wait, deadline_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(
                f"{self.module} still ran after {deadline_seconds:g} s:\n{self.tail()}"
            ) from None

    async def stop(self, deadline_seconds: float = _STOP_SECONDS) -> int:
        """SIGTERM and wait."""
        self.signal(signal.SIGTERM)
        return await self.exit_code(deadline_seconds)

    def kill(self) -> None:
        """kill -9 if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=10)

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    async def get(self, path: str) -> httpx.Response | None:
        """One request to the admin port; None while nothing answers."""
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                return await client.get(f"{self.admin_url}{path}", timeout=5)
            except httpx.HTTPError:
                return None

    async def ready(self, deadline_seconds: float = 30.0) -> None:
        """Wait until /readyz says so; fails with the log when the process ends before."""

        async def state() -> str:
            assert self.process is not None
            if self.process.poll() is not None:
                return f"ended with {self.process.returncode}"
            answer = await self.get("/readyz")
            return "no answer" if answer is None else str(answer.status_code)

        seen = await eventually(
            state,
            lambda value: value == "200" or value.startswith("ended"),
            deadline_seconds=deadline_seconds,
            what=f"{self.module} ready",
        )
        assert seen == "200", f"{seen}\n{self.tail()}"

    async def metrics(self) -> str:
        """The text of /metrics; empty while nothing answers."""
        answer = await self.get("/metrics")
        return "" if answer is None else answer.text

    async def metric(self, name: str) -> float:
        """One series as it is printed, or the sum of a metric's series; 0 while there is none."""
        lines = (line.rpartition(" ") for line in (await self.metrics()).splitlines())
        return sum(
            float(value)
            for series, _, value in lines
            if series == name or series.startswith(f"{name}{{")
        )

    def log_text(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def tail(self) -> str:
        """The end of the log."""
        return self.log_text()[-4000:]

    def log_records(self) -> list[dict[str, Any]]:
        """The JSON lines of the log."""
        return [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]


@contextmanager
def service_process(
    module: str, settings: Mapping[str, str], directory: Path
) -> Generator[ServiceProcess]:
    """Start a service and end it in any case."""
    with running(ServiceProcess(module, dict(settings), directory / f"{module}.log")) as service:
        yield service


@contextmanager
def running[ServiceT: ServiceProcess](service: ServiceT) -> Generator[ServiceT]:
    """Start it and kill it in any case."""
    try:
        yield service.start()
    finally:
        service.kill()
