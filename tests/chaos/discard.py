"""Takes history away that a client who is not there still wants: it must be told so."""

from collections.abc import Callable

import httpx

from chaos.calm import Observer
from chaos.plan import Kill
from chaos.strikes import Strikes
from chaos.watcher import Watcher
from fleet_cli.folder import load_kept
from fleet_cli.scrape import read_metrics
from support.waiting import eventually

NAME = "discard_unseen"
"""Among the disturbances."""

_BEHIND = 300
"""Events that the client is behind when the stream is cut short."""
_SPARE = 100
"""Events that the cut leaves besides those that are not stored: the writer must not lose any."""
_WAIT_SECONDS = 90.0
_RESUMES = "fleet_gateway_resumes_total"


async def discard_unseen(
    strikes: Strikes, observer: Observer, watcher: Watcher, deadline: float
) -> None:
    """The watcher stays away; its place leaves the gateway's memory, then the stream; it returns.

    The stream is cut by hand, which the runner undoes: the events are gone all the same.
    Raises AssertionError when the watcher, back again, is not reset.
    """
    tenant = min(observer.running.tenants)
    resets = watcher.check.resets
    await watcher.leave()
    position = watcher.position(tenant)
    # A gateway that begins anew has only what comes from then on in memory.
    await strikes.kill_all("gateway", [Kill(0.0, gracefully=False, choice=0.0)], deadline)
    port = load_kept(strikes.folder).ports["gateway"]
    await _until(
        lambda: _resumed(port), len(observer.running.tenants), "the demo's own client back"
    )
    await _until(lambda: _ahead(observer, tenant, position), _BEHIND, "events behind the watcher")
    limit = await observer.cut_short(tenant, _SPARE)
    await _until(
        lambda: _first(observer, tenant), position + 2, f"events beyond {limit} B discarded"
    )
    watcher.start()
    await _until(lambda: watcher.check.resets, resets + 1, "a reset of the watcher")
    await eventually(
        lambda: observer.limit(tenant),
        lambda now: now > limit,
        deadline_seconds=_WAIT_SECONDS,
        every_seconds=0.2,
        what="the limit set by hand undone",
    )
    strikes.disturbed[NAME] += 1


async def _until(read: Callable[[], object], least: int, what: str) -> None:
    await eventually(
        read,
        lambda seen: isinstance(seen, int) and seen >= least,
        deadline_seconds=_WAIT_SECONDS,
        every_seconds=0.2,
        what=f"{what} ({least})",
    )


async def _resumed(port: int) -> int:
    async with httpx.AsyncClient() as client:
        series = await read_metrics(client, port)
    return round(sum(value for (name, _), value in (series or {}).items() if name == _RESUMES))


async def _ahead(observer: Observer, tenant: str, position: int) -> int:
    """Stored events after a position."""
    return await observer.stored(tenant) - position


async def _first(observer: Observer, tenant: str) -> int:
    return (await observer.state(tenant)).first_seq
