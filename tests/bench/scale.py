"""Does an item cost the same in a large fleet? 100, 1,000, 5,000 and 10,000 devices.

A fleet's operator sees two loads: a fleet at its cadence, and a backlog at full speed. Both
are measured with the same number of items, at the same rate, for each size, so that nothing
differs but the number of devices; `scale_polls`, `scale_writes` and `scale_deliveries` tell
how, and how many. The processes of all sizes run side by side and take turns: what else the
machine does hits all alike. The first turn of each is not counted; the figures are medians
of at least five turns, and only the CPU time of the one process that is measured counts.

cpu_ratio_poll_<n>_to_100        the poller: a poll read, published, acknowledged
cpu_ratio_write_<n>_to_100       the writer: a stored event, catching up in its largest batches
cpu_ratio_write_live_<n>_to_100  the same at the rate of 10,000 devices at 60 s
cpu_ratio_sse_<n>_to_100         the gateway: an event written to one of 50 clients
memory_ratio_<service>           KB that a device adds between 5,000 and 10,000 devices,
                                 against between 1,000 and 5,000; the first thousand may
                                 fit into what a process has left over from its start
"""

import asyncio
import resource
import shutil
import statistics
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import scale_deliveries, scale_polls, scale_writes
from bench.scale_process import SIZES, increments
from support.postgres import PostgresServer

_OPEN_FILES = 16_384


def run(runs: int) -> dict[str, float]:
    """CPU microseconds per item and KB per device at each size, and the ratios to 100."""
    _allow_open_files()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder:
        directory = Path(folder)
        directory.chmod(0o755)  # PostgreSQL's user has to pass
        _polls(figures, runs, _made(directory / "polls"))
        _writes(figures, runs, directory)
        _deliveries(figures, runs, directory)
    return figures


def _polls(figures: dict[str, float], runs: int, directory: Path) -> None:
    spent, kb = scale_polls.measure(runs, directory)
    _cost(figures, "poll", "cpu_us_per_poll", spent)
    _memory(figures, "poller", {size: kb[size] * size for size in SIZES})


def _writes(figures: dict[str, float], runs: int, directory: Path) -> None:
    with _postgres(directory) as postgres:
        caught_up, live = asyncio.run(
            scale_writes.cpu_us_per_stored_event(runs, _made(directory / "writes"), postgres)
        )
        kb = asyncio.run(scale_writes.kb_at_each_size(_made(directory / "writer"), postgres))
    for item, name, costs in (
        ("write", "cpu_us_per_stored_event", caught_up),
        ("write_live", "cpu_us_per_stored_event_live", live),
    ):
        _cost(figures, item, name, {size: [one.writer for one in costs[size]] for size in SIZES})
    for size in SIZES:
        postgres_us = statistics.median(one.postgres for one in caught_up[size])
        _note(figures, f"postgres_cpu_us_per_stored_event_{size}", postgres_us)
    _memory(figures, "writer", kb)


def _deliveries(figures: dict[str, float], runs: int, directory: Path) -> None:
    spent = asyncio.run(scale_deliveries.cpu_us_per_delivery(runs, _made(directory / "deliveries")))
    _cost(figures, "sse", "cpu_us_per_delivery", spent)
    kb = asyncio.run(scale_deliveries.kb_at_each_size(_made(directory / "gateway")))
    _memory(figures, "gateway", kb)


def _cost(
    figures: dict[str, float], item: str, name: str, spent: Mapping[int, Sequence[float]]
) -> None:
    """Medians at each size, and their ratios to the smallest."""
    for size in SIZES:
        _note(figures, f"{name}_{size}", statistics.median(spent[size]))
    for size in SIZES[1:]:
        ratio = figures[f"{name}_{size}"] / figures[f"{name}_{SIZES[0]}"]
        _note(figures, f"cpu_ratio_{item}_{size}_to_{SIZES[0]}", ratio)


def _memory(figures: dict[str, float], service: str, kb: Mapping[int, float]) -> None:
    """What each device adds between one size and the next."""
    added = increments(kb)
    for size, each in added.items():
        _note(figures, f"{service}_kb_per_device_to_{size}", each)
    _note(figures, f"memory_ratio_{service}", added[SIZES[-1]] / added[SIZES[-2]])


def _note(figures: dict[str, float], name: str, value: float) -> None:
    print(f"  {name:<42} {value:10.2f}", file=sys.stderr, flush=True)
    figures[name] = value


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


@contextmanager
def _postgres(directory: Path) -> Generator[PostgresServer]:
    folder = _made(directory / "postgres")
    folder.chmod(0o755)
    server = PostgresServer(folder)
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _OPEN_FILES:
        if hard != resource.RLIM_INFINITY and hard < _OPEN_FILES:
            raise RuntimeError(f"{_OPEN_FILES} open files are needed, {hard} are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, hard))
