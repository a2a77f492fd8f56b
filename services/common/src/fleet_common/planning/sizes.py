"""Sizes in bytes for all streams at once: floors, holds, shares, rounding, dead band.

Everything here counts one copy; `replicas` says how many the budget pays for.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from fleet_common.planning.budget import StreamBudget
from fleet_common.planning.errors import BudgetTooSmallError
from fleet_common.planning.model import DEAD_BAND, FLOOR_BYTES
from fleet_common.planning.sharing import Claim, share
from fleet_common.units import format_size
from fleet_contracts.streams import StreamStorage

SMALL_STEP: Final = 64 * 1024
LARGE_STEP: Final = 1024 * 1024
_SMALL_UNTIL: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Need:
    """One stream's. `wanted` and `entitled` are at least the floor and multiples of a step.

    `live` is its present size and `unstored` what is to be kept of it until a consumer has
    stored it, headroom included; None and 0 where there is no stream. `previous` is the size
    planned last, `cap` its owner's bound.
    """

    weight: Fraction
    wanted: int
    entitled: int
    storage: StreamStorage = StreamStorage.FILE
    replicas: int = 1
    live: int | None = None
    unstored: int = 0
    previous: int | None = None
    cap: int | None = None
    floor: int = FLOOR_BYTES


@dataclass(frozen=True, slots=True)
class Size:
    """One stream's outcome; `held` when it is more than its share for what is not stored."""

    max_bytes: int
    held: bool = False


def round_down(size: int) -> int:
    """To a step: 64 KiB below 32 MiB, 1 MiB above. Never 0 for a floor or more."""
    step = SMALL_STEP if size < _SMALL_UNTIL else LARGE_STEP
    return size - size % step


def round_up(size: int) -> int:
    """The least step that holds it."""
    down = round_down(size)
    if down == size:
        return size
    return down + (SMALL_STEP if down < _SMALL_UNTIL else LARGE_STEP)


def size_streams(needs: Sequence[Need], budget: StreamBudget) -> list[Size]:
    """max_bytes for each, within the budget. Raises BudgetTooSmallError, UnlimitedAccountError.

    A stream is held at its live size while its share would drop what is not stored: replay
    is history that somebody has, the unstored is not. Holding one takes from the others'
    shares, so another may have to be held then; holds only grow in number, so it ends.
    """
    check_floors(needs, budget)
    held: set[int] = set()
    while True:
        claims = _with_holds(needs, held, budget)
        sizes = _shares(claims, budget)
        more = {number for number, need in enumerate(needs) if _drops(need, sizes[number])} - held
        if not more:
            steady = _steady(needs, sizes, budget)
            return [Size(size, number in held) for number, size in enumerate(steady)]
        held |= more


def check_floors(needs: Sequence[Need], budget: StreamBudget) -> None:
    """Raises BudgetTooSmallError when a budget does not hold its streams' floors."""
    for storages in _scopes(needs):
        members = [need for need in needs if need.storage in storages]
        floors = sum(FLOOR_BYTES * need.replicas for need in members)
        bound = budget.bound(storages)
        if bound < floors:
            kinds = " and ".join(sorted(storage.value for storage in storages))
            raise BudgetTooSmallError(
                f"a budget of {bound} bytes ({format_size(bound)}) for {kinds} streams is below "
                f"{floors}: {format_size(FLOOR_BYTES)} for each copy of {len(members)} streams"
            )


def _scopes(needs: Sequence[Need]) -> list[frozenset[StreamStorage]]:
    """Each storage type in use alone, then all of them together."""
    used = {need.storage for need in needs}
    return [frozenset({one}) for one in sorted(used)] + ([frozenset(used)] if used else [])


def _drops(need: Need, size: int) -> bool:
    return need.live is not None and size < need.live and size < need.unstored


def _with_holds(needs: Sequence[Need], held: set[int], budget: StreamBudget) -> list[Need]:
    """The held ones' floors raised to their live size, as far as the budget goes.

    Where it does not go that far, what is not stored comes before what is.
    """
    if not held:
        return list(needs)
    lifted = [
        replace(
            need,
            weight=Fraction(1),
            entitled=max(need.floor, min(need.live or 0, round_up(need.unstored))),
            wanted=max(need.floor, need.live or 0),
        )
        if number in held
        else replace(need, entitled=need.floor, wanted=need.floor)
        for number, need in enumerate(needs)
    ]
    sizes = _shares(lifted, budget, lambda size: size)
    return [
        replace(need, floor=size, entitled=size, wanted=size) if number in held else need
        for number, (need, size) in enumerate(
            zip(needs, _rounded_unless_live(needs, sizes), strict=True)
        )
    ]


def _rounded_unless_live(needs: Sequence[Need], sizes: Sequence[int]) -> list[int]:
    return [
        size if size == need.live else max(need.floor, round_down(size))
        for need, size in zip(needs, sizes, strict=True)
    ]


def _shares(
    needs: Sequence[Need], budget: StreamBudget, rounding: Callable[[int], int] = round_down
) -> list[int]:
    """Weighted shares above the floors; each storage type within its bound, all within theirs."""
    sizes = _shares_of(needs, range(len(needs)), budget.bound(n.storage for n in needs), rounding)
    for storage in sorted({need.storage for need in needs}):
        members = [number for number, need in enumerate(needs) if need.storage is storage]
        bound = budget.bound([storage])
        if _cost(needs, sizes, members) <= bound:
            continue
        # This type is the narrow one: it fills its own bound, the other has what is left.
        others = [number for number in range(len(needs)) if number not in set(members)]
        sizes |= _shares_of(needs, members, bound, rounding)
        if others:
            total = budget.bound(need.storage for need in needs)
            own = budget.bound([needs[others[0]].storage])
            left = min(own, total - _cost(needs, sizes, members))
            sizes |= _shares_of(needs, others, left, rounding)
    return [sizes[number] for number in range(len(needs))]


def _shares_of(
    needs: Sequence[Need], members: Iterable[int], amount: int, rounding: Callable[[int], int]
) -> dict[int, int]:
    chosen = list(members)
    spare = amount - sum(needs[number].floor * needs[number].replicas for number in chosen)
    claims = [
        Claim(
            need.weight * need.replicas,
            (need.wanted - need.floor) * need.replicas,
            (need.entitled - need.floor) * need.replicas,
        )
        for need in (needs[number] for number in chosen)
    ]
    sizes: dict[int, int] = {}
    for number, granted in zip(chosen, share(spare, claims), strict=True):
        need = needs[number]
        size = need.floor + granted // need.replicas
        # A held size is not ours to round, nor is a floor.
        sizes[number] = size if size in {need.wanted, need.floor} else rounding(size)
    return sizes


def _cost(needs: Sequence[Need], sizes: Mapping[int, int], members: Iterable[int]) -> int:
    return sum(sizes[number] * needs[number].replicas for number in members)


def _steady(needs: Sequence[Need], sizes: Sequence[int], budget: StreamBudget) -> list[int]:
    """The previous sizes where the new ones are close to them and the budget allows it.

    Where it does not, those furthest above their new size give way first.
    """
    chosen = {
        number: need.previous if _close(need, size) and need.previous is not None else size
        for number, (need, size) in enumerate(zip(needs, sizes, strict=True))
    }
    for storages in _scopes(needs):
        members = [number for number, need in enumerate(needs) if need.storage in storages]
        bound = budget.bound(storages)
        above = sorted(
            (number for number in members if chosen[number] > sizes[number]),
            key=lambda number: (sizes[number] - chosen[number]) * needs[number].replicas,
        )
        for number in above:
            if _cost(needs, chosen, members) <= bound:
                break
            chosen[number] = sizes[number]
    return [chosen[number] for number in range(len(needs))]


def _close(need: Need, size: int) -> bool:
    previous = need.previous
    return (
        previous is not None
        and previous >= FLOOR_BYTES
        and abs(size - previous) <= previous * DEAD_BAND
        and (need.cap is None or previous <= max(need.cap, size))
        and not _drops(need, previous)
    )
