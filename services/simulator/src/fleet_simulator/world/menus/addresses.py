"""The tables commands can write: /ip/address, /ip/dns/static, /ip/firewall/address-list."""

from collections.abc import Sequence
from ipaddress import IPv4Interface, ip_network

from fleet_simulator.tables import TrapError
from fleet_simulator.world.device import Device, Entry
from fleet_simulator.world.formats import FALSE, TRUE, date_time
from fleet_simulator.world.menus.bridging import bridge_of
from fleet_simulator.world.noise import mix
from fleet_simulator.world.personality import Role
from fleet_simulator.world.written import Values, WritableTable

_WEEK, _DAY, _HOUR, _MINUTE = 604_800, 86_400, 3600, 60
_UNITS = {b"w": _WEEK, b"d": _DAY, b"h": _HOUR, b"m": _MINUTE, b"s": 1}
_VRF_SINCE = (7, 16, 0)
_HOST = 32


def _first_addresses(device: Device) -> Sequence[Values]:
    bridge = bridge_of(device).name
    subnet = device.seed & 0xFF
    if device.personality.kind in {"rtr", "lte", "cap", "core"}:
        inside: Values = {
            b"address": b"192.168.88.1/24", b"interface": bridge, b"comment": b"defconf",
        }  # fmt: skip
    else:
        inside = {b"address": b"10.%d.0.%d/24" % (subnet, 10 + device.cell), b"interface": bridge}
    rows: list[Values] = [inside]
    for each in device.interfaces:
        if each.role is Role.UPLINK and device.personality.kind in {"rtr", "core", "chr", "cap"}:
            host = mix(device.seed, 0x1B) % 200 + 2
            rows.append({b"address": b"100.64.%d.%d/30" % (subnet, host & ~3 | 2)} | {
                b"interface": each.name
            })  # fmt: skip
        elif each.role is Role.VLAN:
            rows.append(
                {b"address": b"10.%d.%d.1/24" % (subnet, each.tag), b"interface": each.name}
            )
    return rows


def _derive_address(device: Device, values: Values, others: Sequence[Values], _now: float) -> Entry:
    address = _interface_address(values.get(b"address", b""))
    text = str(address).encode()
    interface = values.get(b"interface", b"")
    found = next((each for each in device.interfaces if each.name == interface), None)
    if found is None:
        raise TrapError("input does not match any value of interface", 1)
    for other in others:
        if other[b"address"] == text and other[b"interface"] == interface:
            raise TrapError("failure: already have such address")
    network = str(address.network.network_address).encode()
    row = {
        b"address": text,
        b"network": values.get(b"network", network)
        if address.network.prefixlen == _HOST
        else network,
        b"interface": interface,
        b"actual-interface": found.master or interface,
    }
    if device.release.triple >= _VRF_SINCE:
        row[b"vrf"] = b"main"
    return _finish(row | {b"invalid": FALSE, b"dynamic": FALSE}, values)


def _interface_address(text: bytes) -> IPv4Interface:
    try:
        return IPv4Interface(text.decode("ascii"))
    except ValueError as error:
        raise TrapError("invalid value for argument address", 1) from error


def _first_names(device: Device) -> Sequence[Values]:
    if device.personality.kind not in {"rtr", "core", "lte", "cap"}:
        return []
    return [
        {b"name": b"router.lan", b"address": b"192.168.88.1", b"comment": b"defconf"},
        {b"name": b"nas.lan", b"address": b"192.168.88.%d" % (100 + device.seed % 50)},
    ]


def _derive_name(device: Device, values: Values, others: Sequence[Values], _now: float) -> Entry:
    address = _plain_address(values.get(b"address", b""))
    name = values.get(b"name", b"")
    if not name:
        raise TrapError("invalid value for argument name", 1)
    for other in others:
        if other[b"name"] == name and other[b"address"] == address:
            raise TrapError("failure: entry already exists")
    row = {b"name": name, b"address": address, b"ttl": values.get(b"ttl", b"1d")}
    _seconds(row[b"ttl"], "ttl")
    _ = device
    return _finish(row | {b"dynamic": FALSE}, values)


def _plain_address(text: bytes) -> bytes:
    address = _interface_address(text)
    if b"/" in text:
        raise TrapError("invalid value for argument address", 1)
    return str(address.ip).encode()


def _first_lists(device: Device) -> Sequence[Values]:
    if not device.personality.firewall:
        return []
    return [
        {b"list": b"management", b"address": b"10.%d.0.0/16" % (device.seed & 0xFF)},
        {b"list": b"management", b"address": b"192.168.88.0/24", b"comment": b"office"},
        {b"list": b"bogons", b"address": b"203.0.113.0/24"},
        {b"list": b"bogons", b"address": b"198.51.100.0/24"},
    ]


def _derive_list(device: Device, values: Values, others: Sequence[Values], now: float) -> Entry:
    name, address = values.get(b"list", b""), values.get(b"address", b"")
    if not name:
        raise TrapError("invalid value for argument list", 1)
    if address[:1].isdigit():
        address = _range(address)
    for other in others:
        if other[b"list"] == name and other[b"address"] == address:
            raise TrapError("failure: already have such entry")
    row = {
        b"list": name,
        b"address": address,
        b"creation-time": date_time(device.local(now), device.release.major),
    }
    timeout = _seconds(values.get(b"timeout", b"0s"), "timeout")
    row[b"dynamic"] = TRUE if timeout else FALSE
    entry = _finish(row, values)
    return Entry(entry.values, now + timeout) if timeout else entry


def _range(text: bytes) -> bytes:
    """An address, a prefix or a range, as the list keeps it: a prefix without host bits."""
    try:
        if b"-" in text:
            low, _, high = text.decode("ascii").partition("-")
            return f"{IPv4Interface(low).ip}-{IPv4Interface(high).ip}".encode()
        network = ip_network(text.decode("ascii"), strict=False)
    except ValueError as error:
        raise TrapError("invalid value for argument address", 1) from error
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address if single else network).encode()


def _seconds(text: bytes, argument: str) -> int:
    """Seconds of `1d2h3m4s`, `01:02:03` or a plain number. Raises TrapError for others."""
    if text.isdigit():
        return int(text)
    if text.count(b":") == len(b"::") and text.replace(b":", b"").isdigit():
        hours, minutes, seconds = text.split(b":")
        return int(hours) * _HOUR + int(minutes) * _MINUTE + int(seconds)
    total, digits = 0, b""
    for place in range(len(text)):
        letter = text[place : place + 1]
        if letter.isdigit():
            digits += letter
        elif letter in _UNITS and digits:
            total, digits = total + int(digits) * _UNITS[letter], b""
        else:
            raise TrapError(f"invalid value for argument {argument}", 1)
    if digits or not text:
        raise TrapError(f"invalid value for argument {argument}", 1)
    return total


def _finish(row: Values, values: Values) -> Entry:
    row[b"disabled"] = values.get(b"disabled", FALSE)
    if values.get(b"comment"):
        row[b"comment"] = values[b"comment"]
    return Entry(row)


_ADDRESSES = WritableTable(
    "/ip/address",
    _first_addresses,
    _derive_address,
    frozenset({b"address", b"interface", b"network"}),
    required=(b"address", b"interface"),
)
_NAMES = WritableTable(
    "/ip/dns/static",
    _first_names,
    _derive_name,
    frozenset({b"name", b"address", b"ttl"}),
    required=(b"name", b"address"),
)
_LISTS = WritableTable(
    "/ip/firewall/address-list",
    _first_lists,
    _derive_list,
    frozenset({b"list", b"address", b"timeout"}),
    required=(b"list", b"address"),
)
MENUS = (_ADDRESSES.spec(), _NAMES.spec(), _LISTS.spec())
