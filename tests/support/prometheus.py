"""A real Prometheus that scrapes given ports of loopback and answers PromQL.

    with running_prometheus(tmp_path, {"shard-0": poller.admin_port}) as prometheus:
        up = await prometheus.when("routeros_up", "device", count=2)

Tests that need it carry `needs_prometheus`.
"""

import asyncio
import contextlib
import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypedDict, cast

import pytest

from support.ports import free_port
from support.waiting import eventually

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not on the PATH"
)


class _Sample(TypedDict):
    metric: dict[str, str]
    value: tuple[float, str]


class _Vector(TypedDict):
    result: list[_Sample]


class _Target(TypedDict):
    labels: dict[str, str]
    lastError: str


class _Targets(TypedDict):
    activeTargets: list[_Target]


@dataclass
class Prometheus:
    """One running server."""

    port: int
    log: Path

    async def ask(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - any JSON
        """`data` of an answer of the API; None while it does not answer. Fails when it refuses."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"

        def get() -> bytes | None:
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    return answer.read()
            except urllib.error.HTTPError as error:
                if error.code == HTTPStatus.SERVICE_UNAVAILABLE:  # it is starting
                    return None
                raise AssertionError(f"{parameters}: {error.read().decode()}") from error
            except OSError:
                return None

        body = await asyncio.to_thread(get)
        return None if body is None else json.loads(body)["data"]

    async def values(self, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
        """An instant vector by the labels named; fails when two samples have the same."""
        data = cast("_Vector | None", await self.ask("query", query=expression))
        found: dict[tuple[str, ...], float] = {}
        for sample in data["result"] if data is not None else []:
            key = tuple(sample["metric"].get(label, "") for label in labels)
            assert key not in found, f"{expression}: two samples for {key}"
            found[key] = float(sample["value"][1])
        return found

    async def when(
        self, expression: str, *labels: str, count: int, deadline_seconds: float = 20.0
    ) -> dict[tuple[str, ...], float]:
        """The instant vector once it has so many samples."""

        def enough(found: dict[tuple[str, ...], float]) -> bool:
            return len(found) == count

        return await eventually(
            lambda: self.values(expression, *labels),
            enough,
            deadline_seconds=deadline_seconds,
            what=f"{count} samples of {expression}",
        )

    async def scrape_errors(self) -> dict[str, str]:
        """Each target's last error, empty when there was none."""
        data = cast("_Targets | None", await self.ask("targets", state="active"))
        targets = data["activeTargets"] if data is not None else []
        return {one["labels"]["instance"]: one["lastError"] for one in targets}

    def complaints(self) -> list[str]:
        """What it logged about samples it could not take as they are."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if "level=warn" in line or "level=error" in line]


@contextlib.contextmanager
def running_prometheus(folder: Path, targets: Mapping[str, int]) -> Generator[Prometheus]:
    """Scrape `/metrics` of these ports each second; the names are the label `instance`."""
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {
                "job_name": "pollers",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{target}"], "labels": {"instance": name}}
                    for name, target in targets.items()
                ],
            }
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yaml").write_text(json.dumps(config), encoding="utf-8")
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - files of ours
            [  # noqa: S607 - the user's prometheus
                "prometheus",
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdout=output,
            stderr=output,
            cwd=folder,
        )
    try:
        yield Prometheus(port, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
