"""What is there keeps its place; of what is new the oldest fleets' comes first."""

from fleet_contracts.subjects import DeviceId, TenantId
from fleet_operator.inventory_room import LeftOut, fit, marker_bytes, record_bytes

A, B = TenantId("a"), TenantId("b")
VALUE, LONGER = b"x" * 300, b"x" * 320


def records(tenant: str, count: int, value: bytes = VALUE) -> dict[str, bytes]:
    return {f"{tenant}.r{number}": value for number in range(count)}


def size(records: dict[str, bytes]) -> int:
    return sum(record_bytes(key, value) for key, value in records.items())


def test_all_of_it_is_written_where_there_is_no_bound() -> None:
    wanted = records("a", 3)
    found = fit({}, wanted, (), held_bytes=0, max_bytes=-1)
    assert found.puts == tuple(wanted)
    assert not found.left_out


def test_the_last_ones_are_left_out_by_name() -> None:
    older, younger = records("a", 10), records("b", 10)
    bound = int((size(older) + size(records("b", 4))) / 0.95) + 2
    found = fit({}, older | younger, (), held_bytes=0, max_bytes=bound)
    assert found.puts == (*older, "b.r0", "b.r1", "b.r2", "b.r3")
    (left_out,) = found.left_out.items()
    assert left_out == ("b", LeftOut(frozenset(DeviceId(f"r{number}") for number in range(4, 10))))


def test_an_older_fleet_that_grows_takes_nothing_from_a_younger_one() -> None:
    there = records("a", 5) | records("b", 5)
    wanted = records("a", 20) | records("b", 5)
    found = fit(there, wanted, (), held_bytes=size(there), max_bytes=size(there))
    assert not found.puts
    assert found.left_out[A] == LeftOut(
        frozenset(DeviceId(f"r{number}") for number in range(5, 20))
    )
    assert B not in found.left_out


def test_deleted_records_make_room_but_for_their_markers() -> None:
    there = records("a", 10)
    deletes = [f"a.r{number}" for number in range(5)]
    wanted = {key: value for key, value in there.items() if key not in deletes} | records("b", 9)
    freed = size(records("a", 5)) - sum(map(marker_bytes, deletes))
    bound = int(size(there) / 0.95) + 1
    found = fit(there, wanted, deletes, held_bytes=size(there), max_bytes=bound)
    assert len(found.puts) == freed // record_bytes("b.r0", VALUE) > 0
    assert found.left_out[B].count == 9 - len(found.puts)


def test_records_that_become_longer_have_the_last_part_of_it() -> None:
    there = records("a", 10)
    bound = int(size(there) / 0.95)  # full for new ones
    found = fit(there, records("a", 10, LONGER), (), held_bytes=size(there), max_bytes=bound)
    room = (bound - size(there)) // (len(LONGER) - len(VALUE))
    assert len(found.puts) == room > 0
    assert found.left_out[A] == LeftOut(changed=10 - room)


def test_records_that_become_shorter_make_room_for_those_that_become_longer() -> None:
    there = {"a.r0": VALUE, "b.r0": LONGER}
    wanted = {"a.r0": LONGER, "b.r0": VALUE}
    found = fit(there, wanted, (), held_bytes=size(there), max_bytes=size(there))
    assert found.puts == ("b.r0", "a.r0")
    assert not found.left_out
