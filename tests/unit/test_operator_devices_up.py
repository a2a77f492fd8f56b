"""Devices are counted as their living shards say; only those of no living shard are read."""

from fleet_contracts.subjects import DeviceId
from fleet_operator.devices_up import Counts, Polled, polled

DEVICES = tuple(DeviceId(f"r{number}") for number in range(6))
SHARES = {"shard-0": DEVICES[:4], "shard-1": DEVICES[4:]}


def test_nothing_is_read_while_all_shards_tell() -> None:
    told = {"shard-0": Counts(3, 1), "shard-1": Counts(2, 0)}
    assert polled(DEVICES, SHARES, told, 77) == Polled(Counts(5, 1), (), 0)


def test_new_events_alone_are_no_reason_to_count_again_what_is_told() -> None:
    told = {"shard-0": Counts(4, 0), "shard-1": Counts(2, 0)}
    assert polled(DEVICES, SHARES, told, 77) == polled(DEVICES, SHARES, told, 78)


def test_the_devices_of_a_dead_shard_are_read_and_no_others() -> None:
    assert polled(DEVICES, SHARES, {"shard-0": Counts(3, 1)}, 77) == Polled(
        Counts(3, 1), DEVICES[4:], 77
    )


def test_without_shards_all_devices_are_read() -> None:
    assert polled(DEVICES, {}, {}, 77) == Polled(Counts(), DEVICES, 77)


def test_what_a_shard_without_devices_tells_covers_none() -> None:
    assert polled(DEVICES, {"shard-0": ()}, {"shard-0": Counts()}, 77) == Polled(
        Counts(), DEVICES, 77
    )
