"""/interface/ethernet: ports, their links, modules, power and switch chips; VLANs."""

from collections.abc import Mapping, Sequence
from typing import Final

from fleet_simulator.tables import CommandResult, Row
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, TRUE, boolean, item_id, number, tenths
from fleet_simulator.world.interface import Interface
from fleet_simulator.world.items import positions, selector
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus.conditions import has_poe, has_switch_chip
from fleet_simulator.world.menus.interfaces import WRITES
from fleet_simulator.world.noise import between, pick, smooth, unit
from fleet_simulator.world.personality import Role

_RATES: Final = {
    100: b"100Mbps", 1000: b"1Gbps", 2500: b"2.5Gbps", 10_000: b"10Gbps", 25_000: b"25Gbps",
    40_000: b"40Gbps",
}  # fmt: skip
_GIGABIT = b"10M-baseT-half,10M-baseT-full,100M-baseT-half,100M-baseT-full,1G-baseT-full"
_VENDORS = (b"MikroTikls", b"FS", b"FINISAR CORP.", b"OEM")
_POE_WATTS_MOST = 14.0
_FED = 0.5


def ports(device: Device) -> list[Interface]:
    """The Ethernet ports in order."""
    return [interface for interface in device.interfaces if interface.kind == b"ether"]


def named(device: Device, kind: bytes, arguments: Mapping[bytes, bytes]) -> list[Interface]:
    """The interfaces of `kind` a monitor command names. Raises TrapError when not there."""
    chosen = [interface for interface in device.interfaces if interface.kind == kind]
    table = [{b".id": item_id(each.index), b"name": each.name} for each in chosen]
    return [chosen[place] for place in positions(table, selector(arguments))]


def ethernet_rows(device: Device, now: float) -> Sequence[Row]:
    """Ports with their settings and counters of the driver."""
    boot = device.booted(now)
    rows: list[Row] = []
    for port in ports(device):
        rx, tx = port.counters(now, boot)
        row = {
            b".id": item_id(port.index),
            b"name": port.name,
            b"default-name": port.default_name or port.name,
            b"mtu": b"1500",
            b"l2mtu": b"1598",
            b"mac-address": port.mac,
            b"orig-mac-address": port.mac,
            b"arp": b"enabled",
            b"loop-protect": b"default",
            b"auto-negotiation": TRUE,
            b"tx-flow-control": b"off",
            b"rx-flow-control": b"off",
            b"bandwidth": b"unlimited/unlimited",
            b"rx-bytes": number(rx + rx // port.rx_size * 4),
            b"tx-bytes": number(tx + tx // port.tx_size * 4),
            b"running": boolean(port.link(now, boot).running),
            b"disabled": boolean(port.disabled),
        }
        if port.master is not None:
            row[b"slave"] = TRUE
        if port.comment is not None:
            row[b"comment"] = port.comment
        rows.append(row)
    return rows


def monitor_ethernet(device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
    """One reading of each port named: link, rate, and the module where there is one.

    A module's readings come without their units (C, V, mA, dBm, nm), as the API gives them.
    """
    boot = device.booted(now)
    rows: list[Row] = []
    for port in named(device, b"ether", arguments):
        running = port.link(now, boot).running
        sfp = is_sfp(port)
        row = {b"name": port.name, b"status": b"link-ok" if running else b"no-link"}
        row[b"auto-negotiation"] = b"done" if running else b"incomplete"
        if running:
            row[b"rate"] = _RATES[port.mbps]
            row[b"full-duplex"] = TRUE
            row[b"tx-flow-control"] = row[b"rx-flow-control"] = FALSE
        if not sfp:
            row[b"advertising"] = _GIGABIT
            row[b"link-partner-advertising"] = _GIGABIT if running else b""
        else:
            row |= _module(port, now, running=running)
        rows.append(row)
    return CommandResult(rows)


def is_sfp(port: Interface) -> bool:
    """Whether the port takes a module."""
    return port.default_name is not None and port.default_name.startswith((b"sfp", b"qsfp"))


def _module(port: Interface, now: float, *, running: bool) -> dict[bytes, bytes]:
    if port.role is Role.IDLE:
        return {b"sfp-module-present": FALSE, b"sfp-rx-loss": FALSE, b"sfp-tx-fault": FALSE}
    seed = port.seed
    wander = smooth(seed, now, 900.0)
    return {
        b"sfp-module-present": TRUE,
        b"sfp-rx-loss": boolean(not running),
        b"sfp-tx-fault": FALSE,
        b"sfp-type": b"SFP/SFP+/SFP28",
        b"sfp-connector-type": b"LC",
        b"sfp-link-length-sm": b"10km",
        b"sfp-vendor-name": pick(seed, 11, _VENDORS),
        b"sfp-vendor-part-number": b"S+31DLC10D",
        b"sfp-vendor-serial": b"%010d" % (seed % 10**10),
        b"sfp-wavelength": pick(seed, 12, (b"1310", b"1550", b"850")),
        b"sfp-temperature": number(between(seed, 13, 34, 46) + 6 * wander),
        b"sfp-supply-voltage": b"3.2%02d" % (60 + 30 * wander),
        b"sfp-tx-bias-current": number(between(seed, 14, 18, 40) + 2 * wander),
        b"sfp-tx-power": _dbm(between(seed, 15, -3.5, -1.5) + 0.2 * wander),
        b"sfp-rx-power": _dbm(between(seed, 16, -9.5, -3.0) + 0.4 * wander if running else -40.0),
        b"eeprom-checksum": b"good",
    }


def _dbm(value: float) -> bytes:
    return f"{value:.3f}".encode()


def poe_rows(device: Device, _now: float) -> Sequence[Row]:
    """Ports that feed others."""
    return [
        {
            b".id": item_id(port.index),
            b"name": port.name,
            b"poe-out": b"auto-on",
            b"poe-priority": b"10",
            b"poe-voltage": b"auto",
            b"power-cycle-ping-enabled": FALSE,
            b"power-cycle-interval": b"none",
        }
        for port in ports(device)
        if port.poe_out
    ]


def monitor_poe(device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
    """One reading of each fed port named; about half of the linked ones draw power."""
    table = poe_rows(device, now)
    by_name = {port.name: port for port in ports(device)}
    boot = device.booted(now)
    rows: list[Row] = []
    for place in positions(table, selector(arguments)):
        port = by_name[table[place][b"name"]]
        row = {b"name": port.name, b"poe-out": b"auto-on"}
        linked = port.link(now, boot).running
        if linked and unit(port.seed, 17) < _FED:
            watts = between(port.seed, 18, 2.0, _POE_WATTS_MOST)
            watts *= 0.9 + 0.2 * smooth(port.seed, now, 120.0)
            row |= {
                b"poe-out-status": b"powered-on",
                b"poe-out-voltage": b"53.1",
                b"poe-out-current": number(watts / 53.1 * 1000.0),
                b"poe-out-power": tenths(watts),
            }
        else:
            row[b"poe-out-status"] = b"waiting-for-load"
        rows.append(row)
    return CommandResult(rows)


def switch_rows(device: Device, _now: float) -> Sequence[Row]:
    """The switch chip."""
    chip = (device.board.switch_chip or "").encode()
    return [{b".id": item_id(0), b"name": b"switch1", b"type": chip, b"mirror-source": b"none"}]


def switch_port_rows(device: Device, now: float) -> Sequence[Row]:
    """Ports of the switch chip with its own counters; those it keeps per CPU are comma lists."""
    boot = device.booted(now)
    rows: list[Row] = []
    for port in ports(device):
        rx, tx = port.counters(now, boot)
        rx_packets, tx_packets = rx // port.rx_size, tx // port.tx_size
        rows.append(
            {
                b".id": item_id(port.index),
                b"name": port.name,
                b"switch": b"switch1",
                b"driver-rx-byte": number(rx // 20),
                b"driver-rx-packet": number(rx_packets // 20),
                b"driver-tx-byte": number(tx // 20),
                b"driver-tx-packet": number(tx_packets // 20),
                b"rx-bytes": number(rx),
                b"rx-unicast": number(rx_packets - rx_packets // 25),
                b"rx-broadcast": number(rx_packets // 50),
                b"rx-pause": b"0",
                b"rx-multicast": number(rx_packets // 50),
                b"rx-fcs-error": b"0",
                b"rx-align-error": b"0",
                b"rx-fragment": b"0",
                b"rx-overflow": b"0",
                b"rx-drop": b"0",
                b"tx-bytes": number(tx),
                b"tx-unicast": number(tx_packets - tx_packets // 25),
                b"tx-broadcast": number(tx_packets // 50),
                b"tx-pause": b"0",
                b"tx-multicast": number(tx_packets // 50),
                b"tx-underrun": b"0",
                b"tx-collision": b"0",
                b"tx-deferred": b"0",
                b"tx-drop": b"0",
            }
        )
    return rows


MENUS = (
    MenuSpec("/interface/ethernet", ethernet_rows, actions={"monitor": monitor_ethernet, **WRITES}),
    MenuSpec("/interface/ethernet/poe", poe_rows, has_poe, {"monitor": monitor_poe}),
    MenuSpec("/interface/ethernet/switch", switch_rows, has_switch_chip),
    MenuSpec("/interface/ethernet/switch/port", switch_port_rows, has_switch_chip),
)
