"""One poll of one device: which commands go out, and what their answers mean.

At most three rounds, each one write and one interleaved answer:
 1. what is due (almost always the only round);
 2. inventory and firmware, when round 1 shows a reboot or another set of interfaces;
 3. what needs names from an inventory: link rates, radios and their clients.
"""

from collections.abc import Iterable, Mapping
from typing import Final, assert_never

from fleet_common.fleet_spec import CadenceSpec
from fleet_contracts.subjects import Kind
from fleet_poller import menus
from fleet_poller.events import inventory_message
from fleet_poller.memory import DeviceMemory, InterfaceSet, raw_identities
from fleet_poller.parse.counters import CounterTable, read_counters
from fleet_poller.parse.interfaces import (
    identify,
    link_times,
    parse_counters,
    parse_descriptions,
    raw_links,
)
from fleet_poller.parse.inventory import parse_firmware, parse_inventory
from fleet_poller.parse.system import parse_cores, parse_health, parse_resource
from fleet_poller.parse.wireless import parse_wireless
from fleet_poller.radios import find_radios
from fleet_poller.readings import (
    Counters,
    FirmwareReading,
    HealthReading,
    InterfacesReading,
    InventoryReading,
    LinkTimes,
    Package,
    PollReadings,
    Resource,
    WirelessReading,
)
from fleet_poller.routeros.commands import Answer, Command, Reply, Trap
from fleet_poller.routeros.errors import CommandRefusedError, ProtocolViolatedError
from fleet_poller.routeros.session import RouterSession
from fleet_poller.routeros.wire import Attributes

_REQUIRED: Final = frozenset({"/system/resource/print", "/interface/print"})
_NOTHING: Final[Attributes] = {}
# A kind is not given from a part of these: what one of them would have said is not absent.
_NEEDED: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.HEALTH: (menus.HEALTH.path, menus.CORES.path),
    Kind.FIRMWARE: (menus.PACKAGE_UPDATE.path, menus.ROUTERBOARD.path),
    Kind.INVENTORY: (menus.IDENTITY.path, menus.ROUTERBOARD.path, menus.LICENSE.path),
}


async def read_device(
    session: RouterSession,
    memory: DeviceMemory,
    cadence: CadenceSpec,
    slot_ms: int,
    deadline: float,
) -> PollReadings:
    """Read what is due at this slot, before `deadline` (event-loop time).

    A kind of which a part was refused for a reason that may pass is left out, and due
    again at the next slot. Updates `memory` only when the whole poll succeeds, except for
    refused menus. Raises a RouterError.
    """
    poll = _Poll(memory, memory.due(cadence, slot_ms), slot_ms)
    while commands := poll.next_round():
        poll.take(commands, await session.exchange(commands, deadline))
    return poll.finish()


class _Poll:
    """The rounds of one poll. Pure: commands out, answers in."""

    def __init__(self, memory: DeviceMemory, due: set[Kind], slot_ms: int) -> None:
        self._memory = memory
        self._due = due
        self._slot_ms = slot_ms
        self._round = 0
        self._rows: dict[str, list[Attributes]] = {}
        self._table: CounterTable | None = None
        self._resource: Resource | None = None
        self._rebooted = False
        self._forbidden: list[str] = []
        self._refused: dict[str, str] = {}
        self._left_alone: list[str] = []
        self._wireless = memory.wireless
        self._look_again = memory.look_for_radios
        self._looking = Kind.INVENTORY in due or (self._look_again and Kind.WIRELESS in due)

    # --- rounds ----------------------------------------------------------------------

    def next_round(self) -> list[Command]:
        """The commands of the next round; empty when the poll is complete."""
        self._round += 1
        match self._round:
            case 1:
                wanted = list(self._first())
            case 2:
                wanted = list(self._after_change())
                if not wanted:
                    return self.next_round()
            case 3 if self._looking:
                wanted = list(self._by_name())
            case _:
                return []
        return [command for command in wanted if self._memory.may_ask(command, self._slot_ms)]

    def take(self, commands: list[Command], answers: list[Answer]) -> None:
        """Keep a round's rows; remember menus the router does not have."""
        for command, answer in zip(commands, answers, strict=True):
            match answer:
                case Reply() if command is menus.INTERFACES:
                    self._take_interfaces(answer)
                case Reply():
                    self._rows[command.path] = answer.rows
                    self._refused.pop(command.path, None)
                    self._memory.answered(command)
                case Trap() if command.path in _REQUIRED:
                    raise CommandRefusedError(f"{command.path}: {answer.message}")
                case Trap():
                    self._take_refusal(command, answer)
                case _:
                    assert_never(answer)
        if self._round == 1:
            self._look_for_change()

    def _take_refusal(self, command: Command, trap: Trap) -> None:
        memory, said = self._memory, f"{command.path}: {trap.message}"
        told = command.path in memory.absent_until_ms
        if trap.lasting:
            memory.remember_refusal(command, self._slot_ms)
            if trap.forbidden:
                self._forbidden.append(command.path)
        elif memory.may_pass(command, self._slot_ms):
            self._refused[command.path] = said
        elif not told:
            self._left_alone.append(said)

    def _take_interfaces(self, answer: Reply) -> None:
        """As columns where that is possible: the rows are alike and those of the inventory."""
        known = self._memory.interfaces
        if known is not None and len(known.ids) == len(answer.sentences):
            self._table = read_counters(answer.sentences)
        if self._table is None:
            self._rows[menus.INTERFACES.path] = answer.rows

    def _first(self) -> Iterable[Command]:
        due, setup = self._due, self._wireless
        whole = Kind.INVENTORY in due
        yield menus.RESOURCE_WHOLE if whole or Kind.FIRMWARE in due else menus.RESOURCE
        if whole:
            yield menus.INTERFACES_WHOLE
        elif Kind.INTERFACES in due:
            yield menus.INTERFACES
        if Kind.HEALTH in due:
            yield menus.HEALTH
            if self._memory.cpu_count > 1:
                yield menus.CORES
        if Kind.WIRELESS in due and setup is not None and not self._looking:
            yield setup.menus.radios
            yield setup.menus.clients
            if setup.monitor is not None:
                yield setup.monitor
        yield from self._slow()
        if self._looking:
            yield from self._radio_menus()

    def _slow(self) -> Iterable[Command]:
        if Kind.FIRMWARE in self._due:
            yield menus.PACKAGE_UPDATE
            yield menus.ROUTERBOARD
        if Kind.INVENTORY in self._due:
            if Kind.FIRMWARE not in self._due:
                yield menus.ROUTERBOARD
            yield menus.IDENTITY
            yield menus.LICENSE

    def _radio_menus(self) -> Iterable[Command]:
        yield menus.REMOTE_CAPS
        for candidate in menus.WIRELESS:
            yield candidate.radios

    def _look_for_change(self) -> None:
        rows = self._rows["/system/resource/print"]
        if not rows:
            raise ProtocolViolatedError("/system/resource answered without a row")
        self._resource = parse_resource(rows[0])
        self._rebooted = self._memory.rebooted(self._resource.uptime_seconds, self._slot_ms)

    def _after_change(self) -> Iterable[Command]:
        """Inventory at once after a reboot or when interfaces came, went or were renamed."""
        if Kind.INVENTORY in self._due:
            if self._rebooted:
                self._memory.forget_refusals()
            return
        if not (self._rebooted or self._other_interfaces()):
            return
        self._table = None
        self._due = self._due | {Kind.INVENTORY}
        if self._rebooted:
            self._memory.forget_refusals()
            self._due = self._due | {Kind.FIRMWARE}
        yield menus.RESOURCE_WHOLE
        yield menus.INTERFACES_WHOLE
        yield from self._slow()
        self._looking = True
        yield from self._radio_menus()

    def _other_interfaces(self) -> bool:
        known = self._memory.interfaces
        if self._table is not None:
            return known is None or self._table.identities != known.raw
        rows = self._rows.get(menus.INTERFACES.path)
        return rows is not None and (known is None or raw_identities(rows) != known.raw)

    def _by_name(self) -> Iterable[Command]:
        if Kind.INVENTORY in self._due:
            ethernet = menus.ethernet_monitor(self._rows[menus.INTERFACES.path])
            if ethernet is not None:
                yield ethernet
        setup, settled = find_radios(self._rows, self._refused, self._memory)
        self._wireless, self._look_again = setup, not settled
        resource = self._resource
        many_cores = resource is not None and (resource.cpu_count or 1) > 1
        if Kind.HEALTH in self._due and many_cores and menus.CORES.path not in self._rows:
            yield menus.CORES
        if setup is not None and Kind.WIRELESS in self._due:
            yield setup.menus.clients
            if setup.monitor is not None:
                yield setup.monitor

    # --- the readings ----------------------------------------------------------------

    def finish(self) -> PollReadings:
        """All answers are in: parse them and bring the memory up to date."""
        resource = self._resource
        if resource is None:
            raise ProtocolViolatedError("no resource was read")
        memory, omitted = self._memory, self._omitted()
        due = self._due - omitted
        inventory = self._inventory() if Kind.INVENTORY in due else None
        readings = PollReadings(
            uptime_seconds=resource.uptime_seconds,
            rebooted=self._rebooted,
            health=self._health(resource) if Kind.HEALTH in due else None,
            interfaces=self._interfaces() if Kind.INTERFACES in due else None,
            wireless=self._wireless_reading() if Kind.WIRELESS in due else None,
            firmware=self._firmware() if Kind.FIRMWARE in due else None,
            inventory=inventory,
            forbidden=tuple(self._forbidden),
            refused=tuple(self._refused.values()),
            omitted=omitted,
            left_alone=tuple(self._left_alone),
        )
        memory.wireless, memory.look_for_radios = self._wireless, self._look_again
        memory.uptime_seconds = resource.uptime_seconds
        memory.last_slot_ms = self._slot_ms
        memory.cpu_count = resource.cpu_count or memory.cpu_count
        for kind in due:
            memory.last_read_ms[kind] = self._slot_ms
        again = {Kind.INVENTORY} if menus.ETHERNET_MONITOR_PATH in self._refused else set[Kind]()
        for kind in omitted | again:
            memory.last_read_ms.pop(kind, None)
        return readings

    def _omitted(self) -> frozenset[Kind]:
        """The kinds that are due and cannot be given whole, as something was refused."""
        refused, omitted = self._refused, set[Kind]()
        if not refused:
            return frozenset()
        for kind, needed in _NEEDED.items():
            if any(path in refused for path in needed):
                omitted.add(kind)
        # Without link rates the first inventory is better than none: counters need one.
        if menus.ETHERNET_MONITOR_PATH in refused and self._memory.interfaces is not None:
            omitted.add(Kind.INVENTORY)
        if Kind.INVENTORY in omitted and self._other_interfaces():
            omitted.add(Kind.INTERFACES)  # they refer to an inventory
        setup = self._wireless
        if setup is None:
            found = not self._look_again
        else:
            needed = (setup.menus.radios, setup.menus.clients, setup.monitor)
            found = not any(one is not None and one.path in refused for one in needed)
        if not found:
            omitted.add(Kind.WIRELESS)
        return frozenset(omitted & self._due)

    def _one(self, command: Command) -> Attributes:
        rows = self._rows.get(command.path)
        return rows[0] if rows else _NOTHING

    def _health(self, resource: Resource) -> HealthReading:
        return HealthReading(
            resource,
            parse_cores(self._rows.get(menus.CORES.path, [])),
            parse_health(self._rows.get(menus.HEALTH.path, [])),
        )

    def _firmware(self) -> FirmwareReading:
        return parse_firmware(
            self._one(menus.RESOURCE), self._one(menus.PACKAGE_UPDATE), self._one(menus.ROUTERBOARD)
        )

    def _interfaces(self) -> InterfacesReading:
        """Counters of the rows that the last inventory (maybe of this poll) describes."""
        known = self._memory.interfaces
        if known is None:
            raise ProtocolViolatedError("interfaces without an inventory")
        table = self._table
        if table is not None:
            counters = Counters(known.ids, table.running, table.disabled, table.columns)
            links = table.links
        else:
            rows = self._rows[menus.INTERFACES.path]
            rows = rows if len(known.ids) == len(rows) else identify(rows)[0]
            counters = parse_counters(rows, known.ids)
            links = tuple(map(raw_links, rows))
        changes: tuple[tuple[int, LinkTimes], ...] = ()
        if links != known.links:
            changes = tuple(
                (id_, link_times(now))
                for id_, now, before in zip(known.ids, links, known.links, strict=True)
                if now != before
            )
        return InterfacesReading(counters, changes, known.revision)

    def _inventory(self) -> InventoryReading:
        all_rows = self._rows["/interface/print"]
        monitored = menus.by_name(self._rows.get(menus.ETHERNET_MONITOR_PATH, []))
        reading = parse_inventory(
            self._one(menus.IDENTITY),
            self._one(menus.RESOURCE),
            self._one(menus.ROUTERBOARD),
            self._one(menus.LICENSE),
            parse_descriptions(all_rows, monitored),
        )
        rows, ids = identify(all_rows)
        self._memory.interfaces = InterfaceSet(
            inventory_message(reading).revision,
            raw_identities(all_rows),
            tuple(ids),
            tuple(map(raw_links, rows)),
        )
        return reading

    def _wireless_reading(self) -> WirelessReading | None:
        """None where there are no radios, or none that may be read."""
        setup = self._wireless
        if setup is None:
            return None
        radios = self._rows.get(setup.menus.radios.path)
        clients = self._rows.get(setup.menus.clients.path)
        if radios is None or clients is None:
            return None
        seen = self._rows.get(setup.monitor.path, []) if setup.monitor else []
        monitored = {row.get(b"name", b""): row for row in seen}
        package = setup.menus.package
        if setup.managed_caps and package is Package.WIFI:
            package = Package.WIFI_CAPSMAN
        return parse_wireless(package, radios, monitored, clients)
