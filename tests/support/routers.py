"""Hand-made routers for tests: tables with values a test can know.

For realistic devices use `fleet_simulator.world.build_fleet`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fleet_simulator.tables import CommandResult, Row, TrapError

type Rows = Sequence[Row] | Callable[[float], Sequence[Row]]

READ = frozenset({"print", "getall", "listen"})
WRITE = READ | {"add", "set", "remove", "unset", "enable", "disable", "comment"}


class FixedMenu:
    """A menu of given rows (or a function of the time), which may be written."""

    def __init__(self, rows: Rows = (), *, commands: frozenset[str] = READ) -> None:
        self.commands = commands
        self._given = rows if callable(rows) else None
        self.table: list[dict[bytes, bytes]] = [] if callable(rows) else [dict(r) for r in rows]
        self._next = 0x100

    def rows(self, now: float) -> Sequence[Row]:
        return self._given(now) if self._given is not None else self.table

    def run(self, command: str, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
        if command == "add":
            self._next += 1
            identifier = b"*%X" % self._next
            self.table.append({b".id": identifier, **arguments})
            return CommandResult(ret=identifier)
        if command.startswith("monitor"):
            return CommandResult(self._pick(arguments, now))
        picked = self._pick(arguments, now)
        changes = {k: v for k, v in arguments.items() if k not in {b".id", b"numbers"}}
        for row in picked:
            own = next(own for own in self.table if own[b".id"] == row[b".id"])
            match command:
                case "set":
                    own.update(changes)
                case "remove":
                    self.table.remove(own)
                case "enable" | "disable":
                    own[b"disabled"] = b"true" if command == "disable" else b"false"
                case "unset":
                    own.pop(arguments[b"value-name"], None)
                case _:
                    raise TrapError("no such command", category=0)
        return CommandResult()

    def _pick(self, arguments: Mapping[bytes, bytes], now: float) -> list[Row]:
        rows = self.rows(now)
        wanted = arguments.get(b".id", arguments.get(b"numbers", b"")).split(b",")
        picked = [
            row
            for index, row in enumerate(rows)
            if {b"%d" % index, row.get(b".id"), row.get(b"name")} & set(wanted)
        ]
        if not picked:
            raise TrapError("no such item", category=0)
        return picked


@dataclass
class FixedRouter:
    """A router of given menus; `admin` with the password `secret` unless told otherwise."""

    name: str = "router-1"
    tenant: str = "alpha"
    version: tuple[int, int, int] = (7, 20, 1)
    username: str = "admin"
    password: str = "secret"
    menus: dict[str, FixedMenu] = field(default_factory=dict[str, FixedMenu])
    reboots: list[float] = field(default_factory=list[float])

    def menu(self, path: str) -> FixedMenu | None:
        return self.menus.get(path)

    def reboot(self, now: float) -> None:
        self.reboots.append(now)


def interface_rows(count: int = 10) -> list[dict[bytes, bytes]]:
    """`count` Ethernet interfaces with fixed counters, as /interface/print gives them."""
    return [
        {
            b".id": b"*%X" % number,
            b"name": b"ether%d" % number,
            b"default-name": b"ether%d" % number,
            b"type": b"ether",
            b"mtu": b"1500",
            b"actual-mtu": b"1500",
            b"mac-address": b"48:8F:5A:00:00:%02X" % number,
            b"last-link-up-time": b"2026-11-20 07:14:05",
            b"link-downs": b"1",
            b"rx-byte": b"%d" % (number * 123_456_789_012),
            b"tx-byte": b"%d" % (number * 98_765_432_109),
            b"rx-packet": b"%d" % (number * 123_456_789),
            b"tx-packet": b"%d" % (number * 98_765_432),
            b"rx-drop": b"0",
            b"tx-drop": b"0",
            b"tx-queue-drop": b"12",
            b"rx-error": b"0",
            b"tx-error": b"0",
            b"running": b"true",
            b"disabled": b"false",
        }
        for number in range(1, count + 1)
    ]


def fixed_router(
    name: str = "router-1",
    *,
    tenant: str = "alpha",
    version: tuple[int, int, int] = (7, 20, 1),
    interfaces: int = 10,
) -> FixedRouter:
    """A small RB5009: identity, resource, health, interfaces, routerboard, addresses, no radio.

    Every value is the same at any time; `/ip/address` can be written.
    """
    text = ".".join(map(str, version)).encode()
    menus = {
        "/system/identity": FixedMenu([{b"name": name.encode()}]),
        "/system/resource": FixedMenu(
            [
                {
                    b"uptime": b"1w2d3h4m5s",
                    b"version": text + b" (stable)",
                    b"build-time": b"2026-10-01 08:00:00",
                    b"free-memory": b"805306368",
                    b"total-memory": b"1073741824",
                    b"cpu": b"ARM64",
                    b"cpu-count": b"4",
                    b"cpu-frequency": b"1400",
                    b"cpu-load": b"17",
                    b"free-hdd-space": b"996147200",
                    b"total-hdd-space": b"1073741824",
                    b"architecture-name": b"arm64",
                    b"board-name": b"RB5009UG+S+",
                    b"platform": b"MikroTik",
                }
            ]
        ),
        "/system/health": FixedMenu(
            [
                {b".id": b"*D", b"name": b"voltage", b"value": b"23.9", b"type": b"V"},
                {b".id": b"*E", b"name": b"temperature", b"value": b"42", b"type": b"C"},
            ]
        ),
        "/system/routerboard": FixedMenu(
            [
                {
                    b"routerboard": b"true",
                    b"model": b"RB5009UG+S+",
                    b"serial-number": b"HD0123456AB",
                    b"firmware-type": b"70x0",
                    b"factory-firmware": b"7.4.1",
                    b"current-firmware": text,
                    b"upgrade-firmware": text,
                }
            ]
        ),
        "/system/package/update": FixedMenu(
            [
                {
                    b"channel": b"stable",
                    b"installed-version": text,
                    b"latest-version": text,
                    b"status": b"System is already up to date",
                }
            ]
        ),
        "/interface": FixedMenu(interface_rows(interfaces)),
        "/interface/ethernet": FixedMenu(interface_rows(interfaces), commands=READ | {"monitor"}),
        "/interface/wifi/registration-table": FixedMenu(),
        "/ip/address": FixedMenu(
            [
                {
                    b".id": b"*1",
                    b"address": b"192.0.2.1/24",
                    b"network": b"192.0.2.0",
                    b"interface": b"ether1",
                    b"disabled": b"false",
                }
            ],
            commands=WRITE,
        ),
    }
    return FixedRouter(name, tenant, version, menus=menus)
