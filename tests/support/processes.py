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
from typing import Any

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

    def start(self) -> None:
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
        code = await eventually(
            process.poll,
            lambda value: value is not None,
            deadline_seconds=deadline_seconds,
            what=f"end of {self.module}",
        )
        assert code is not None
        return code

    async def stop(self, deadline_seconds: float = _STOP_SECONDS) -> int:
        """SIGTERM and wait."""
        self.signal(signal.SIGTERM)
        return await self.exit_code(deadline_seconds)

    def end(self) -> None:
        """Kill it if it still runs; for clean-up."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=10)

    async def get(self, path: str) -> httpx.Response | None:
        """One request to the admin port; None while nothing answers."""
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                return await client.get(f"http://127.0.0.1:{self.admin_port}{path}", timeout=5)
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
        assert seen == "200", f"{seen}\n{self.log_text()[-4000:]}"

    async def metric(self, name: str) -> float:
        """The sum of a metric's series whose line begins with `name`; 0 while there is none."""
        answer = await self.get("/metrics")
        if answer is None:
            return 0.0
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in answer.text.splitlines()
            if line.startswith(name)
        )

    def log_text(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def log_records(self) -> list[dict[str, Any]]:
        """The JSON lines of the log."""
        return [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]


@contextmanager
def service_process(
    module: str, settings: Mapping[str, str], directory: Path
) -> Generator[ServiceProcess]:
    """Start a service and end it in any case."""
    directory.mkdir(parents=True, exist_ok=True)
    service = ServiceProcess(module, dict(settings), directory / f"{module}.log")
    service.start()
    try:
        yield service
    finally:
        service.end()


async def run_to_end(service: ServiceProcess, deadline_seconds: float = 30.0) -> tuple[int, str]:
    """Exit code and log of a service that ends by itself."""
    async with asyncio.timeout(deadline_seconds + 5):
        return await service.exit_code(deadline_seconds), service.log_text()
