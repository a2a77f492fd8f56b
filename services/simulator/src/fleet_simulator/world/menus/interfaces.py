"""/interface: every interface with its link and counters."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from fleet_simulator.tables import CommandResult, Row, TrapError
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, TRUE, date_time, item_id, number
from fleet_simulator.world.interface import Interface, Printed
from fleet_simulator.world.items import positions, selector
from fleet_simulator.world.menu import Action, MenuSpec
from fleet_simulator.world.personality import Role
from fleet_simulator.world.written import truth

_FAST_PATH = 0.96
_DAY = 86_400.0
_ERROR_BYTES, _BAD_ERROR_BYTES = 4e11, 3e8
"""Bytes per error: on a good cable, and on a bad one, whose link breaks every day, too."""
_DROP_BYTES = 9e10


def interface_rows(device: Device, now: float) -> Sequence[Row]:
    """All interfaces, in order."""
    boot = device.booted(now)
    offset, major = device.site.utc_offset, device.release.triple[0]
    return [interface_row(interface, now, boot, offset, major) for interface in device.interfaces]


def interface_row(
    interface: Interface, now: float, boot: float, offset: int, major: int
) -> dict[bytes, bytes]:
    """One row of /interface. Errors and drops grow with the traffic; packets fit the bytes."""
    running, downs, down, up = interface.link(now, boot)
    rx, tx = interface.counters(now, boot)
    rx_packet, tx_packet = rx // interface.rx_size, tx // interface.tx_size
    row = {**(interface.fixed or _fixed(interface))}
    if down is not None:
        printed = interface.went_down
        if printed is None or printed.moment != down:
            printed = interface.went_down = Printed(down, date_time(down + offset, major))
        row[b"last-link-down-time"] = printed.text
    if interface.role is not Role.IDLE:
        printed = interface.went_up
        if printed is None or printed.moment != up:
            printed = interface.went_up = Printed(up, date_time(up + offset, major))
        row[b"last-link-up-time"] = printed.text
    if rx or tx or downs:
        bad = _BAD_ERROR_BYTES if 0.0 < interface.flap_period < _DAY else _ERROR_BYTES
        counters = _FORMAT % (
            downs, rx, tx, rx_packet, tx_packet, rx / _DROP_BYTES, tx / _DROP_BYTES, rx / bad,
            rx * _FAST_PATH, tx * _FAST_PATH, rx_packet * _FAST_PATH, tx_packet * _FAST_PATH,
        )  # fmt: skip
        row |= zip(_COUNTERS, counters.split(), strict=True)
    else:
        row |= _NOTHING
    row[b"running"] = TRUE if running else FALSE
    if interface.master is not None:
        row[b"slave"] = TRUE
    row[b"disabled"] = TRUE if interface.disabled else FALSE
    if interface.comment is not None:
        row[b"comment"] = interface.comment
    return row


def _fixed(interface: Interface) -> dict[bytes, bytes]:
    """The beginning of the row, which only a new name changes; kept with the interface."""
    kind = interface.kind
    row = {b".id": item_id(interface.index), b"name": interface.name}
    if interface.default_name is not None:
        row[b"default-name"] = interface.default_name
    row[b"type"] = kind
    row[b"mtu"] = b"auto" if kind == b"bridge" else b"1500"
    row[b"actual-mtu"] = b"1500"
    row[b"l2mtu"] = b"1600" if kind in _RADIO_KINDS else b"1598"
    if interface.default_name is not None:
        row[b"max-l2mtu"] = b"9578"
    row[b"mac-address"] = interface.mac
    interface.fixed = row
    return row


_COUNTERS = (
    b"link-downs", b"rx-byte", b"tx-byte", b"rx-packet", b"tx-packet", b"rx-drop", b"tx-drop",
    b"tx-queue-drop", b"rx-error", b"tx-error",
    b"fp-rx-byte", b"fp-tx-byte", b"fp-rx-packet", b"fp-tx-packet",
)  # fmt: skip
_FORMAT = b"%d %d %d %d %d %d 0 %d %d 0 %d %d %d %d"
"""One formatting and one split cost less than twelve formattings."""

_NOTHING = dict.fromkeys(_COUNTERS, b"0")
_RADIO_KINDS = frozenset({b"wlan", b"wifi", b"cap"})


def monitor_traffic(device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
    """Rates of the interfaces named, over the last second."""
    boot = device.booted(now)
    before = max(now - 1.0, boot)
    rows: list[Row] = []
    for interface in _named(device, arguments):
        rx, tx = interface.counters(now, boot)
        rx_before, tx_before = interface.counters(before, boot)
        rx, tx = rx - rx_before, tx - tx_before
        rx_packets, tx_packets = rx // interface.rx_size, tx // interface.tx_size
        rows.append(
            {
                b"name": interface.name,
                b"rx-packets-per-second": number(rx_packets),
                b"rx-bits-per-second": number(rx * 8),
                b"fp-rx-packets-per-second": number(rx_packets * _FAST_PATH),
                b"fp-rx-bits-per-second": number(rx * 8 * _FAST_PATH),
                b"rx-drops-per-second": b"0",
                b"rx-errors-per-second": b"0",
                b"tx-packets-per-second": number(tx_packets),
                b"tx-bits-per-second": number(tx * 8),
                b"fp-tx-packets-per-second": number(tx_packets * _FAST_PATH),
                b"fp-tx-bits-per-second": number(tx * 8 * _FAST_PATH),
                b"tx-drops-per-second": b"0",
                b"tx-queue-drops-per-second": b"0",
                b"tx-errors-per-second": b"0",
            }
        )
    return CommandResult(rows)


def set_interface(device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
    """Rename, comment, enable or disable the interfaces named; all or none of it."""
    wanted = {key: value for key, value in arguments.items() if key not in _ITEM_NAMES}
    for key in wanted:
        if key not in _SETTABLE:
            raise TrapError(f"unknown parameter {key.decode('latin-1')}")
    chosen = _named(device, arguments)
    name = wanted.get(b"name")
    if name is not None:
        if not name:
            raise TrapError("invalid value for argument name", 1)
        others = [each.name for each in device.interfaces if each not in chosen]
        if name in others or len(chosen) > 1:
            raise TrapError("failure: already have interface with such name")
    disabled = truth(wanted[b"disabled"], "disabled") if b"disabled" in wanted else None
    boot = device.booted(now)
    for interface in chosen:
        if name is not None:
            _rename(device, interface, name)
        if b"comment" in wanted:
            interface.comment = wanted[b"comment"] or None
        if disabled is not None:
            if disabled == TRUE:
                interface.switch_off(now, boot)
            else:
                interface.switch_on(now, boot)
    device.last_change = now
    return CommandResult()


def _rename(device: Device, interface: Interface, name: bytes) -> None:
    for member in device.interfaces:
        if member.master == interface.name:
            member.master = name
    for table in (device.tables or {}).values():
        for entry in table.entries:
            for key in (b"interface", b"actual-interface"):
                if entry.values.get(key) == interface.name:
                    entry.values[key] = name
    interface.name = name
    interface.fixed = None


def _enable(device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
    return set_interface(device, {**arguments, b"disabled": FALSE}, now)


def _disable(device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
    return set_interface(device, {**arguments, b"disabled": TRUE}, now)


def _named(device: Device, arguments: Mapping[bytes, bytes]) -> list[Interface]:
    table = [{b".id": item_id(each.index), b"name": each.name} for each in device.interfaces]
    return [device.interfaces[place] for place in positions(table, selector(arguments))]


_ITEM_NAMES = frozenset({b".id", b"numbers"})
_SETTABLE = frozenset({b"name", b"comment", b"disabled"})

WRITES: Mapping[str, Action] = MappingProxyType(
    {"set": set_interface, "enable": _enable, "disable": _disable, "comment": set_interface}
)
"""Commands that change an interface, the same in every menu that lists some."""

MENUS = (
    MenuSpec("/interface", interface_rows, actions={"monitor-traffic": monitor_traffic, **WRITES}),
)
