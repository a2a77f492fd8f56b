"""Every device on one shard, no shard above the bound, and little moves."""

import time
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet_common.assignment import (
    Shares,
    assign,
    assignment_records,
    load_bound,
    shard_names,
    shards_wanted,
)
from fleet_common.fleet_spec import ShardsSpec
from fleet_common.inventory import Assignment
from fleet_contracts.subjects import DeviceId, TenantId

NORTH = TenantId("north")
devices = st.sets(st.integers(0, 9999), max_size=120).map(
    lambda numbers: [DeviceId(f"router-{number}") for number in sorted(numbers)]
)

# The machine may be busy with other tests: time says nothing about these.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

shards = st.integers(1, 9).map(shard_names)
epsilons = st.sampled_from([0.0, 0.05, 0.1, 0.25, 1.0])


def where(shares: Shares) -> dict[DeviceId, str]:
    return {device: shard for shard, theirs in shares.items() for device in theirs}


def moved(before: Shares, after: Shares) -> set[DeviceId]:
    """Devices of both that changed their shard."""
    old, new = where(before), where(after)
    return {device for device in old.keys() & new.keys() if old[device] != new[device]}


def overflow(before: Shares, bound: int) -> int:
    return sum(max(0, len(theirs) - bound) for theirs in before.values())


@unhurried
@given(devices, shards, epsilons)
def test_every_device_is_on_one_shard_and_no_shard_above_the_bound(
    names: list[DeviceId], pods: list[str], epsilon: float
) -> None:
    shares = assign(names, pods, epsilon=epsilon)
    assert sorted(device for theirs in shares.values() for device in theirs) == sorted(names)
    assert list(shares) == sorted(pods)
    bound = load_bound(len(names), len(pods), epsilon)
    assert max(map(len, shares.values())) <= bound
    assert bound >= len(names) / len(pods)


@unhurried
@given(devices, shards, epsilons, st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_matter(
    names: list[DeviceId], pods: list[str], epsilon: float, random: Random
) -> None:
    expected = assign(names, pods, epsilon=epsilon)
    random.shuffle(names)
    random.shuffle(pods)
    assert assign(names, pods, epsilon=epsilon) == expected


@unhurried
@given(devices, shards, epsilons)
def test_the_same_again_moves_nothing(
    names: list[DeviceId], pods: list[str], epsilon: float
) -> None:
    first = assign(names, pods, epsilon=epsilon)
    assert assign(names, pods, first, epsilon) == first


@unhurried
@given(devices, shards, epsilons)
def test_one_shard_more_moves_at_most_a_share_and_what_is_above_the_new_bound(
    names: list[DeviceId], pods: list[str], epsilon: float
) -> None:
    before = assign(names, pods, epsilon=epsilon)
    count = len(pods) + 1
    after = assign(names, shard_names(count), before, epsilon)

    bound = load_bound(len(names), count, epsilon)
    assert max(map(len, after.values())) <= bound
    share = -(-len(names) // count)
    assert len(moved(before, after)) <= share + overflow(before, bound)
    # And nothing is exchanged between the old ones but what was above the bound.
    old_to_old = {d for d in moved(before, after) if where(after)[d] in before}
    assert len(old_to_old) <= overflow(before, bound)


@unhurried
@given(devices, shards, epsilons, st.data())
def test_a_shard_that_goes_moves_its_own_devices_only(
    names: list[DeviceId], pods: list[str], epsilon: float, data: st.DataObject
) -> None:
    before = assign(names, [*pods, "shard-x"], epsilon=epsilon)
    gone = data.draw(st.sampled_from([*pods, "shard-x"]))
    left = [shard for shard in before if shard != gone]

    after = assign(names, left, before, epsilon)

    assert moved(before, after) == set(before[gone])
    assert len(before[gone]) <= load_bound(len(names), len(before), epsilon)


@unhurried
@given(devices, devices, shards, epsilons)
def test_new_devices_move_none_that_are_there(
    names: list[DeviceId], new: list[DeviceId], pods: list[str], epsilon: float
) -> None:
    before = assign(names, pods, epsilon=epsilon)
    after = assign(sorted({*names, *new}), pods, before, epsilon)
    assert moved(before, after) == set()


@unhurried
@given(devices, shards, epsilons, st.data())
def test_devices_that_go_move_only_what_is_above_the_new_bound(
    names: list[DeviceId], pods: list[str], epsilon: float, data: st.DataObject
) -> None:
    before = assign(names, pods, epsilon=epsilon)
    left = sorted(data.draw(st.sets(st.sampled_from(names)))) if names else []
    after = assign(left, pods, before, epsilon)
    rest = {shard: [d for d in theirs if d in set(left)] for shard, theirs in before.items()}
    assert len(moved(before, after)) == overflow(rest, load_bound(len(left), len(pods), epsilon))


@unhurried
@given(st.lists(st.integers(1, 9), min_size=2, max_size=8), devices)
def test_any_history_of_shard_counts_ends_balanced_and_whole(
    counts: list[int], names: list[DeviceId]
) -> None:
    shares: Shares | None = None
    for count in counts:
        shares = assign(names, shard_names(count), shares)
        assert sorted(where(shares)) == sorted(names)
        assert max(map(len, shares.values())) <= load_bound(len(names), count)


def test_ten_thousand_devices_on_twenty_shards_take_well_under_a_second() -> None:
    names = [DeviceId(f"router-{number:05d}") for number in range(10_000)]
    began = time.process_time()
    before = assign(names, shard_names(20))
    after = assign(names, shard_names(21), before)
    assert time.process_time() - began < 1.0
    assert max(map(len, before.values())) <= 550
    assert min(map(len, before.values())) >= 400
    # Close to the least that a new shard needs, and no shard starves.
    bound = load_bound(10_000, 21)
    assert len(moved(before, after)) <= 477 + overflow(before, bound)
    assert len(after["shard-20"]) >= 400


@pytest.mark.parametrize(
    ("names", "pods", "epsilon", "message"),
    [
        (["a", "a"], ["s"], 0.1, "device names must be unique; twice or more: a"),
        (["a"], ["s", "s"], 0.1, "shard names must be unique"),
        (["a", "b"], [], 0.1, "2 devices and no shard"),
        (["a"], ["s"], -0.1, "epsilon -0.1 is negative"),
    ],
)
def test_impossible_requests_are_refused(
    names: list[DeviceId], pods: list[str], epsilon: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        assign(names, pods, epsilon=epsilon)


def test_no_devices_and_no_shards_is_no_assignment() -> None:
    assert assign([], []) == {}
    assert assign([], ["s"]) == {"s": ()}


@pytest.mark.parametrize(
    ("spec", "count", "wanted"),
    [
        (ShardsSpec(), 0, 1),
        (ShardsSpec(min=0), 0, 0),
        (ShardsSpec(min=0), 1, 1),
        (ShardsSpec(), 1000, 1),
        (ShardsSpec(), 1001, 2),
        (ShardsSpec(max=3), 10_000, 3),
        (ShardsSpec(min=4), 10, 4),
        (ShardsSpec(replicas=0), 10, 0),
        (ShardsSpec(replicas=7), 10, 7),
        (ShardsSpec(devices_per_shard=250), 10_000, 20),
    ],
)
def test_shards_follow_the_devices_within_min_and_max(
    spec: ShardsSpec, count: int, wanted: int
) -> None:
    assert shards_wanted(spec, count) == wanted


@unhurried
@given(devices, shards, shards)
def test_records_change_their_revision_only_with_their_devices(
    names: list[DeviceId], pods: list[str], other: list[str]
) -> None:
    before = assign(names, pods)
    first = assignment_records(NORTH, before, [])
    assert {record.revision for record in first} == {0}
    again = assignment_records(NORTH, before, first)
    assert sorted(again, key=Assignment.key) == sorted(first, key=Assignment.key)

    after = assign(names, other, before)
    second = {record.shard: record for record in assignment_records(NORTH, after, first)}
    old = {record.shard: record for record in first}
    assert {shard: record.devices for shard, record in second.items()} == after
    for shard, record in second.items():
        if shard in old and old[shard].devices == record.devices:
            assert record == old[shard]
        else:
            assert record.revision == 1


@unhurried
@given(devices, shards, shards)
def test_written_in_order_no_device_has_two_shards_at_any_moment(
    names: list[DeviceId], pods: list[str], other: list[str]
) -> None:
    before = assign(names, pods)
    first = assignment_records(NORTH, before, [])
    after = assign(names, other, before)
    standing = {r.shard: r.devices for r in first if r.shard in after}
    for record in assignment_records(NORTH, after, first):
        standing[record.shard] = record.devices
        polled = [device for theirs in standing.values() for device in theirs]
        if not overflow(before, load_bound(len(names), len(other))):
            assert len(polled) == len(set(polled))
    assert sorted(device for theirs in standing.values() for device in theirs) == sorted(names)
