"""Checkers under any order of events, channel changes, broker failures and restarts.

Two of them share the stream, as during a rolling update; each event goes to one.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from fleet_common.errors import TransientError
from fleet_contracts.codec import decode, encode
from fleet_contracts.gen.fleet.v1.events_pb2 import Event, Firmware
from fleet_contracts.subjects import EventSubject, Kind, TenantId, parse_subject
from fleet_firmware.advice import Advice, FirmwareFacts, advise
from fleet_firmware.channels import Channel, ChannelKey, ChannelReading, ChannelRelease, Source
from fleet_firmware.checker import Checker, Outcome
from fleet_firmware.metrics import FirmwareMetrics
from fleet_firmware.store import ConflictError, Newest, StoredEvent
from fleet_firmware.version import parse_version

ACME = TenantId("acme")
STABLE = ChannelKey(7, Channel.STABLE)
FIRST_SLOT = 1_800_000_000_000


@dataclass
class MemoryStore:
    """A stream in memory. `fail_next`: nothing stored; `lose_ack_next`: stored, but not said."""

    messages: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    fail_next: bool = False
    lose_ack_next: bool = False

    def append(self, subject: str, event: Event) -> StoredEvent:
        payload = encode(event)
        self.messages.append((subject, payload))
        return StoredEvent(decode(subject, payload), len(self.messages))

    def last(self, subject: str) -> StoredEvent | None:
        for sequence in range(len(self.messages), 0, -1):
            name, payload = self.messages[sequence - 1]
            if name == subject:
                return StoredEvent(decode(name, payload), sequence)
        return None

    def advices(self, device: str) -> list[Event]:
        subject = f"fleet.acme.{device}.firmware-advice"
        return [decode(name, data).event for name, data in self.messages if name == subject]

    async def newest(self, tenant: TenantId, kind: Kind) -> AsyncIterator[StoredEvent]:
        for subject in sorted({name for name, _ in self.messages}):
            parsed = parse_subject(subject)
            if (parsed.tenant, parsed.kind) == (tenant, kind):
                stored = self.last(subject)
                assert stored is not None
                yield stored

    async def newest_of(self, subject: EventSubject) -> Newest:
        stored = self.last(str(subject))
        return Newest(None, 0) if stored is None else Newest(stored.decoded, stored.sequence)

    async def publish(
        self,
        subject: EventSubject,
        event: Event,
        expected_sequence: int,
        headers: Mapping[str, str] | None,
    ) -> int:
        del headers
        newest = await self.newest_of(subject)
        if newest.sequence != expected_sequence:
            raise ConflictError("wrong last sequence")
        if self.fail_next:
            self.fail_next = False
            raise TransientError("no answer")
        stored = self.append(str(subject), event)
        if self.lose_ack_next:
            self.lose_ack_next = False
            raise TransientError("no answer")
        return stored.sequence


@dataclass
class FixedChannels:
    readings: dict[ChannelKey, ChannelReading] = field(
        default_factory=dict[ChannelKey, ChannelReading]
    )

    def reading(self, key: ChannelKey) -> ChannelReading | None:
        return self.readings.get(key)

    def offer(self, version: str, read_at: int = 1) -> None:
        self.readings[STABLE] = ChannelRelease(
            parse_version(version), None, read_at, Source.UPGRADE_HOST
        )


class World:
    """One stream, the channels, and two checkers; `checker` gets the events just now."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.channels = FixedChannels()
        self.now = FIRST_SLOT / 1000
        self.slot = FIRST_SLOT
        self.checker = self._checker()
        self.other = self._checker()

    def _checker(self) -> Checker:
        return Checker(self.channels, self.store, FirmwareMetrics(), 10 * 86_400, lambda: self.now)

    async def recheck(self) -> None:
        for checker in (self.checker, self.other):
            await checker.recheck(STABLE)

    async def sweep(self) -> None:
        for checker in (self.checker, self.other):
            await checker.sweep(ACME, 1)

    async def restart(self) -> None:
        self.checker = self._checker()
        await self.checker.restore(ACME)
        await self.checker.settle(ACME)

    async def event(self, device: str, version: str) -> Outcome | None:
        """A new event; None when the broker failed and it waits for redelivery."""
        self.slot += 1000
        self.now += 2
        stored = self.store.append(
            f"fleet.acme.{device}.firmware",
            Event(
                slot_unix_ms=self.slot,
                firmware=Firmware(installed_version=version, channel="stable"),
            ),
        )
        return await self.deliver(stored)

    async def deliver(self, stored: StoredEvent) -> Outcome | None:
        try:
            return await self.checker.observe(stored, None)
        except TransientError:
            return None

    def expected(self, device: str) -> Advice | None:
        stored = self.store.last(f"fleet.acme.{device}.firmware")
        if stored is None:
            return None
        facts = FirmwareFacts.of(stored.decoded.event.firmware)
        return advise(facts, self.channels.reading(STABLE))


DEVICES = ("r1", "r2")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.sampled_from(DEVICES), st.sampled_from(["7.1", "7.2", "x"])),
        st.tuples(st.just("offer"), st.sampled_from(["7.1", "7.2", "7.3"])),
        st.tuples(
            st.sampled_from(["fail", "lose", "restart", "sweep", "redeliver", "reread", "swap"])
        ),
    ),
    max_size=25,
)


async def play(world: World, script: Sequence[tuple[str, ...]]) -> None:
    for step in script:
        match step:
            case ("event", device, version):
                await world.event(device, version)
            case ("offer", version):
                world.channels.offer(version)
                await world.recheck()
            case ("swap",):
                world.checker, world.other = world.other, world.checker
            case ("fail",):
                world.store.fail_next = True
            case ("lose",):
                world.store.lose_ack_next = True
            case ("restart",):
                await world.restart()
            case ("redeliver",):
                stored = world.store.last("fleet.acme.r1.firmware")
                if stored is not None:
                    await world.deliver(stored)
            case ("reread",):
                reading = world.channels.reading(STABLE)
                if isinstance(reading, ChannelRelease):
                    world.channels.offer(str(reading.version), reading.read_unix_seconds + 1)
                    await world.recheck()
            case _:
                await world.sweep()
        world.now += 1


@given(steps)
def test_in_the_end_the_stream_holds_what_the_facts_call_for(
    script: list[tuple[str, ...]],
) -> None:
    async def run() -> None:
        world = World()
        await play(world, script)
        world.store.fail_next = world.store.lose_ack_next = False
        await world.sweep()
        for device in DEVICES:
            expected = world.expected(device)
            advices = world.store.advices(device)
            if expected is None:
                continue
            last = Advice.of(advices[-1].firmware_advice)
            assert expected.says_the_same_as(last)

    asyncio.run(run())


@given(steps)
def test_no_advice_is_repeated_and_no_slot_is_used_twice(script: list[tuple[str, ...]]) -> None:
    async def run() -> None:
        world = World()
        await play(world, script)
        await world.sweep()
        for device in DEVICES:
            advices = world.store.advices(device)
            said = [Advice.of(event.firmware_advice) for event in advices]
            for earlier, later in itertools.pairwise(said):
                assert later is not None
                assert not later.says_the_same_as(earlier)
            slots = [event.slot_unix_ms for event in advices]
            assert slots == sorted(set(slots))

    asyncio.run(run())


async def test_advice_whose_acknowledgement_was_lost_is_not_published_twice() -> None:
    world = World()
    world.channels.offer("7.2")
    world.store.lose_ack_next = True
    assert await world.event("r1", "7.1") is None
    stored = world.store.last("fleet.acme.r1.firmware")
    assert stored is not None
    assert await world.deliver(stored) is Outcome.UNCHANGED
    assert len(world.store.advices("r1")) == 1


async def test_an_older_event_does_not_overrule_a_newer_one() -> None:
    world = World()
    world.channels.offer("7.2")
    await world.event("r1", "7.1")
    old = world.store.last("fleet.acme.r1.firmware")
    assert old is not None
    await world.event("r1", "7.2")
    assert await world.deliver(old) is Outcome.SUPERSEDED
    assert len(world.store.advices("r1")) == 2


async def test_a_device_that_is_long_silent_gets_no_more_advice() -> None:
    world = World()
    world.channels.offer("7.2")
    await world.event("r1", "7.1")
    world.now += 11 * 86_400
    await world.checker.sweep(ACME, 1)
    world.channels.offer("7.3")
    await world.checker.recheck(STABLE)
    assert len(world.store.advices("r1")) == 1
    assert await world.event("r1", "7.1") is Outcome.PUBLISHED
