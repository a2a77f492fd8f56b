"""Counts as people write them."""


def counted(count: int, noun: str) -> str:
    """`1 device`, `0 devices`, `1,204 devices`; for nouns whose plural ends in s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
