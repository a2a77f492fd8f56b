"""How the faults of a command change its job."""

from collections.abc import Sequence
from random import Random
from typing import Final

from fleet_simulator.faults import Fault, FaultRule
from fleet_simulator.jobs import Close, Job, Sleep, Stall
from fleet_simulator.replies import done, fatal, trap
from fleet_simulator.tables import Row, TrapError

_GARBAGE_BYTES: Final = 512


def delayed(job: Job, seconds: float) -> Job:
    """The same job, `seconds` later."""
    yield Sleep(seconds)
    yield from job


def stricken(job: Job, rule: FaultRule, tag: bytes | None, chance: Random) -> Job:
    """`job` as the rule lets it happen; kinds that do not concern a job leave it as it is."""
    match rule.kind:
        case Fault.STALL_BEFORE:
            return _stalled_before(job, rule.delay)
        case Fault.STALL_INSIDE:
            return _stalled_inside(job, rule.delay)
        case Fault.CUT:
            return _cut(job)
        case Fault.GARBAGE:
            return _one(chance.randbytes(_GARBAGE_BYTES))
        case Fault.TRAP:
            return _one(trap(tag, TrapError(rule.message, rule.category)) + done(tag))
        case Fault.FATAL:
            return _closing(fatal(rule.message))
        case Fault.LATENCY:
            return delayed(job, rule.delay or 0.0)
        case _:
            return job


def padded(rows: Sequence[Row], wanted: int) -> Sequence[Row]:
    """A table of at least `wanted` records: its own, then copies with ids of their own.

    Tables without `.id` (one record about the whole router) and empty ones stay as they are.
    """
    if not rows or len(rows) >= wanted or b".id" not in rows[0]:
        return rows
    first = 1 + max(_identifier(row) for row in rows)
    copies = [
        {**rows[index % len(rows)], b".id": b"*%X" % (first + index)}
        for index in range(wanted - len(rows))
    ]
    return [*rows, *copies]


def _identifier(row: Row) -> int:
    try:
        return int(row.get(b".id", b"*0")[1:], 16)
    except ValueError:
        return 0


def _one(data: bytes) -> Job:
    yield data


def _closing(data: bytes) -> Job:
    yield Close(data)


def _stalled_before(job: Job, seconds: float | None) -> Job:
    yield Stall(b"", seconds)
    yield from job


def _stalled_inside(job: Job, seconds: float | None) -> Job:
    for step in job:
        if isinstance(step, bytes) and len(step) > 1:
            half = len(step) // 2
            yield Stall(step[:half], seconds)
            yield step[half:]
            break
        yield step
    yield from job


def _cut(job: Job) -> Job:
    for step in job:
        if isinstance(step, bytes):
            yield Close(step[: len(step) // 2])
            return
        yield step
