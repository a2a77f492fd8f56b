"""What room there is for our streams beside those of others and of tenants that have left."""

from collections.abc import Collection, Container, Mapping, Sequence
from collections.abc import Set as AbstractSet

from fleet_common.fleet_spec import RouterFleet
from fleet_common.planning import (
    FLOOR_BYTES,
    AccountLimits,
    StreamBudget,
    UnlimitedAccountError,
    account_budget,
)
from fleet_common.streams.advice import Advice
from fleet_common.streams.live import LiveStream
from fleet_common.units import format_size
from fleet_contracts.streams import StreamStorage
from fleet_contracts.subjects import TenantId, stream_name, tenant_subjects


def least_bytes(stream: LiveStream) -> int:
    """What a stream nobody writes to needs to keep what it has."""
    return max(FLOOR_BYTES, stream.info.state.bytes)


def room(
    given: StreamBudget | None,
    limits: AccountLimits,
    streams: Collection[LiveStream],
    ours: AbstractSet[str],
    held: Sequence[LiveStream],
) -> StreamBudget:
    """What the streams called `ours` may take together.

    `given` is what all of RouterFleet's may take, those of other tenants (`held`) included;
    None: all that the account allows. Raises BudgetTooSmallError.
    """
    others = [one.reservation for one in streams if one.name not in ours]
    return account_budget(limits, others, None if given is None else _without(given, held))


def names_taken(
    fleets: Sequence[RouterFleet], streams: Mapping[str, LiveStream], declared: Container[str]
) -> dict[TenantId, str]:
    """Fleets whose stream's name is that of somebody else's stream, and what can be done.

    `declared`: names of streams that are known to be ours, whatever they listen to by now.
    """
    taken: dict[TenantId, str] = {}
    for fleet in fleets:
        live = streams.get(name := stream_name(fleet.tenant))
        if live is None or live.tenant is not None or name in declared:
            continue
        heard = ", ".join(live.existing.subjects) or "no subjects"
        taken[fleet.tenant] = (
            f"stream {name} is there already and listens to {heard}, while RouterFleet's own "
            f"listens to {tenant_subjects(fleet.tenant)}: it is left as it is. If it is a "
            "stranger's, delete it or give the RouterFleet another name; if its subjects were "
            "changed, change them back"
        )
    return taken


def too_small(
    given: StreamBudget | None, held: Sequence[LiveStream], error: Exception, advice: Advice
) -> str:
    """Why there is no plan, with what was given and what can be done."""
    taken = format_size(sum(least_bytes(one) for one in held))
    said = advice.budget
    if given is not None:
        size = given.file_bytes if given.together_bytes is None else given.together_bytes
        said += "" if size is None else f" {format_size(size)}"
    text = f"{said}, of which streams of earlier fleets hold {taken}: {error}"
    return f"{text}. {advice.more_room}" if advice.more_room else text


def unbounded(fleets: Sequence[RouterFleet], budget: StreamBudget) -> list[TenantId]:
    """Those whose kind of storage has no bound."""
    out: list[TenantId] = []
    for fleet in fleets:
        try:
            budget.bound([fleet.spec.events.storage])
        except UnlimitedAccountError:
            out.append(fleet.tenant)
    return out


def last_without_stream(fleets: Sequence[RouterFleet], streams: Container[str]) -> list[TenantId]:
    """Who gives way: the last that has no stream yet; when all have one, all stay as they are."""
    without = [fleet.tenant for fleet in fleets if stream_name(fleet.tenant) not in streams]
    return without[-1:] or [fleet.tenant for fleet in fleets]


def _without(budget: StreamBudget, held: Sequence[LiveStream]) -> StreamBudget:
    taken = {StreamStorage.FILE: 0, StreamStorage.MEMORY: 0}
    for one in held:
        copies = one.info.config.num_replicas or 1
        taken[one.storage] += max(one.max_bytes or 0, least_bytes(one)) * copies
    file, memory = taken[StreamStorage.FILE], taken[StreamStorage.MEMORY]
    if budget.together_bytes is not None:
        # One purse: whatever is held takes from all of it.
        file = memory = file + memory
        return StreamBudget(
            _less(budget.file_bytes, file),
            _less(budget.memory_bytes, memory),
            budget.together_bytes - file,
        )
    return StreamBudget(_less(budget.file_bytes, file), _less(budget.memory_bytes, memory))


def _less(limit: int | None, taken: int) -> int | None:
    return None if limit is None else limit - taken
