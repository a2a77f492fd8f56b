"""The end of a run: wait for the readers, then compare everybody's books."""

import asyncio
import time
from typing import Final

from fleet_cli.database import ReadModel
from fleet_cli.soak.crew import Crew
from fleet_cli.soak.model import Account, SoakRun, SseTally
from fleet_cli.soak.observe import Observer
from fleet_cli.soak.waiting import until
from fleet_contracts.subjects import Kind

_READERS_SECONDS: Final = 60.0


async def close_accounts(  # noqa: PLR0917 - the parts of the run, read once
    run: SoakRun, crew: Crew, observer: Observer, model: ReadModel, tally: SseTally, start_ms: int
) -> None:
    """Fill in the run's accounts. Does not fail: what is missing shows in them."""
    await _until_readers_are_done(crew, observer, tally)
    streams, positions = await observer.streams(), await observer.positions()
    for tenant, poller in crew.pollers.items():
        position = positions.get(tenant)
        keys = 0
        for kind, made in poller.made.items():
            keys += len(await model.stored_keys(tenant, kind, start_ms)) if made else 0
        run.accounts.append(
            Account(
                tenant=tenant,
                made=poller.made.total(),
                waiting=poller.waiting,
                dropped=poller.dropped,
                in_stream=streams[tenant].last_sequence,
                stored=0 if position is None else position.events_stored,
                rejected=0 if position is None else position.events_rejected,
                lost=0 if position is None else position.events_lost,
                keys=keys,
                rows_duplicate=0 if position is None else position.rows_duplicate,
            )
        )
    run.duplicates = await model.duplicate_keys(start_ms)
    statuses = sum(poller.made[Kind.STATUS] for poller in crew.pollers.values())
    run.sse = tally.to_json() | {"made": statuses}


async def _until_readers_are_done(crew: Crew, observer: Observer, tally: SseTally) -> None:
    """Until writer and event stream have got what is in the streams, or have had their time."""
    deadline = time.monotonic() + _READERS_SECONDS
    while time.monotonic() < deadline:
        streams, positions = await observer.streams(), await observer.positions()
        last = sum(one.last_sequence for one in streams.values())
        stored = sum(one.last_sequence for one in positions.values())
        if stored >= last:
            break
        await asyncio.sleep(0.1)
    if crew.waiting or crew.dropped:
        # What never reached a stream reaches no client either: a moment for what did.
        await asyncio.sleep(1.0)
        return
    statuses = sum(poller.made[Kind.STATUS] for poller in crew.pollers.values())
    await until(lambda: tally.events >= statuses, max(0.0, deadline - time.monotonic()))
