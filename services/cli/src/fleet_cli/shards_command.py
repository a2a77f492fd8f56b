"""`routerfleet shards`: how many pollers each tenant of the running demo has."""

import asyncio
import time
from typing import Annotated, Final

import typer
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import KeyDeletedError, KeyNotFoundError
from pydantic import ValidationError

from fleet_cli.broker_access import broker_settings, connect_once
from fleet_cli.expected import exit_code_of
from fleet_cli.folder import DataFolder
from fleet_cli.parameters import DEFAULT_DATA_DIR, RunningDataDir
from fleet_cli.shards import MAX_SHARDS, WantedShards, describe, read_wanted, write_wanted
from fleet_common.broker import close, jetstream
from fleet_common.errors import ConfigurationError, FleetError, TransientError
from fleet_common.inventory import Assignment, assignments_bucket, keys_under

_DEADLINE_SECONDS: Final = 45.0
_LOOK_SECONDS: Final = 0.2

type Counts = dict[str, dict[str, int]]
"""Devices by tenant and shard."""


def shards_command(
    *,
    count: Annotated[
        int | None,
        typer.Argument(min=1, max=MAX_SHARDS, help="Pollers a tenant; left away: only show."),
    ] = None,
    tenant: Annotated[
        list[str] | None, typer.Option(help="Only this tenant; may be repeated.")
    ] = None,
    data_dir: RunningDataDir = DEFAULT_DATA_DIR,
) -> None:
    """Change the number of pollers of the running demo, and wait until their devices have moved.

    Each slot of each device is still polled once. Without a number: show who has how many.
    """
    try:
        folder = DataFolder(data_dir.absolute())
        for line in describe(asyncio.run(_run(count, tenant or [], folder))):
            typer.echo(line)
    except (FleetError, NatsError) as error:
        raise typer.Exit(exit_code_of(error)) from error


async def _run(count: int | None, tenants: list[str], folder: DataFolder) -> Counts:
    settings = broker_settings(None, folder.path)
    running = folder.running()
    known = running.tenants if running is not None else ()
    unknown = sorted(set(tenants) - set(known))
    if unknown:
        raise ConfigurationError(
            f"--tenant {unknown[0]}: the running demo has {', '.join(known)}; name one of these"
        )
    chosen = tenants or list(known)
    client = await connect_once(settings, "routerfleet-shards")
    try:
        js = jetstream(client, settings)
        if count is None:
            return await _counts(js, chosen)
        before = read_wanted(folder)
        write_wanted(
            folder,
            WantedShards(
                everyone=before.everyone if tenants else count,
                tenants=before.tenants | dict.fromkeys(tenants, count) if tenants else {},
            ),
        )
        return await _wait(js, chosen, count)
    finally:
        await close(client)


async def _wait(js: JetStreamContext, tenants: list[str], count: int) -> Counts:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while True:
        counts = await _counts(js, tenants)
        if all(len(shards) == count for shards in counts.values()):
            return counts
        if time.monotonic() > deadline:
            shown = "; ".join(describe(counts))
            raise TransientError(
                f"not every tenant has {count} shards with devices after "
                f"{_DEADLINE_SECONDS:g} s: {shown}. The demo's output says what is wrong"
            )
        await asyncio.sleep(_LOOK_SECONDS)


async def _counts(js: JetStreamContext, tenants: list[str]) -> Counts:
    bucket = await assignments_bucket(js)
    counts: Counts = {}
    for tenant in tenants:
        shards = counts.setdefault(tenant, {})
        for key in await keys_under(bucket, tenant):
            try:
                entry = await bucket.get(key)
                record = Assignment.model_validate_json(entry.value or b"")
            except (KeyNotFoundError, KeyDeletedError, ValidationError):
                continue  # deleted or rewritten just now: the next look shows it
            shards[record.shard] = len(record.devices)
    return counts
