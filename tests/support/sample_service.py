"""A service of the smallest kind, run as a process by the tests of fleet_common's runtime."""

import asyncio
import sys
import time
from typing import Literal

from pydantic import SecretStr

from fleet_common.broker import connect
from fleet_common.errors import ConfigurationError
from fleet_common.metrics import MetricSet
from fleet_common.runtime import Runtime, run_service, unless_stopped
from fleet_common.settings import Section, ServiceSettings


class SampleSection(Section):
    """What the sample does."""

    behaviour: Literal[
        "wait", "return", "raise", "task-raises", "ignore-stop", "block", "refuse", "connect"
    ] = "wait"
    """One of the ways a service can live and end."""
    password: SecretStr = SecretStr("hunter2")
    """Never to be seen."""
    database: SecretStr = SecretStr("postgresql://u:hunter2@h/d")
    """A secret whose name does not say so."""
    count: int = 1
    """A number."""


class SampleSettings(ServiceSettings):
    """The sample's settings."""

    sample: SampleSection = SampleSection()


class SampleMetrics(MetricSet):
    """One metric."""

    def __init__(self) -> None:
        super().__init__()
        self.starts = self.counter("fleet_sample_starts_total", "Starts of the sample.")


async def run(runtime: Runtime, settings: SampleSettings, metrics: SampleMetrics) -> None:
    metrics.starts.inc()
    runtime.health.register(
        "told", lambda: None if settings.sample.count else "the count is nothing"
    )
    if settings.sample.behaviour == "refuse":
        raise ConfigurationError("FLEET_SAMPLE__COUNT: cannot be used")
    if settings.sample.behaviour == "raise":
        raise RuntimeError("a bug in the service")
    if settings.sample.behaviour == "return":
        return
    if settings.sample.behaviour == "connect":
        await unless_stopped(runtime.stop, connect(settings.nats, "sample"))
        return
    if settings.sample.behaviour == "task-raises":
        runtime.spawn(_fail(), "failing")
    runtime.health.set_ready(ready=True)
    if settings.sample.behaviour == "block":
        await asyncio.sleep(0.5)  # let /readyz be seen
        time.sleep(3600)  # noqa: ASYNC251 - the fault itself
    await runtime.stop.wait()
    if settings.sample.behaviour == "ignore-stop":
        await asyncio.Event().wait()


async def _fail() -> None:
    await asyncio.sleep(0.1)
    raise ValueError("a bug in a task")


if __name__ == "__main__":
    sys.exit(run_service("sample", SampleSettings, SampleMetrics, run))
