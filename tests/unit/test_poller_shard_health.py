import asyncio
import random
from pathlib import Path

import pytest

from fleet_common.fleet_spec import CadenceSpec, TlsSpec
from fleet_common.inventory import DeviceRecord
from fleet_common.settings import TracingSection
from fleet_common.tracing import start_tracing
from fleet_contracts.subjects import DeviceId
from fleet_poller.breaker import BreakerPolicy
from fleet_poller.credentials import SecretStore
from fleet_poller.device import PollContext, PollTimeouts
from fleet_poller.gate import LoginGates
from fleet_poller.metrics import PollerMetrics
from fleet_poller.shard import OVERDUE_SECONDS, Shard
from support.pollers import RecordedEvents

RECORD = DeviceRecord(
    tenant="alpha",
    device="core-1",
    address="192.0.2.1",
    port=8728,
    credentials_secret="absent",
    tls=TlsSpec(),
    cadence=CadenceSpec(interval=60),
)


class SetClock:
    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.ms


def context(clock: SetClock, secrets: Path) -> PollContext:
    return PollContext(
        secrets=SecretStore(secrets),
        gates=LoginGates(1),
        timeouts=PollTimeouts(1, 1),
        breaker=BreakerPolicy(),
        sink=RecordedEvents(),
        metrics=PollerMetrics(),
        tracing=start_tracing("poller", TracingSection()),
        clock=clock,
        jitter=random.Random(1),  # noqa: S311 - repeatable, no secret
    )


async def test_a_scheduler_that_starts_nothing_though_slots_are_due_is_unwell(
    tmp_path: Path,
) -> None:
    clock = SetClock()
    shard = Shard(context(clock, tmp_path))
    assert shard.why_unwell() is None, "without devices nothing is due"
    shard.assign({DeviceId("core-1"): RECORD})
    assert shard.why_unwell() is None
    clock.ms += round((60 + OVERDUE_SECONDS) * 1000) + 1

    reason = shard.why_unwell()

    assert reason is not None
    assert "overdue" in reason


async def test_a_bug_in_a_poll_ends_the_shard_with_it(tmp_path: Path) -> None:
    class BrokenClock(SetClock):
        """Right while slots are given out, broken when a poll asks how late it is."""

        def now_ms(self) -> int:
            if asyncio.current_task() is not running:
                raise ZeroDivisionError("a bug")
            return self.ms

    clock = BrokenClock()
    running: asyncio.Task[None] | None = asyncio.current_task()
    shard = Shard(context(clock, tmp_path))
    shard.assign({DeviceId("core-1"): RECORD})
    clock.ms += 60_000
    running = asyncio.create_task(shard.run())
    async with asyncio.timeout(5):
        with pytest.raises(ZeroDivisionError, match="a bug"):
            await running
