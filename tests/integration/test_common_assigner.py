"""Assignments follow signs of life, in real buckets; the shards are played."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue
from pydantic import ValidationError

from fleet_common.assigner import Assigner, Fence, Step
from fleet_common.broker import declare_bucket
from fleet_common.inventory import Assignment, keys_under
from fleet_common.liveness import Beat, Liveness, State
from fleet_contracts.streams import ASSIGNMENTS_BUCKET, SHARDS_BUCKET
from fleet_contracts.subjects import DeviceId, TenantId
from support.waiting import eventually

NORTH = TenantId("north")
DEVICES = [DeviceId(f"router-{number}") for number in range(12)]
LEASE_SECONDS = 0.6
_STEP_SECONDS = 0.05
_DEADLINE_SECONDS = 15.0


@dataclass
class Stage:
    """The buckets, the assigner, and shards that beat and acknowledge as told."""

    assignments: KeyValue
    shards: KeyValue
    assigner: Assigner
    fenced: list[str]
    alive: set[str] = field(default_factory=set[str])
    slow: set[str] = field(default_factory=set[str])
    """These beat, but never say that an assignment is in force."""
    leaving: set[str] = field(default_factory=set[str])
    beats: int = 0
    seen: list[dict[str, tuple[str, ...]]] = field(default_factory=list[dict[str, tuple[str, ...]]])

    async def records(self) -> dict[str, Assignment]:
        found: dict[str, Assignment] = {}
        for key in await keys_under(self.assignments, NORTH):
            # A shard's record may be deleted between the two reads.
            with contextlib.suppress(ValidationError, KeyNotFoundError):
                entry = await self.assignments.get(key)
                record = Assignment.model_validate_json(entry.value or b"")
                found[record.shard] = record
        return found

    async def play(self) -> None:
        """What living shards do, again and again; and a look at who owns what meanwhile."""
        while True:
            records = await self.records()
            self.seen.append({shard: one.devices for shard, one in records.items()})
            self.beats += 1
            for shard in sorted(self.alive):
                known = records.get(shard)
                revision = known.revision if known and shard not in self.slow else -1
                beat = Beat(
                    tenant=NORTH,
                    shard=shard,
                    incarnation="x",
                    count=self.beats,
                    revision=revision,
                    leaving=shard in self.leaving,
                )
                await self.shards.put(f"{NORTH}.{shard}", beat.model_dump_json().encode())
            await asyncio.sleep(0.02)

    async def until(self, good: Callable[[Step], bool], *wanted: str) -> Step:
        """Step until the outcome is as wanted."""
        last: Step | None = None
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                while True:
                    last = await self.assigner.step(DEVICES, wanted)
                    if good(last):
                        return last
                    await asyncio.sleep(_STEP_SECONDS)
        except TimeoutError:
            raise AssertionError(f"last step: {last}") from None


@asynccontextmanager
async def stage(client: Client, *alive: str) -> AsyncGenerator[Stage]:
    js = client.jetstream(timeout=5)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    assignments = await declare_bucket(js, ASSIGNMENTS_BUCKET, 1 << 20)
    shards = await declare_bucket(js, SHARDS_BUCKET, 1 << 20)
    fenced: list[str] = []

    async def fence(shard: str) -> None:
        fenced.append(shard)

    liveness = Liveness(LEASE_SECONDS, LEASE_SECONDS)
    assigner = Assigner(NORTH, assignments, shards, fence, liveness=liveness)
    played = Stage(assignments, shards, assigner, fenced, set(alive))
    task = asyncio.create_task(played.play())
    try:
        yield played
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.wait([task])


def all_alive(step: Step) -> bool:
    return all(state is State.ALIVE for state in step.states.values())


async def test_a_new_shard_gets_devices_once_it_lives_and_no_device_has_two_owners(
    nats_client: Client,
) -> None:
    async with stage(nats_client, "shard-0") as played:
        await played.until(all_alive, "shard-0")
        step = await played.assigner.step(DEVICES, ["shard-0", "shard-1"])
        assert set(step.shares) == {"shard-0"}, "it has given no sign yet"
        played.alive.add("shard-1")
        step = await played.until(lambda one: len(one.shares) == 2, "shard-0", "shard-1")
        assert 0 < step.moved <= 6
        records = await played.records()
    assert {shard: one.devices for shard, one in records.items()} == step.shares
    assert played.fenced == []
    for shares in played.seen:
        held = [device for theirs in shares.values() for device in theirs]
        assert len(held) == len(set(held))


async def test_a_shard_that_falls_silent_is_fenced_and_then_its_devices_move(
    nats_client: Client,
) -> None:
    async with stage(nats_client, "shard-0", "shard-1") as played:
        await played.until(all_alive, "shard-0", "shard-1")
        played.alive.discard("shard-1")
        step = await played.until(lambda one: one.moved > 0, "shard-0", "shard-1")
        assert played.fenced == ["shard-1"]
        assert step.shares == {"shard-0": tuple(sorted(DEVICES))}
        assert "shard-1" not in await played.records()
        played.alive.add("shard-1")
        await played.until(lambda one: len(one.shares) == 2, "shard-0", "shard-1")


async def test_a_shard_that_leaves_gives_its_devices_away_while_it_lives(
    nats_client: Client,
) -> None:
    async with stage(nats_client, "shard-0", "shard-1") as played:
        await played.until(lambda one: len(one.shares) == 2, "shard-0", "shard-1")
        played.leaving.add("shard-1")
        step = await played.until(lambda one: len(one.shares) == 1, "shard-0", "shard-1")
        assert step.states["shard-1"] is State.ALIVE
        played.leaving.add("shard-0")
        await asyncio.sleep(2 * LEASE_SECONDS)
        step = await played.assigner.step(DEVICES, ["shard-0", "shard-1"])
        assert set(step.shares) == {"shard-0"}, "nobody is left: it keeps them"
        played.leaving.clear()
        await played.until(lambda one: len(one.shares) == 2, "shard-0", "shard-1")
    assert played.fenced == []
    for shares in played.seen:
        held = [device for theirs in shares.values() for device in theirs]
        assert len(held) == len(set(held))


async def test_the_only_shard_is_ended_once_when_it_hangs_and_keeps_its_devices(
    nats_client: Client,
) -> None:
    async with stage(nats_client, "shard-0") as played:
        await played.until(all_alive, "shard-0")
        played.alive.clear()
        await played.until(lambda one: one.states["shard-0"] is State.DEAD, "shard-0")
        await played.assigner.step(DEVICES, ["shard-0"])
        step = await played.assigner.step(DEVICES, ["shard-0"])
        assert played.fenced == ["shard-0"]
        assert len(step.shares["shard-0"]) == len(DEVICES)


async def test_a_shard_that_never_lets_go_holds_nobody_up_for_ever(
    nats_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage(nats_client, "shard-0") as played:
        await played.until(all_alive, "shard-0")
        played.slow.add("shard-0")
        played.alive.add("shard-1")
        await played.until(lambda one: len(one.shares) == 2, "shard-0", "shard-1")
    assert "did not let devices go in time" in caplog.text


async def test_a_record_changed_by_hand_or_unreadable_is_put_right(nats_client: Client) -> None:
    js = nats_client.jetstream(timeout=5)  # pyright: ignore[reportUnknownMemberType] - as above
    bucket = await declare_bucket(js, ASSIGNMENTS_BUCKET, 1 << 20)
    record = Assignment(tenant=NORTH, shard="shard-9", revision=5, devices=tuple(DEVICES))
    await bucket.put(record.key(), record.model_dump_json().encode())
    await bucket.put(f"{NORTH}.shard-0", b"{")
    async with stage(nats_client, "shard-0") as played:
        await played.until(all_alive, "shard-0")
        assert set(await played.records()) == {"shard-0"}
        assert (await played.records())["shard-0"].devices == tuple(sorted(DEVICES))


@pytest.mark.parametrize("spoilt", [None, b"{"])
async def test_what_was_said_of_a_record_that_is_no_more_acknowledges_no_later_one(
    nats_client: Client, spoilt: bytes | None
) -> None:
    """The beats are gone as well: a shard that was held up may write its last one again."""
    async with stage(nats_client, "shard-0", "shard-1") as played:
        await played.until(lambda one: len(one.shares) == 2, "shard-0", "shard-1")
        said = max(record.revision for record in (await played.records()).values())
        played.alive.clear()
        for shard in ("shard-0", "shard-1"):
            key = f"{NORTH}.{shard}"
            if spoilt is None:
                await played.assignments.delete(key)
            else:
                await played.assignments.put(key, spoilt)
        await asyncio.sleep(0.1)  # what was playing when it was told to stop
        for shard in ("shard-0", "shard-1"):
            await played.shards.delete(f"{NORTH}.{shard}")

        anew = Assigner(NORTH, played.assignments, played.shards, never)
        await anew.step(DEVICES, ["shard-0", "shard-1"])
        revisions = {record.revision for record in (await played.records()).values()}
    assert min(revisions) > said


async def test_a_deleted_record_of_which_only_a_beat_is_left_goes_on_above_it(
    nats_client: Client,
) -> None:
    async with stage(nats_client) as played:
        beat = Beat(tenant=NORTH, shard="shard-0", incarnation="x", count=1, revision=41)
        await played.shards.put(f"{NORTH}.shard-0", beat.model_dump_json().encode())
        await played.assigner.step(DEVICES, ["shard-0"])
        assert {one.revision for one in (await played.records()).values()} == {42}


class FailingSigns(KeyValue):
    """The beats; a look fails as soon as a device has been let go, until `well`."""

    def __init__(self, client: Client, played: Stage) -> None:
        super().__init__(
            name=SHARDS_BUCKET,
            stream=f"KV_{SHARDS_BUCKET}",
            pre=f"$KV.{SHARDS_BUCKET}.",
            js=client.jetstream(timeout=5),  # pyright: ignore[reportUnknownMemberType] - as above
            direct=True,
        )
        self._played = played
        self.well = False
        self.looks = 0

    async def get(
        self,
        key: str,
        revision: int | None = None,
        validate_keys: bool = True,  # noqa: FBT001, FBT002 - nats-py's signature
    ) -> KeyValue.Entry:
        """See nats-py."""
        self.looks += 1
        records = await self._played.records()
        if not self.well and sum(len(one.devices) for one in records.values()) < len(DEVICES):
            raise NatsTimeoutError
        return await super().get(key, revision, validate_keys)


async def fail_after_the_releases(
    client: Client, played: Stage, fence: Fence, liveness: Liveness, wanted: Sequence[str]
) -> tuple[Assigner, FailingSigns]:
    """An assigner whose step wrote who lets devices go, and then could not look any more."""
    signs = FailingSigns(client, played)
    assigner = Assigner(NORTH, played.assignments, signs, fence, liveness=liveness)

    async def fails() -> bool:
        try:
            await assigner.step(DEVICES, wanted)
        except NatsTimeoutError:
            return True
        return False

    await eventually(fails, bool, every_seconds=_STEP_SECONDS, what="a step fails")
    signs.well = True
    return assigner, signs


def without_owner(records: dict[str, Assignment]) -> set[DeviceId]:
    owned = {device for record in records.values() for device in record.devices}
    return {device for device in DEVICES if device not in owned}


@pytest.mark.parametrize("replaced", [False, True])
async def test_after_a_step_that_failed_nothing_is_given_before_it_was_let_go(
    nats_client: Client,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    replaced: bool,
) -> None:
    """By the assigner that failed, or by one that only finds what it left behind."""
    monkeypatch.setattr("fleet_common.assigner.RELEASE_SECONDS", _DEADLINE_SECONDS)
    wanted = ["shard-0", "shard-1", "shard-2"]
    async with stage(nats_client, "shard-0", "shard-1") as played:
        await played.until(lambda one: len(one.shares) == 2, "shard-0", "shard-1")
        played.slow.update(wanted)
        played.alive.add("shard-2")
        assigner, signs = await fail_after_the_releases(
            nats_client, played, never, Liveness(), wanted
        )
        if replaced:
            assigner = Assigner(NORTH, played.assignments, signs, never)
        let_go = without_owner(await played.records())
        looks = signs.looks
        stepping = asyncio.create_task(assigner.step(DEVICES, wanted))
        await eventually(
            lambda: stepping.done() or signs.looks > looks + 6, bool, what="it looks again"
        )
        assert let_go
        assert without_owner(await played.records()) == let_go
        played.slow.clear()
        await stepping
        assert not without_owner(await played.records())
    assert "did not let devices go in time" not in caplog.text


async def test_after_a_step_that_failed_a_shard_that_falls_silent_is_ended_first(
    nats_client: Client,
) -> None:
    """Its record is empty by then: that is no sign that it polls nothing."""
    fenced: list[tuple[str, set[DeviceId]]] = []
    async with stage(nats_client, "shard-0") as played:

        async def fence(shard: str) -> None:
            fenced.append((shard, without_owner(await played.records())))

        await played.until(all_alive, "shard-0")
        played.alive.add("shard-1")
        played.slow.add("shard-0")
        played.leaving.add("shard-0")
        liveness = Liveness(LEASE_SECONDS, LEASE_SECONDS)
        wanted = ["shard-0", "shard-1"]
        assigner, _ = await fail_after_the_releases(nats_client, played, fence, liveness, wanted)
        assert (await played.records())["shard-0"].devices == ()
        played.alive.discard("shard-0")

        async def given() -> bool:
            await assigner.step(DEVICES, wanted)
            return not without_owner(await played.records())

        await eventually(given, bool, every_seconds=_STEP_SECONDS, what="all devices are given")

    assert fenced == [("shard-0", {*DEVICES})]


async def test_while_a_shard_may_still_poll_a_step_says_what_is_in_force_and_not_what_shall_be(
    nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ends shards that are too many must not end one that was not heard of yet."""
    monkeypatch.setattr("fleet_common.assigner.RELEASE_SECONDS", 0.1)
    async with stage(nats_client, "shard-0", "shard-1") as played:
        await played.until(lambda one: len(one.shares) == 2, "shard-0", "shard-1")
        played.alive.discard("shard-1")
        fenced: list[str] = []

        async def fence(shard: str) -> None:
            fenced.append(shard)

        liveness = Liveness(LEASE_SECONDS, first_seconds=2.0)
        anew = Assigner(NORTH, played.assignments, played.shards, fence, liveness=liveness)
        step = await anew.step(DEVICES, ["shard-0"])
        records = await played.records()
        assert (step.settled, step.moved) == (False, 0)
        assert step.shares == {shard: one.devices for shard, one in records.items()}
        assert records["shard-1"].devices == ()
        assert without_owner(records)

        async def settled() -> bool:
            return (await anew.step(DEVICES, ["shard-0"])).settled

        await eventually(settled, bool, every_seconds=_STEP_SECONDS, what="all devices are given")
        assert set(await played.records()) == {"shard-0"}
    assert fenced == ["shard-1"]


async def never(shard: str) -> None:
    """A fence for those who must not be ended."""
    raise AssertionError(shard)
