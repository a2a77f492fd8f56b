"""The poller at each size: CPU for a poll, memory of a device.

A poller for each size runs all the time, with simulated routers of its own, every one connected
and polled twice before anything counts. Then each polls its next 2,000 devices, in turns: of a
small fleet the same ones several times, of the largest one others in each turn, as they come
due in life. All kinds of events, firmware too, so that all polls are equal. Between two polls of
a router passes about a minute of its own time in each size; the clocks of those that are not
being polled stand nearly still.
"""

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import nats

from bench.poller_setup import load_endpoints, write_secrets
from bench.scale_process import SIZES
from fleet_common.broker import declare_stream
from fleet_contracts.streams import StreamStorage, tenant_stream
from fleet_contracts.subjects import TenantId
from support.nats import NatsServer

_TURN_POLLS = 2_000
_FLEET_ROUTERS = 5_000
"""In one process: each has two descriptors in it, of 20,000 that a process may have."""
_POLLS_PER_SECOND = 500.0
"""About what two cores do, routers and all."""
_MINUTE_SECONDS = 60.0
_STILL = 1e-3
_TESTS = Path(__file__).parents[1]


def measure(runs: int, directory: Path) -> tuple[dict[int, list[float]], dict[int, float]]:
    """CPU microseconds for a poll of each run at each size; KB of a device at each size."""
    spent = {size: list[float]() for size in SIZES}
    with contextlib.ExitStack() as stack:
        server = NatsServer(directory / "nats", max_memory="1GB")
        server.start()
        stack.callback(server.stop)
        pollers = [
            stack.enter_context(_poller(server, directory / f"poller-{size}", number, size))
            for number, size in enumerate(SIZES)
        ]
        for number, poller in itertools.product(range(runs + 1), pollers):
            microseconds = poller.turn()
            if number:  # the first turn warms
                spent[poller.size].append(microseconds)
        return spent, {poller.size: poller.kb_per_device for poller in pollers}


@dataclass(frozen=True)
class _Poller:
    size: int
    process: "subprocess.Popen[bytes]"
    routers: "list[subprocess.Popen[bytes]]"
    kb_per_device: float

    def turn(self) -> float:
        """CPU microseconds for each of its next polls."""
        _set_clocks(self.routers, _MINUTE_SECONDS * _POLLS_PER_SECOND / self.size)
        _tell(self.process, "turn")
        microseconds = _answer(self.process)
        _set_clocks(self.routers, _STILL)
        return microseconds


@contextlib.contextmanager
def _poller(server: NatsServer, directory: Path, number: int, size: int) -> Generator[_Poller]:
    directory.mkdir()
    with contextlib.ExitStack() as stack:
        # One more than the size: the first router only warms.
        counts = [
            min(_FLEET_ROUTERS, size - start) + (1 if start == 0 else 0)
            for start in range(0, size, _FLEET_ROUTERS)
        ]
        routers = [
            stack.enter_context(_process("bench.poller_fleet", str(count), str(10 * number + part)))
            for part, count in enumerate(counts)
        ]
        endpoints, secrets = directory / "endpoints.json", directory / "secrets"
        endpoints.write_text(json.dumps(_endpoints(routers, size)), encoding="utf-8")
        write_secrets(secrets, load_endpoints(endpoints))
        asyncio.run(_declare(server, TenantId(load_endpoints(endpoints)[0][0])))
        _set_clocks(routers, _MINUTE_SECONDS * _POLLS_PER_SECOND / size)
        process = stack.enter_context(
            _process(
                "bench.scale_poll_child", str(endpoints), str(secrets), server.url,
                str(_TURN_POLLS),
            )
        )  # fmt: skip
        kb = _answer(process)
        _set_clocks(routers, _STILL)
        yield _Poller(size, process, routers, kb)


def _endpoints(routers: "list[subprocess.Popen[bytes]]", size: int) -> list[list[object]]:
    """What the fleets printed, in turns; no device of one size has the name of another's."""
    parts: list[list[list[object]]] = []
    for number, process in enumerate(routers):
        parts.append(json.loads(_line(process)))
        for one in parts[-1]:
            one[1] = f"{one[1]}-{size}-{number}"
    mixed = itertools.chain.from_iterable(itertools.zip_longest(*parts))
    return [one for one in mixed if one is not None]


@contextlib.contextmanager
def _process(module: str, *arguments: str) -> Generator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", module, *arguments],
        cwd=_TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)


def _set_clocks(routers: "list[subprocess.Popen[bytes]]", scale: float) -> None:
    for process in routers:
        _tell(process, str(scale))


def _tell(process: "subprocess.Popen[bytes]", text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{text}\n".encode())
    process.stdin.flush()


def _answer(process: "subprocess.Popen[bytes]") -> float:
    return float(_line(process))


def _line(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args} ended")
    return line


async def _declare(server: NatsServer, tenant: TenantId) -> None:
    client = await nats.connect(server.url)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - as above
    definition = tenant_stream(
        tenant, max_bytes=1 << 27, max_age_seconds=3600, storage=StreamStorage.MEMORY
    )
    await declare_stream(js, definition)
    await client.close()
