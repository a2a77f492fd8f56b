import pytest

from fleet_contracts.subjects import DeviceId
from fleet_poller.schedule import Schedule, latest_slot, latest_start_ms, phase_ms

MINUTE = 60_000
NOW = 1_800_000_000_000


def devices(count: int) -> list[DeviceId]:
    return [DeviceId(f"ap-{number:03d}") for number in range(count)]


def test_phases_are_fixed_and_spread_over_the_interval() -> None:
    phases = [phase_ms(device, MINUTE) for device in devices(1000)]

    assert phase_ms(DeviceId("ap-014"), MINUTE) == 45_337, "every version must keep this phase"
    for tenth in range(10):
        share = sum(tenth * 6_000 <= phase < (tenth + 1) * 6_000 for phase in phases)
        assert 70 < share < 130, f"{share} of 1000 devices in one tenth of the interval"


def test_a_device_is_due_once_per_interval_at_its_phase() -> None:
    schedule, device = Schedule(), DeviceId("ap-001")
    schedule.add(device, MINUTE, NOW)
    slots = [
        due.slot_ms
        for second in range(600)
        for due in schedule.pop_due(NOW + second * 1000)
        if due.slot_ms > NOW
    ]

    assert len(slots) == 10
    assert {slot % MINUTE for slot in slots} == {phase_ms(device, MINUTE)}
    assert schedule.missed == 0


def test_a_slot_just_past_is_taken_by_a_device_that_was_just_added() -> None:
    device = DeviceId("ap-001")
    slot = latest_slot(NOW, MINUTE, phase_ms(device, MINUTE))
    soon, late = Schedule(), Schedule()
    soon.add(device, MINUTE, slot + 9_000)
    late.add(device, MINUTE, slot + 11_000)

    assert [due.slot_ms for due in soon.pop_due(slot + 9_000)] == [slot]
    assert late.pop_due(slot + 11_000) == []
    assert late.next_ms() == slot + MINUTE


def test_passed_slots_are_skipped_and_counted_not_piled_up() -> None:
    schedule, device = Schedule(), DeviceId("ap-001")
    schedule.add(device, MINUTE, NOW)
    first = schedule.next_ms()
    assert first is not None

    due = schedule.pop_due(first + 5 * MINUTE + 1)

    assert [one.slot_ms for one in due] == [first + 5 * MINUTE]
    assert schedule.missed == 5
    assert schedule.next_ms() == first + 6 * MINUTE


def test_a_slot_that_is_nearly_the_next_is_not_started() -> None:
    schedule, device = Schedule(), DeviceId("ap-001")
    schedule.add(device, MINUTE, NOW)
    first = schedule.next_ms()
    assert first is not None

    assert schedule.pop_due(first + 45_000) == []
    assert schedule.missed == 1


@pytest.mark.parametrize(
    ("interval_ms", "latest_ms"),
    [
        (1_000, 10_000),
        (20_000, 10_000),
        (30_000, 15_000),
        (MINUTE, 30_000),
        (30 * MINUTE, 30_000),
        (24 * 60 * MINUTE, 30_000),
    ],
)
def test_a_slot_may_be_late_by_half_the_interval_within_bounds(
    interval_ms: int, latest_ms: int
) -> None:
    assert latest_start_ms(interval_ms) == latest_ms


@pytest.mark.parametrize(("late_ms", "polled"), [(29_000, True), (31_000, False)])
def test_of_a_long_interval_a_slot_is_polled_half_a_minute_late_and_no_later(
    late_ms: int, *, polled: bool
) -> None:
    interval, device = 30 * MINUTE, DeviceId("ap-001")
    slot = latest_slot(NOW, interval, phase_ms(device, interval)) + interval
    schedule, taken_over = Schedule(), Schedule()
    schedule.add(device, interval, slot - 1)
    passed = taken_over.take_over(device, interval, slot + late_ms, slot - interval)

    expected = [slot] if polled else []
    assert [due.slot_ms for due in schedule.pop_due(slot + late_ms)] == expected
    assert schedule.missed == 1 - len(expected)
    assert [due.slot_ms for due in taken_over.pop_due(slot + late_ms)] == expected
    assert (passed is None) is polled
    assert taken_over.missed == 0, "it is named by take_over"
    assert schedule.next_ms() == taken_over.next_ms() == slot + interval


def test_a_removed_device_is_due_no_more_and_may_come_back() -> None:
    schedule, device = Schedule(), DeviceId("ap-001")
    schedule.add(device, MINUTE, NOW)
    schedule.remove(device)
    assert schedule.next_ms() is None
    assert schedule.pop_due(NOW + 10 * MINUTE) == []

    schedule.add(device, MINUTE, NOW + 10 * MINUTE)
    again = schedule.next_ms()
    assert again is not None
    assert NOW + 10 * MINUTE - 10_000 <= again <= NOW + 11 * MINUTE
    assert [due.slot_ms for due in schedule.pop_due(again)] == [again]


def test_another_interval_takes_effect_with_the_next_slot() -> None:
    schedule, device = Schedule(), DeviceId("ap-001")
    schedule.add(device, MINUTE, NOW)
    schedule.add(device, 10_000, NOW)
    schedule.add(device, 10_000, NOW + 1)
    slots = [due.slot_ms for second in range(61) for due in schedule.pop_due(NOW + second * 1000)]

    assert len(slots) == 6
    assert len(set(slots)) == 6


def test_a_clock_set_back_far_does_not_silence_the_fleet() -> None:
    schedule, device = Schedule(), DeviceId("ap-001")
    schedule.add(device, MINUTE, NOW)
    schedule.pop_due(NOW + MINUTE)
    an_hour_ago = NOW - 60 * MINUTE

    assert schedule.pop_due(an_hour_ago) == []
    again = schedule.next_ms()

    assert again is not None
    assert an_hour_ago < again <= an_hour_ago + MINUTE
    assert [due.slot_ms for due in schedule.pop_due(again)] == [again]


def test_a_small_step_back_gives_no_slot_twice() -> None:
    schedule, device = Schedule(), DeviceId("ap-001")
    schedule.add(device, MINUTE, NOW)
    slots = [due.slot_ms for due in schedule.pop_due(NOW + MINUTE)]
    for now in (NOW + MINUTE - 20_000, NOW + MINUTE, NOW + 2 * MINUTE):
        slots += [due.slot_ms for due in schedule.pop_due(now)]

    assert len(slots) == len(set(slots))
