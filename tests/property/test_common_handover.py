"""A device is let go before it is given away, and liveness never blames without cause."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_common.assignment import assign, load_bound, shard_names
from fleet_common.handover import Unconfirmed, plan_handover
from fleet_common.inventory import Assignment
from fleet_common.liveness import (
    FIRST_SIGN_SECONDS,
    LEASE_SECONDS,
    OBSERVER_GAP_SECONDS,
    Beat,
    Liveness,
    State,
    eligible,
)
from fleet_contracts.subjects import DeviceId, TenantId

NORTH = TenantId("north")
DEVICES = [DeviceId(f"router-{number}") for number in range(40)]
owners = st.lists(st.sampled_from([*shard_names(5), None]), min_size=40, max_size=40)
states = st.sampled_from(list(State))


def records(owned_by: Sequence[str | None], revision: int = 3) -> list[Assignment]:
    """A record for each shard that owns something."""
    return [
        Assignment(
            tenant=NORTH,
            shard=shard,
            revision=revision,
            devices=tuple(d for d, o in zip(DEVICES, owned_by, strict=True) if o == shard),
        )
        for shard in sorted({one for one in owned_by if one is not None})
    ]


@given(owners, st.integers(1, 5), st.integers(0, 40))
def test_at_no_moment_does_a_device_belong_to_two_shards(
    before: list[str | None], shards: int, devices: int
) -> None:
    known = {record.shard: record for record in records(before)}
    previous = {shard: tuple(map(DeviceId, one.devices)) for shard, one in known.items()}
    shares = assign(DEVICES[:devices], shard_names(shards), previous)

    handover = plan_handover(NORTH, shares, known.values())

    for record in (*handover.releases, *handover.grants):
        assert record.revision > known[record.shard].revision if record.shard in known else True
        known[record.shard] = record
        held = [device for one in known.values() for device in one.devices]
        assert len(held) == len(set(held))
    for shard in handover.removals:
        assert known.pop(shard).devices == ()
    assert {shard: one.devices for shard, one in known.items()} == shares
    assert plan_handover(NORTH, shares, known.values()).empty


@given(owners, st.integers(1, 5))
def test_releases_give_nobody_anything(before: list[str | None], shards: int) -> None:
    known = {record.shard: record for record in records(before)}
    shares = assign(DEVICES, shard_names(shards))
    for record in plan_handover(NORTH, shares, known.values()).releases:
        assert set(record.devices) < set(known[record.shard].devices)


@given(st.integers(2, 9), st.data())
def test_a_dead_shards_devices_are_all_that_moves(count: int, data: st.DataObject) -> None:
    before = assign(DEVICES, shard_names(count))
    dead = data.draw(st.sampled_from(shard_names(count)))
    judged = {one: State.DEAD if one == dead else State.ALIVE for one in before}

    after = assign(DEVICES, eligible(shard_names(count), judged, before), before)

    where = {device: shard for shard, theirs in after.items() for device in theirs}
    for shard, theirs in before.items():
        assert shard == dead or all(where[device] == shard for device in theirs)
    assert max(map(len, after.values())) <= load_bound(len(DEVICES), count - 1)


@given(st.dictionaries(st.sampled_from(shard_names(6)), states, min_size=1), st.data())
def test_devices_go_to_the_living_or_stay(found: dict[str, State], data: st.DataObject) -> None:
    holders = data.draw(st.sets(st.sampled_from(shard_names(6))))
    wanted = sorted(found)
    chosen = eligible(wanted, found, holders)
    assert chosen, "devices without a shard"
    assert set(chosen) <= set(wanted)
    alive = {one for one in wanted if found[one] is State.ALIVE}
    assert alive <= set(chosen)
    if alive:
        assert all(found[one] is not State.DEAD for one in chosen)


@given(st.integers(1, 6), st.data())
def test_a_shard_that_leaves_keeps_its_devices_only_while_nobody_can_take_them(
    count: int, data: st.DataObject
) -> None:
    wanted = shard_names(count)
    leaving = data.draw(st.sets(st.sampled_from(wanted), min_size=1))
    found = dict.fromkeys(wanted, State.ALIVE)

    chosen = eligible(wanted, found, wanted, leaving)

    assert chosen == ([one for one in wanted if one not in leaving] or wanted)


def beat(count: int, revision: int = 0) -> Beat:
    return Beat(tenant=NORTH, shard="shard-0", incarnation="one", count=count, revision=revision)


looks = st.lists(st.floats(0.1, OBSERVER_GAP_SECONDS - 0.1), min_size=1, max_size=60)


@given(looks)
def test_a_shard_that_beats_is_never_dead(steps: list[float]) -> None:
    liveness, now = Liveness(), 0.0
    for step in steps:
        now += step
        liveness.observe(now, {"shard-0": beat(int(now))})
        assert liveness.state("shard-0") is not State.DEAD


@given(steps=looks, ever=st.booleans())
def test_a_silent_shard_is_dead_once_its_time_is_over(*, steps: list[float], ever: bool) -> None:
    liveness, now = Liveness(), 0.0
    liveness.observe(now, {"shard-0": beat(1)})
    if ever:
        liveness.observe(now, {"shard-0": beat(2)})
    allowed = LEASE_SECONDS if ever else FIRST_SIGN_SECONDS
    for step in steps:
        now += step
        liveness.observe(now, {"shard-0": beat(2 if ever else 1)})
        assert (liveness.state("shard-0") is State.DEAD) is (now > allowed)


@given(st.floats(OBSERVER_GAP_SECONDS + 0.1, 1e6))
def test_an_observer_that_was_away_blames_nobody(away: float) -> None:
    liveness = Liveness()
    for count in (1, 2):
        liveness.observe(float(count), {"shard-0": beat(count)})
    liveness.observe(2 + away, {"shard-0": beat(2)})
    assert liveness.state("shard-0") is State.ALIVE


def test_a_beat_left_by_an_earlier_process_proves_nothing() -> None:
    liveness = Liveness()
    liveness.observe(0.0, {"shard-0": beat(7)})
    assert liveness.state("shard-0") is State.STARTING
    liveness.observe(1.0, {"shard-0": beat(7).model_copy(update={"incarnation": "two"})})
    assert liveness.state("shard-0") is State.ALIVE


RECORD = Assignment(tenant=NORTH, shard="shard-0", revision=3, devices=())
FOUND = {"shard-0": RECORD}


def after(*looks: tuple[float, Beat | None]) -> Liveness:
    """Liveness after these looks at shard-0."""
    liveness = Liveness()
    for now, seen in looks:
        liveness.observe(now, {"shard-0": seen})
    return liveness


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (after((0, beat(1, 2)), (1, beat(2, 2))), State.ALIVE),
        (after((0, beat(1, 2))), State.STARTING),
        (after(*((now, beat(1, 2)) for now in range(10))), State.DEAD),
    ],
)
def test_what_another_assigner_wrote_is_awaited_until_the_shard_says_so_or_is_ended(
    said: Liveness, state: State
) -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.found(FOUND, {})
    unconfirmed.looked(said)
    assert unconfirmed.awaited(said) == {"shard-0": state}

    told = after((0, beat(1, 2)), (1, beat(2, 3)))
    unconfirmed.looked(told)
    assert unconfirmed.awaited(told) == {}


@pytest.mark.parametrize("known", [FOUND, {}])
def test_nobody_waits_for_what_is_in_force_or_for_a_shard_that_never_gave_a_sign(
    known: dict[str, Assignment],
) -> None:
    for said in (after((0, beat(1, 3))), after((0, None))):
        unconfirmed = Unconfirmed()
        unconfirmed.found(FOUND, known)
        unconfirmed.looked(said)
        assert unconfirmed.awaited(said) == {}


def test_nobody_waits_for_a_shard_that_takes_up_what_it_was_given() -> None:
    given = RECORD.model_copy(update={"devices": (DEVICES[0],)})
    said = after((0, beat(1, 2)), (1, beat(2, 2)))
    unconfirmed = Unconfirmed()
    unconfirmed.found({"shard-0": given}, {"shard-0": given})
    unconfirmed.looked(said)
    assert unconfirmed.awaited(said) == {}


def test_one_that_did_not_confirm_in_time_holds_up_nobody_until_it_falls_silent() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.releasing(RECORD)
    alive = after((0, beat(1, 2)), (1, beat(2, 2)))
    unconfirmed.looked(alive)
    unconfirmed.overdue(["shard-0"])
    assert unconfirmed.awaited(alive) == {}
    silent = after((0, beat(1, 2)), *((now, beat(2, 2)) for now in range(1, 10)))
    assert unconfirmed.awaited(silent) == {"shard-0": State.DEAD}
    unconfirmed.forget("shard-0")
    assert unconfirmed.awaited(silent) == {}
