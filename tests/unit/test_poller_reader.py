"""What a poll makes of refusals: a trap that may pass is never a reading."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from fleet_common.fleet_spec import CadenceSpec
from fleet_contracts.subjects import Kind
from fleet_poller import menus
from fleet_poller.memory import LEFT_ALONE_MS, PASSING_MS, DeviceMemory
from fleet_poller.reader import read_device
from fleet_poller.readings import Package, PollReadings
from fleet_poller.routeros.commands import Answer, Command, Reply, Trap
from fleet_poller.routeros.errors import RouterError
from fleet_poller.routeros.wire import Attributes, SentenceDecoder, encode_sentence

SLOT = 1_800_000_000_000
MINUTE = 60_000
BUSY = Trap("action timed out - try again", None)
ABSENT = Trap("no such command prefix", 0)
EACH_POLL = {Kind.HEALTH, Kind.INTERFACES, Kind.WIRELESS}
SLOW = {Kind.INVENTORY, Kind.FIRMWARE}
WIFI = "/interface/wifi/print"
CLIENTS = "/interface/wifi/registration-table/print"
MONITOR = "/interface/wifi/monitor"


def reply(*found: Attributes) -> Reply:
    """The answer as it comes from the wire."""
    words = ([b"!re", b".tag=1", *(b"=%b=%b" % item for item in row.items())] for row in found)
    return Reply([one for row in words for one in SentenceDecoder().feed(encode_sentence(row))])


class ScriptedRouter:
    """An access point with two cores; `refusing` has the paths that it refuses, and how."""

    closed = False

    def __init__(self) -> None:
        self.refusing: dict[str, Trap] = {}
        self.asked = Counter[str]()
        self.answers: dict[str, Answer] = {
            menus.RESOURCE.path: reply(
                {b"uptime": b"1w2d3h", b"cpu-count": b"2", b"version": b"7.20.1 (stable)"}
            ),
            menus.INTERFACES.path: reply(
                {b".id": b"*1", b"name": b"ether1", b"type": b"ether", b"rx-byte": b"7"}
            ),
            menus.CORES.path: reply({b"load": b"3"}, {b"load": b"4"}),
            menus.HEALTH.path: reply({b"name": b"voltage", b"value": b"24", b"type": b"V"}),
            menus.IDENTITY.path: reply({b"name": b"core-1"}),
            menus.LICENSE.path: reply({b"nlevel": b"5"}),
            menus.ROUTERBOARD.path: reply({b"serial-number": b"HD01", b"routerboard": b"true"}),
            menus.PACKAGE_UPDATE.path: reply({b"channel": b"stable"}),
            menus.ETHERNET_MONITOR_PATH: reply(
                {b"name": b"ether1", b"status": b"link-ok", b"rate": b"1Gbps"}
            ),
            menus.REMOTE_CAPS.path: reply({b".id": b"*1"}),
            WIFI: reply({b".id": b"*2", b"name": b"wifi1", b"running": b"true"}),
            CLIENTS: reply({b"mac-address": b"02:00:00:00:00:01", b"interface": b"wifi1"}),
            MONITOR: reply({b"name": b"wifi1", b"channel": b"5180/ax"}),
        }

    async def exchange(self, commands: Sequence[Command], deadline: float) -> list[Answer]:  # noqa: ARG002 - a session's signature
        self.asked.update(command.path for command in commands)
        return [
            self.refusing.get(command.path) or self.answers.get(command.path, ABSENT)
            for command in commands
        ]

    async def log_out(self, deadline: float) -> None:
        """Nothing to do."""

    def abort(self, error: RouterError | None = None) -> None:
        """Nothing to do."""


class Poller:
    """Polls a scripted router each minute."""

    def __init__(self, cadence: CadenceSpec | None = None) -> None:
        self.router = ScriptedRouter()
        self.memory = DeviceMemory()
        self.slot_ms = SLOT - MINUTE
        self._cadence = cadence or CadenceSpec()

    def poll(self, *refused: str, after_ms: int = MINUTE) -> PollReadings:
        """The next poll, in which the router refuses these paths as busy."""
        self.slot_ms += after_ms
        self.router.refusing = dict.fromkeys(refused, BUSY)
        reading = read_device(self.router, self.memory, self._cadence, self.slot_ms, 0.0)
        return asyncio.run(reading)


def kinds(readings: PollReadings) -> set[Kind]:
    given = {
        Kind.HEALTH: readings.health,
        Kind.INTERFACES: readings.interfaces,
        Kind.WIRELESS: readings.wireless,
        Kind.FIRMWARE: readings.firmware,
        Kind.INVENTORY: readings.inventory,
    }
    return {kind for kind, reading in given.items() if reading is not None}


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        (menus.HEALTH.path, {Kind.HEALTH}),
        (menus.CORES.path, {Kind.HEALTH}),
        (menus.PACKAGE_UPDATE.path, {Kind.FIRMWARE}),
        (menus.ROUTERBOARD.path, {Kind.FIRMWARE, Kind.INVENTORY, Kind.INTERFACES}),
        (menus.IDENTITY.path, {Kind.INVENTORY, Kind.INTERFACES}),
        (menus.LICENSE.path, {Kind.INVENTORY, Kind.INTERFACES}),
        (menus.REMOTE_CAPS.path, {Kind.WIRELESS}),
        (WIFI, {Kind.WIRELESS}),
        (CLIENTS, {Kind.WIRELESS}),
        (MONITOR, {Kind.WIRELESS}),
    ],
)
def test_what_is_refused_once_leaves_its_kinds_out_until_the_next_poll(
    path: str, left_out: set[Kind]
) -> None:
    poller = Poller()
    first = poller.poll(path)

    assert kinds(first) == (EACH_POLL | SLOW) - left_out
    assert first.omitted == left_out
    assert first.refused == (f"{path}: {BUSY.message}",)
    second = poller.poll()
    assert kinds(second) == EACH_POLL | left_out, "the others are not read again before their time"
    assert second.omitted == frozenset()
    undisturbed = Poller()
    for _ in range(2):
        undisturbed.poll()
    assert poller.poll() == undisturbed.poll(), "as if nothing had been"


def test_an_inventory_that_cannot_be_read_takes_nothing_from_what_refers_to_the_last() -> None:
    poller = Poller(CadenceSpec(inventory=300))
    known = poller.poll().inventory
    for _ in range(4):
        poller.poll()
    refused = poller.poll(menus.IDENTITY.path)

    assert kinds(refused) == EACH_POLL
    assert refused.omitted == {Kind.INVENTORY}
    assert refused.interfaces is not None
    again = poller.poll()
    assert again.inventory == known
    assert again.interfaces is not None
    assert again.interfaces.inventory_revision == refused.interfaces.inventory_revision


def test_counters_wait_for_the_inventory_that_names_their_interfaces() -> None:
    poller = Poller()
    poller.poll()
    poller.router.answers[menus.INTERFACES.path] = reply({b".id": b"*9", b"name": b"ether9"})
    refused = poller.poll(menus.IDENTITY.path)

    assert refused.omitted == {Kind.INVENTORY, Kind.INTERFACES}
    assert refused.inventory is None
    assert refused.interfaces is None
    again = poller.poll()
    assert again.inventory is not None
    assert again.interfaces is not None
    assert list(again.interfaces.counters.ids) == [one.id for one in again.inventory.interfaces]


def test_what_a_reboot_makes_due_and_is_refused_is_read_with_the_next_poll() -> None:
    poller = Poller()
    poller.poll()
    poller.router.answers[menus.RESOURCE.path] = reply({b"uptime": b"5s", b"version": b"7.21"})
    rebooted = poller.poll(menus.ROUTERBOARD.path)

    assert rebooted.rebooted
    assert rebooted.omitted == SLOW
    again = poller.poll()
    assert not again.rebooted
    assert again.firmware is not None
    assert again.firmware.installed_version == "7.21"
    assert again.inventory is not None
    assert again.inventory.serial_number == "HD01"


@pytest.mark.parametrize("path", [WIFI, menus.REMOTE_CAPS.path])
def test_radios_that_are_known_stay_so_when_they_cannot_be_looked_for(path: str) -> None:
    poller = Poller(CadenceSpec(inventory=60))
    before = poller.poll().wireless
    assert before is not None
    assert before.package is Package.WIFI_CAPSMAN
    refused = poller.poll(path)

    assert Kind.INVENTORY in kinds(refused)
    assert refused.wireless in {before, None}
    assert poller.poll(menus.IDENTITY.path).wireless == before
    assert poller.poll().wireless == before


def test_radios_are_looked_for_again_before_the_next_inventory() -> None:
    poller = Poller()
    first = poller.poll(WIFI)
    assert Kind.INVENTORY in kinds(first)
    assert first.wireless is None
    second = poller.poll()

    assert Kind.INVENTORY not in kinds(second)
    assert second.wireless is not None
    assert second.wireless.radios[0].frequency_mhz == 5180
    asked = poller.router.asked[menus.REMOTE_CAPS.path]
    poller.poll()
    assert poller.router.asked[menus.REMOTE_CAPS.path] == asked, "found: not looked for any more"


def test_the_first_inventory_comes_without_link_rates_rather_than_not() -> None:
    poller = Poller()
    first = poller.poll(menus.ETHERNET_MONITOR_PATH)
    still = poller.poll(menus.ETHERNET_MONITOR_PATH)
    again = poller.poll()

    assert kinds(first) == EACH_POLL | SLOW
    assert first.inventory is not None
    assert first.inventory.interfaces[0].link_rate_bits_per_second is None
    assert still.omitted == {Kind.INVENTORY}
    assert again.inventory is not None
    assert again.inventory.interfaces[0].link_rate_bits_per_second == 1_000_000_000
    assert kinds(poller.poll()) == EACH_POLL


@pytest.mark.parametrize(
    ("path", "concerned", "retries"),
    [
        (menus.HEALTH.path, {Kind.HEALTH}, 3),
        (menus.IDENTITY.path, {Kind.INVENTORY, Kind.INTERFACES}, 1),
        (menus.ETHERNET_MONITOR_PATH, {Kind.INVENTORY}, 1),
        (WIFI, {Kind.WIRELESS}, 1),
        (CLIENTS, {Kind.WIRELESS}, 3),
    ],
)
def test_a_menu_that_always_refuses_is_left_alone_and_its_readings_go_without_it(
    path: str, concerned: set[Kind], retries: int
) -> None:
    poller = Poller()
    in_time = [poller.poll(path) for _ in range(PASSING_MS // MINUTE)]
    last = poller.poll(path)
    in_half_an_hour = [poller.poll(path) for _ in range(30)]

    for one in in_time:
        assert one.omitted <= concerned
        assert one.left_alone == ()
        assert kinds(one) >= EACH_POLL - concerned, "the other kinds are given"
    assert last.left_alone == (f"{path}: {BUSY.message}",)
    for one in (last, *in_half_an_hour):
        assert one.omitted == frozenset()
        assert kinds(one) >= EACH_POLL - {Kind.WIRELESS}
    assert not any(one.left_alone for one in in_half_an_hour), "it is told once"
    assert poller.router.asked[path] == 3 + retries


def test_known_radios_that_were_left_alone_are_read_again_when_they_answer() -> None:
    poller = Poller()
    before = poller.poll().wireless
    for _ in range(PASSING_MS // MINUTE + 1):
        assert poller.poll(WIFI).wireless is None
    assert poller.poll().wireless is None, "not asked"

    assert poller.poll(after_ms=LEFT_ALONE_MS).wireless == before


def test_a_required_command_that_is_refused_fails_the_poll() -> None:
    with pytest.raises(RouterError, match="action timed out"):
        Poller().poll(menus.INTERFACES.path)
