"""Routes and routing protocols: /ip/route, BGP of both generations, OSPF, BFD."""

from collections.abc import Sequence

from fleet_simulator.tables import Row
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, TRUE, boolean, duration, item_id, number
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus.bridging import bridge_of
from fleet_simulator.world.menus.conditions import has_ipv6, v6, v7
from fleet_simulator.world.noise import between, mix, recurrence, smooth
from fleet_simulator.world.personality import Role

_DAY = 86_400.0
_PEERS = 2


def route_rows(device: Device, now: float) -> Sequence[Row]:
    """The routing table: connected, static, and what BGP and OSPF bring, with their flags."""
    subnet = device.seed & 0xFF
    gateway = b"10.%d.0.1" % subnet
    rows = [_route(device, 1, b"0.0.0.0/0", gateway, b"static", b"1")]
    for each in device.interfaces:
        if each.role is Role.VLAN:
            destination = b"10.%d.%d.0/24" % (subnet, each.tag)
            rows.append(_connected(device, len(rows) + 1, destination, each.name))
    bridge = bridge_of(device).name
    rows.append(_connected(device, len(rows) + 1, b"192.168.88.0/24", bridge))
    established = sum(up for up, _ in _sessions(device, now))
    missing = device.personality.routes - len(rows)
    for place in range(max(missing, 0)):
        bits = mix(device.seed, 0x4007 + place)
        destination = b"172.%d.%d.0/24" % (16 + place // 256, place % 256)
        if device.personality.bgp and place % 4:
            if established:
                rows.append(_route(device, 0x100 + place, destination, gateway, b"bgp", b"20"))
        elif device.personality.kind == "core" or bits & 1:
            rows.append(_route(device, 0x100 + place, destination, gateway, b"ospf", b"110"))
        else:
            rows.append(_route(device, 0x100 + place, destination, gateway, b"static", b"1"))
    return rows


def _connected(device: Device, index: int, destination: bytes, interface: bytes) -> Row:
    return _route(device, index, destination, interface, b"connect", b"0")


def _route(  # noqa: PLR0917 - what one route differs in
    device: Device, index: int, destination: bytes, gateway: bytes, origin: bytes, distance: bytes
) -> Row:
    row = {b".id": item_id(index if v6(device) else 0x8000_0000 + index)}
    row[b"dst-address"] = destination
    if v7(device):
        row[b"routing-table"] = b"main"
    row[b"gateway"] = gateway
    if v6(device):
        row[b"gateway-status"] = gateway + b" reachable"
    else:
        row[b"immediate-gw"] = gateway
    row |= {
        b"distance": distance,
        b"scope": b"10" if origin == b"connect" else b"30",
        b"target-scope": b"10",
        b"active": TRUE,
        origin: TRUE,
    }
    if origin != b"static":
        row[b"dynamic"] = TRUE
    if v7(device):
        row[b"suppress-hw-offload"] = FALSE
    row[b"disabled"] = FALSE
    return row


def _sessions(device: Device, now: float) -> list[tuple[bool, float]]:
    """For each BGP peer: established or not, and since when."""
    if not device.personality.bgp:
        return []
    boot = device.booted(now)
    found: list[tuple[bool, float]] = []
    for peer in range(_PEERS):
        seed = mix(device.seed, 0xB6 + peer)
        _, since = recurrence(seed, now, between(seed, 1, 3, 40) * _DAY)
        since = max(since, boot) + 20.0 + seed % 90
        found.append((now >= since, since))
    return found


def peer_rows(device: Device, now: float) -> Sequence[Row]:
    """BGP peers as v6 prints them."""
    rows: list[Row] = []
    for place, (up, since) in enumerate(_sessions(device, now)):
        row = {
            b".id": item_id(place),
            b"name": b"peer%d" % (place + 1),
            b"instance": b"default",
            b"remote-address": b"10.255.%d.%d" % (device.seed & 0xFF, place + 1),
            b"remote-as": number(64_512 + mix(device.seed, place) % 900),
            b"tcp-md5-key": b"",
            b"multihop": FALSE,
            b"hold-time": b"3m",
            b"ttl": b"default",
            b"address-families": b"ip",
        }
        if up:
            updates = device.grown(now, 0.02)
            row |= {
                b"remote-id": b"10.255.%d.%d" % (device.seed & 0xFF, place + 1),
                b"local-address": b"10.255.%d.254" % (device.seed & 0xFF),
                b"uptime": duration(now - since),
                b"prefix-count": number(_prefixes(device, now)),
                b"updates-sent": number(updates // 3),
                b"updates-received": number(updates),
                b"withdrawn-sent": number(updates // 40),
                b"withdrawn-received": number(updates // 9),
                b"remote-hold-time": b"3m",
                b"used-hold-time": b"3m",
                b"used-keepalive-time": b"1m",
                b"refresh-capability": TRUE,
                b"as4-capability": TRUE,
            }
        row |= {b"state": b"established" if up else b"active", b"disabled": FALSE}
        if up:
            row[b"established"] = TRUE
        rows.append(row)
    return rows


def session_rows(device: Device, now: float) -> Sequence[Row]:
    """BGP sessions as v7 prints them, names with dots; one that is not up has no row."""
    rows: list[Row] = []
    for place, (up, since) in enumerate(_sessions(device, now)):
        if not up:
            continue
        messages = device.grown(now, 0.03)
        rows.append(
            {
                b".id": item_id(0x280_0000 + place),
                b"name": b"peer%d-1" % (place + 1),
                b"remote.address": b"10.255.%d.%d" % (device.seed & 0xFF, place + 1),
                b"remote.as": number(64_512 + mix(device.seed, place) % 900),
                b"remote.id": b"10.255.%d.%d" % (device.seed & 0xFF, place + 1),
                b"remote.capabilities": b"mp,rr,as4",
                b"remote.afi": b"ip",
                b"remote.messages": number(messages),
                b"remote.bytes": number(messages * 61),
                b"remote.eor": b"",
                b"local.role": b"ebgp",
                b"local.address": b"10.255.%d.254" % (device.seed & 0xFF),
                b"local.as": b"65530",
                b"local.id": b"10.255.%d.254" % (device.seed & 0xFF),
                b"local.capabilities": b"mp,rr,as4",
                b"local.afi": b"ip",
                b"local.messages": number(messages * 2 // 3),
                b"local.bytes": number(messages * 2 // 3 * 27),
                b"local.eor": b"",
                b"output.procid": b"20",
                b"input.procid": b"20",
                b"hold-time": b"3m",
                b"keepalive-time": b"1m",
                b"uptime": duration(now - since) + b"%dms" % (now % 1 * 1000 // 10 * 10),
                b"last-started": b"",
                b"prefix-count": number(_prefixes(device, now)),
                b"established": TRUE,
            }
        )
    return rows


def connection_rows(device: Device, now: float) -> Sequence[Row]:
    """BGP connections, v7: what was configured."""
    return [
        {
            b".id": item_id(place + 1),
            b"name": b"peer%d" % (place + 1),
            b"remote.address": b"10.255.%d.%d" % (device.seed & 0xFF, place + 1),
            b"remote.as": number(64_512 + mix(device.seed, place) % 900),
            b"local.role": b"ebgp",
            b"as": b"65530",
            b"routing-table": b"main",
            b"disabled": FALSE,
        }
        for place in range(len(_sessions(device, now)))
    ]


def _prefixes(device: Device, now: float) -> int:
    return round(40 + 6 * smooth(device.seed ^ 0xB6B, now, 7200.0))


def ospf_rows(device: Device, now: float) -> Sequence[Row]:
    """OSPF neighbours of core routers."""
    if device.personality.kind != "core":
        return []
    up = now - device.booted(now) - 50.0
    if up < 0:
        return []
    subnet = device.seed & 0xFF
    row = {b".id": item_id(1)}
    if v7(device):
        row |= {b"instance": b"default", b"area": b"backbone"}
    else:
        row |= {b"instance": b"default", b"interface": bridge_of(device).name}
    return [
        row
        | {
            b"address": b"10.%d.0.1" % subnet,
            b"router-id": b"10.255.%d.1" % subnet,
            b"priority": b"128",
            b"state": b"Full",
            b"state-changes": b"6",
            b"ls-retransmits": b"0",
            b"adjacency": duration(up),
        }
    ]


def empty_rows(_device: Device, _now: float) -> Sequence[Row]:
    """A table nothing was added to."""
    return []


def process_rows(device: Device, now: float) -> Sequence[Row]:
    """Processes of v7's routing engine."""
    busy = device.grown(now, 0.004)
    return [
        {
            b".id": item_id(place + 1),
            b"tasks": tasks,
            b"private-mem-blocks": b"%dKiB" % (768 + 256 * place),
            b"shared-mem-blocks": b"0",
            b"id": identity,
            b"pid": number(140 + 3 * place),
            b"kernel-time": b"%dms" % (busy * 2),
            b"process-time": b"%dms" % busy,
            b"max-busy": b"40ms",
            b"max-calc": b"40ms",
        }
        for place, (tasks, identity) in enumerate(
            ((b"routing tables", b"main"), (b"rib", b"rib"), (b"connected networks", b"connected"))
        )
    ]


def ipv6_route_rows(device: Device, _now: float) -> Sequence[Row]:
    """The link-local route."""
    gateway = bridge_of(device).name
    return [
        {
            b".id": item_id(0x8000_0001),
            b"dst-address": b"fe80::%" + gateway + b"/64",
            b"routing-table": b"main",
            b"gateway": gateway,
            b"distance": b"0",
            b"scope": b"10",
            b"active": TRUE,
            b"dynamic": TRUE,
            b"connect": TRUE,
            b"disabled": boolean(value=False),
        }
    ]


MENUS = (
    MenuSpec("/ip/route", route_rows),
    MenuSpec("/ipv6/route", ipv6_route_rows, has_ipv6),
    MenuSpec("/routing/bgp/peer", peer_rows, v6),
    MenuSpec("/routing/bgp/session", session_rows, v7),
    MenuSpec("/routing/bgp/connection", connection_rows, v7),
    MenuSpec("/routing/ospf/neighbor", ospf_rows),
    MenuSpec("/routing/bfd/session", empty_rows, v7),
    MenuSpec("/routing/bfd/neighbor", empty_rows, v6),
    MenuSpec("/routing/stats/process", process_rows, v7),
)
