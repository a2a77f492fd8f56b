"""The life of a service process: supervised tasks, a graceful stop, a hard deadline."""

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

import uvloop

from fleet_common.admin import serve_admin
from fleet_common.errors import ConfigurationError
from fleet_common.health import Health
from fleet_common.logs import configure_logging
from fleet_common.metrics import MetricSet
from fleet_common.settings import (
    ServiceSettings,
    exit_on_bad_settings,
    load_settings,
    log_settings,
)
from fleet_common.tracing import Tracing, start_tracing

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a service's `app.run` gets besides its settings.

    `stop` is set at SIGTERM or SIGINT: finish what is in flight, then return. A task
    that raises ends the process (its supervisor starts it anew); nothing runs
    unsupervised.
    """

    tasks: asyncio.TaskGroup
    stop: asyncio.Event
    health: Health
    tracing: Tracing

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a supervised task; its failure ends the service."""
        return self.tasks.create_task(coroutine, name=name)


def run_service[SettingsT: ServiceSettings, MetricsT: MetricSet](
    service: str,
    settings_class: type[SettingsT],
    metrics_class: Callable[[], MetricsT],
    run: Callable[[Runtime, SettingsT, MetricsT], Awaitable[None]],
) -> int:
    """Load settings, run `run` until it returns or a signal comes, return the exit code.

    0 after a clean stop, 1 after a failure, 2 after bad settings.
    """
    try:
        settings = load_settings(settings_class)
    except ConfigurationError as error:
        return exit_on_bad_settings(error)
    configure_logging(service, settings.log)
    log_settings(service, settings)
    metrics = metrics_class()
    tracing = start_tracing(service, settings.tracing)

    async def main() -> None:
        await _supervise(service, settings, metrics, tracing, run)

    exit_code = 0
    try:
        uvloop.run(main())
    except* ConfigurationError as group:
        exit_code = 2
        for error in group.exceptions:
            _log.error("cannot start", extra={"reason": _innermost(error)})
    except* Exception:  # noqa: BLE001 - the last line of defence: log it and exit non-zero
        exit_code = exit_code or 1
        _log.exception("service failed; its supervisor should start it anew")
    finally:
        tracing.shutdown()
    _log.info("stopped", extra={"exit_code": exit_code})
    return exit_code


async def _supervise[SettingsT: ServiceSettings, MetricsT: MetricSet](
    service: str,
    settings: SettingsT,
    metrics: MetricsT,
    tracing: Tracing,
    run: Callable[[Runtime, SettingsT, MetricsT], Awaitable[None]],
) -> None:
    stop = asyncio.Event()
    admin_stop = asyncio.Event()
    health = Health()
    loop = asyncio.get_running_loop()

    def begin_stop(number: int) -> None:
        _log.info("stopping", extra={"signal": signal.Signals(number).name})
        health.set_ready(ready=False)
        stop.set()

    _on_stop_signal(
        lambda number: loop.call_soon_threadsafe(begin_stop, number),
        service,
        settings.runtime.grace_seconds,
    )
    async with asyncio.TaskGroup() as admin_tasks:
        admin_tasks.create_task(
            serve_admin(settings.admin, health, metrics, admin_stop), name="admin"
        )
        async with asyncio.TaskGroup() as tasks:
            await run(Runtime(tasks, stop, health, tracing), settings, metrics)
            stop.set()
        admin_stop.set()


def _on_stop_signal(
    begin_stop: Callable[[int], object], service: str, grace_seconds: float
) -> None:
    """Call `begin_stop` at the first SIGTERM or SIGINT, and see that the process then ends.

    The interpreter's own handler, not the loop's: it runs, and starts the deadline, even
    while something blocks the event loop.
    """
    signalled = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if signalled.is_set():
            return
        signalled.set()
        _arm_deadline(service, grace_seconds)
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself just now
            begin_stop(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)


async def unless_stopped[ResultT](
    stop: asyncio.Event, work: Coroutine[Any, Any, ResultT]
) -> ResultT | None:
    """The work's result; None when `stop` is set first, and the work is cancelled then."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return await working
        return None
    finally:
        stopping.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})


def _arm_deadline(service: str, seconds: float) -> None:
    """End the process from a thread: a blocked event loop cannot keep it alive."""

    def expire() -> None:
        _log.error(
            "did not stop within its grace period; ending now",
            extra={"service": service, "grace_seconds": seconds},
        )
        os._exit(1)

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()


def _innermost(error: BaseException) -> str:
    """The message of an error, or of the errors a task group wrapped."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return "; ".join(_innermost(inner) for inner in group.exceptions)
    return str(error)
