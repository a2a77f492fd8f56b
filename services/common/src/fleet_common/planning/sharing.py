"""Dividing what there is: weighted water-filling, in exact whole bytes.

Everyone who wants less than its share gets all it wants; the others share the rest in
proportion to their weights. Nobody can gain by wanting more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Claim:
    """One party. `entitled` is served before anything above it, whoever wants that.

    Bytes; `entitled` is at most `wanted`; `weight` has any unit, the same for all.
    """

    weight: Fraction
    wanted: int
    entitled: int


def fill(amount: int, wants: Sequence[int], weights: Sequence[Fraction]) -> list[int]:
    """Weighted max-min shares of `amount`: at most what each wants, together at most `amount`.

    A party without weight has no right to anything. Exact fractions, rounded down once at
    the end: with floats a larger weight could end a byte lower, and a byte can be a whole
    step of a stream's size.
    """
    wants = [want if weight > 0 else 0 for want, weight in zip(wants, weights, strict=True)]
    level = _level(amount, wants, weights)
    if level is None:
        return list(wants)
    return [min(want, int(level * weight)) for want, weight in zip(wants, weights, strict=True)]


def _level(amount: int, wants: Sequence[int], weights: Sequence[Fraction]) -> Fraction | None:
    """Bytes per weight at which `amount` is used up; None when all wants are met before."""
    rest = max(0, amount)
    if sum(wants) <= rest:
        return None
    order = sorted(
        (Fraction(want) / weight, want, weight)
        for want, weight in zip(wants, weights, strict=True)
        if want > 0
    )
    heavy = sum((weight for _, _, weight in order), Fraction(0))
    for satisfied_at, want, weight in order:
        if satisfied_at * heavy > rest:
            return Fraction(rest) / heavy
        rest -= want
        heavy -= weight
    return None


def share(amount: int, claims: Sequence[Claim]) -> list[int]:
    """First what each is entitled to, then what is left to those who want more.

    So growth above the entitlement can only take what nobody is entitled to.
    """
    weights = [claim.weight for claim in claims]
    first = fill(amount, [claim.entitled for claim in claims], weights)
    more = [claim.wanted - claim.entitled for claim in claims]
    second = fill(amount - sum(first), more, weights)
    return [a + b for a, b in zip(first, second, strict=True)]
