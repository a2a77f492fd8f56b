from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts.subjects import DeviceId
from fleet_poller.schedule import Schedule, latest_slot, phase_ms

NOW = 1_800_000_000_000


@given(
    interval=st.integers(200, 120_000) | st.integers(120_000, 7_200_000),
    names=st.lists(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=8, unique=True
    ),
    steps=st.lists(st.integers(0, 400_000), max_size=40),
)
def test_no_slot_is_given_twice_and_each_is_given_or_counted(
    interval: int, names: list[str], steps: list[int]
) -> None:
    schedule, now = Schedule(), NOW
    for name in names:
        schedule.add(DeviceId(name), interval, now)
    given_slots: list[tuple[DeviceId, int]] = []
    for step in steps:
        now += step
        for due in schedule.pop_due(now):
            assert due.slot_ms <= now
            assert due.slot_ms % interval == phase_ms(due.device, interval)
            given_slots.append((due.device, due.slot_ms))

    assert len(set(given_slots)) == len(given_slots)
    first = {name: _first(DeviceId(name), interval) for name in names}
    passed = sum(max(0, (now - start) // interval + 1) for start in first.values() if start <= now)
    assert len(given_slots) + schedule.missed == (passed if steps else 0)


def _first(device: DeviceId, interval: int) -> int:
    fresh = Schedule()
    fresh.add(device, interval, NOW)
    start = fresh.next_ms()
    assert start is not None
    return start


@given(
    interval=st.integers(200, 120_000) | st.integers(120_000, 7_200_000),
    done_ago=st.integers(0, 600_000),
    steps=st.lists(st.integers(0, 90_000), min_size=1, max_size=30),
)
def test_a_device_taken_over_has_each_slot_after_the_last_one_once_or_named(
    interval: int, done_ago: int, steps: list[int]
) -> None:
    schedule, now, device = Schedule(), NOW, DeviceId("ap-001")
    done = latest_slot(NOW - done_ago, interval, phase_ms(device, interval))
    passed = schedule.take_over(device, interval, now, done)
    named = []
    if passed is not None:
        named = list(range(passed.first_ms, passed.last_ms + 1, interval))
        assert len(named) == passed.slots
    given_slots: list[int] = []
    for step in steps:
        given_slots += [due.slot_ms for due in schedule.pop_due(now)]
        now += step
    given_slots += [due.slot_ms for due in schedule.pop_due(now)]

    assert sorted({*named, *given_slots}) == named + given_slots
    expected = max(0, (now - done) // interval)
    assert len(named) + len(given_slots) + schedule.missed == expected
