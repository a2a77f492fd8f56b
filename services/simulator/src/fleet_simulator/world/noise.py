"""Repeatable randomness: pure functions of a seed and an index, cheap enough for every reading.

`mix` is the output function of SplitMix64 (Steele, Lea, Flood 2014), written out because
Python's own `hash` is not promised to stay the same between versions.
"""

import hashlib
import math
from collections.abc import Sequence

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_TO_UNIT = 2.0**-53


def seed_of(*parts: int | str) -> int:
    """A 64-bit seed for a thing named by `parts`."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def mix(seed: int, index: int) -> int:
    """64 random bits for (seed, index)."""
    x = (seed + index * 0x9E37_79B9_7F4A_7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return x ^ (x >> 31)


def unit(seed: int, index: int) -> float:
    """A number in [0, 1) for (seed, index)."""
    return (mix(seed, index) >> 11) * _TO_UNIT


def between(seed: int, index: int, low: float, high: float) -> float:
    """A number in [low, high) for (seed, index)."""
    return low + (high - low) * unit(seed, index)


def pick[T](seed: int, index: int, choices: Sequence[T]) -> T:
    """One of `choices` for (seed, index)."""
    return choices[mix(seed, index) % len(choices)]


def smooth(seed: int, time: float, period: float) -> float:
    """A number in [0, 1) that wanders continuously, with a new aim every `period` seconds."""
    position = time / period
    index = math.floor(position)
    start = unit(seed, index)
    return start + (unit(seed, index + 1) - start) * (position - index)


def staircase(seed: int, position: float) -> float:
    """A rising function near `position` whose slope changes at every whole number.

    Its value at whole k is k plus a random part in [0, 1), so slopes lie in (0, 2) and
    average 1, and any position is computed from two hashes: a random walk's prefix sum
    without the sum.
    """
    index = math.floor(position)
    start = unit(seed, index)
    return index + start + (1.0 + unit(seed, index + 1) - start) * (position - index)


def recurrence(seed: int, time: float, period: float, spread: float = 0.8) -> tuple[int, float]:
    """Number and time of the last event at or before `time` of a series with mean `period`.

    Event n happens at period * (n + spread * random(n)): exactly one in each period, so the
    number of events between two times is a subtraction.
    """
    index = math.floor(time / period)
    moment = period * (index + spread * unit(seed, index))
    if moment > time:
        index -= 1
        moment = period * (index + spread * unit(seed, index))
    return index, moment


def moment_of(seed: int, index: int, period: float, spread: float = 0.8) -> float:
    """Time of event `index` of the series `recurrence` counts."""
    return period * (index + spread * unit(seed, index))
