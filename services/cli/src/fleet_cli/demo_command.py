"""`routerfleet demo`: from options to an exit code."""

import asyncio
import json
import logging
import signal
import sys
import time
from typing import Final

from rich.console import Console

from fleet_cli.console import RunConsole
from fleet_cli.demo import Demo
from fleet_cli.expected import EXIT_BAD_INPUT, EXIT_FAILED, exit_code_of
from fleet_cli.folder import DataFolder, FolderInUseError, FolderLock, open_folder
from fleet_cli.foundation import fleet_source
from fleet_cli.options import DemoOptions
from fleet_cli.processes import end_left_over
from fleet_cli.summary import Summary
from fleet_cli.words import counted
from fleet_common.errors import ConfigurationError, FleetError
from fleet_common.logs import configure_logging
from fleet_common.settings import LogSection
from fleet_common.units import format_duration

EXIT_OK: Final = 0
_ONE_REQUEST_SECONDS: Final = 0.5
"""Signals so close together are one request: `timeout` signals its child and then the group."""


class _EndedAtOnceError(Exception):
    """Asked to end a second time: there are no accounts."""


def run_demo(options: DemoOptions, *, as_json: bool) -> int:
    """Run and return the exit code: 1 when an event is unaccounted for, 2 on bad input."""
    configure_logging("demo", LogSection(level="WARNING", format="text"))
    # The supervisor says when the broker ends; the client's own view of it adds nothing.
    logging.getLogger("fleet_common.broker").setLevel(logging.ERROR)
    console = RunConsole(Console(stderr=as_json, highlight=False))
    try:
        if not options.simulated:
            fleet_source(options).load()  # say what is wrong before anything starts
        folder = open_folder(options.data_dir)
        lock = FolderLock(folder)
        lock.acquire()
    except (ConfigurationError, FolderInUseError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_BAD_INPUT
    try:
        _clear_left_over(folder, console)
        summary = asyncio.run(_run(options, folder, console))
    except (FleetError, ExceptionGroup) as error:
        return exit_code_of(error)
    except _EndedAtOnceError:
        console.warn("ended at once, without accounts; data is kept")
        return EXIT_FAILED
    finally:
        lock.release()
    if summary is None:
        console.say("stopped before everything had started; data is kept")
        return EXIT_OK
    return _report(summary, console, as_json=as_json)


async def _run(options: DemoOptions, folder: DataFolder, console: RunConsole) -> Summary | None:
    """None when it was stopped while starting. Raises _EndedAtOnceError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(Demo(options, folder, console, stop).run())
    asked_at = 0.0
    hurried = False

    def on_signal() -> None:
        nonlocal asked_at, hurried
        if not stop.is_set():
            asked_at = time.monotonic()
            stop.set()
        elif not hurried and time.monotonic() - asked_at >= _ONE_REQUEST_SECONDS:
            hurried = True
            console.warn("not waiting any longer; ending every process now")
            running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    try:
        return await running
    except asyncio.CancelledError:
        raise _EndedAtOnceError from None


def _clear_left_over(folder: DataFolder, console: RunConsole) -> None:
    for process in end_left_over(folder.started_processes()):
        console.warn(f"ended {process.name} (pid {process.pid}), left over from a run that died")
    folder.write_started(())


def _report(summary: Summary, console: RunConsole, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(summary.to_json()) + "\n")
        sys.stdout.flush()
    backlog = sum(account.backlog for account in summary.accounts.values())
    before = f" ({backlog:,} of them left by an earlier run)" if backlog else ""
    told = f", {summary.sse_told:,} replaced by a reset" if summary.sse_resets else ""
    events, polls = counted(summary.events, "event"), counted(summary.polls, "poll")
    console.say(
        f"{events} of {polls} in {format_duration(summary.seconds)}: "
        f"{summary.events_stored:,} stored{before}, {summary.rejected:,} rejected, "
        f"{summary.lost:,} lost, {summary.unaccounted:,} unaccounted for, "
        f"{summary.duplicates:,} doubled; "
        f"{summary.sse_events:,} sent to the event stream's client{told}"
    )
    for line in summary.problems:
        console.warn(line)
    return EXIT_OK if summary.ok else EXIT_FAILED
