import pytest

from fleet_common.fleet_spec import CadenceSpec
from fleet_contracts.subjects import Kind
from fleet_poller.memory import LEFT_ALONE_MS, PASSING_MS, REPROBE_MS, DeviceMemory
from fleet_poller.routeros.commands import Command, Trap

EACH_POLL = {Kind.HEALTH, Kind.INTERFACES, Kind.WIRELESS}


def test_the_first_poll_reads_everything() -> None:
    assert DeviceMemory().due(CadenceSpec(), 0) == EACH_POLL | {Kind.FIRMWARE, Kind.INVENTORY}


def test_each_kind_has_its_own_cadence() -> None:
    cadence = CadenceSpec(interval=60, health=300, firmware=3600, inventory=1800)
    memory = DeviceMemory(last_read_ms=dict.fromkeys(Kind, 0))
    due = {slot: memory.due(cadence, slot * 60_000) for slot in (1, 4, 5, 30, 60)}

    assert due[1] == due[4] == {Kind.INTERFACES, Kind.WIRELESS}
    assert due[5] == EACH_POLL
    assert due[30] == EACH_POLL | {Kind.INVENTORY}
    assert due[60] == EACH_POLL | {Kind.INVENTORY, Kind.FIRMWARE}


def test_a_cadence_that_is_no_multiple_is_rounded_to_whole_intervals() -> None:
    memory = DeviceMemory(last_read_ms=dict.fromkeys(Kind, 0))

    assert Kind.HEALTH not in memory.due(CadenceSpec(interval=60, health=100), 60_000)
    assert Kind.HEALTH in memory.due(CadenceSpec(interval=60, health=100), 120_000)


@pytest.mark.parametrize(
    ("before", "now", "elapsed_seconds", "rebooted"),
    [
        (1000, 1060, 60, False),
        (1000, 5, 60, True),
        (1000, 1000, 60, False),  # a virtual router that was paused
        (50, 300, 3600, True),  # a reboot in an outage longer than the uptime before it
        (50, 3650, 3600, False),
        (None, 5, 60, False),
        (1000, None, 60, False),
    ],
)
def test_a_reboot_shows_in_the_uptime(
    before: int | None, now: int | None, elapsed_seconds: int, *, rebooted: bool
) -> None:
    memory = DeviceMemory(uptime_seconds=before, last_slot_ms=0)

    assert memory.rebooted(now, elapsed_seconds * 1000) is rebooted


def test_a_refused_menu_is_left_alone_for_a_while_or_until_a_reboot() -> None:
    memory, command, other = DeviceMemory(), Command("/a/print"), Command("/b/print")
    memory.remember_refusal(command, 1000)

    assert not memory.may_ask(command, 1000 + REPROBE_MS - 1)
    assert memory.may_ask(command, 1000 + REPROBE_MS)
    assert memory.may_ask(other, 1001)
    memory.forget_refusals()
    assert memory.may_ask(command, 1001)


def test_a_menu_that_goes_on_refusing_counts_as_absent_for_a_while() -> None:
    memory, command = DeviceMemory(), Command("/a/print")

    assert memory.may_pass(command, 1000)
    assert memory.may_pass(command, 1000 + PASSING_MS - 1)
    assert memory.may_ask(command, 1000 + PASSING_MS)
    assert not memory.may_pass(command, 1000 + PASSING_MS)
    left_alone = 1000 + PASSING_MS + LEFT_ALONE_MS
    assert not memory.may_ask(command, left_alone - 1)
    assert memory.may_ask(command, left_alone)
    assert not memory.may_pass(command, left_alone), "it has not answered since"
    memory.answered(command)
    assert memory.may_pass(command, left_alone + 1)


HOUR_MS = 3_600_000


def test_a_clock_set_back_far_does_not_silence_the_slow_kinds() -> None:
    now = 100 * HOUR_MS
    memory = DeviceMemory(last_read_ms=dict.fromkeys(Kind, now))

    assert memory.due(CadenceSpec(), now + 60_000) == EACH_POLL
    assert memory.due(CadenceSpec(), now - 24 * HOUR_MS) == EACH_POLL | {
        Kind.FIRMWARE,
        Kind.INVENTORY,
    }


def test_a_clock_set_back_far_does_not_leave_a_refused_menu_alone_for_ever() -> None:
    now, command, other = 100 * HOUR_MS, Command("/a/print"), Command("/b/print")
    memory = DeviceMemory()
    memory.remember_refusal(command, now)
    memory.may_pass(other, now)

    assert not memory.may_ask(command, now)
    assert memory.may_ask(command, now - 1)
    assert memory.may_pass(other, now - 24 * HOUR_MS)
    assert not memory.may_pass(other, now - 24 * HOUR_MS + PASSING_MS)


@pytest.mark.parametrize(
    ("message", "lasting"),
    [
        ("no such command prefix", True),
        ("no such command or directory (wifi)", True),
        ("not enough permissions (9)", True),
        ("no such item", False),
        ("failure: busy", False),
        ("interrupted", False),
    ],
)
def test_only_refusals_that_will_come_again_are_remembered(message: str, *, lasting: bool) -> None:
    assert Trap(message, 0).lasting is lasting
