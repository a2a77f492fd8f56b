"""Whether anything was made anew: what did not change stays the same object."""

from collections.abc import Sequence


def identical(one: Sequence[object], other: Sequence[object]) -> bool:
    """Whether both are the same objects in the same order."""
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
