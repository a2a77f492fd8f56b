"""/ip and /ipv6 tables about the neighbourhood: ARP, neighbours, cloud, DNS, services, pools."""

from collections.abc import Mapping, Sequence

from fleet_simulator.tables import CommandResult, Row
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import (
    FALSE,
    TRUE,
    boolean,
    date_time,
    duration,
    item_id,
    mac_address,
    number,
)
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus.bridging import bridge_of
from fleet_simulator.world.menus.conditions import has_ipv6, v7
from fleet_simulator.world.noise import mix, pick, smooth
from fleet_simulator.world.personality import Role

_SERVICES = (
    (b"telnet", b"23", False), (b"ftp", b"21", False), (b"www", b"80", False),
    (b"ssh", b"22", True), (b"www-ssl", b"443", False), (b"api", b"8728", True),
    (b"winbox", b"8291", True), (b"api-ssl", b"8729", True),
)  # fmt: skip
_BOARDS = (b"CRS326-24G-2S+", b"RB5009UG+S+", b"hAP ax^3", b"cAP ac", b"RB4011iGS+")
_MAX_SESSIONS_SINCE = (7, 10, 0)


def neighbor_rows(device: Device, now: float) -> Sequence[Row]:
    """Routers nearby, found by MNDP, CDP and LLDP; one pads its identity with zero bytes."""
    boot = device.booted(now)
    rows: list[Row] = []
    for each in device.interfaces:
        if each.role not in {Role.ACCESS, Role.UPLINK} or mix(each.seed, 31) % 3:
            continue
        if not each.link(now, boot).running:
            continue
        bits = mix(each.seed, 32)
        identity = b"sw-%03d" % (bits % 60)
        if bits % 17 == 0:
            identity += b"\x00\x00\x00\x00"
        row = {
            b".id": item_id(len(rows) + 1),
            b"interface": each.name if each.master is None else b"%s,%s" % (each.name, each.master),
            b"address": b"10.%d.0.%d" % (device.seed & 0xFF, 20 + bits % 200),
            b"mac-address": mac_address(bits >> 8),
            b"identity": identity,
            b"platform": b"MikroTik",
            b"version": device.release.text.encode() + b" (" + device.channel.encode() + b")",
            b"unpack": b"none",
            b"age": duration(now % 60),
            b"uptime": duration(now - boot + 3600 * (bits % 500)),
            b"software-id": b"",
            b"board": pick(bits, 1, _BOARDS),
            b"interface-name": b"bridge/ether%d" % (1 + bits % 8),
            b"system-description": b"MikroTik RouterOS",
            b"system-caps": b"bridge,router",
            b"system-caps-enabled": b"bridge,router",
        }
        if v7(device):
            row[b"discovered-by"] = b"cdp,lldp,mndp"
        rows.append(row)
    return rows


def arp_rows(device: Device, now: float) -> Sequence[Row]:
    """Addresses the router talks to."""
    bridge = bridge_of(device).name
    count = round(4 + 10 * device.activity.level(now) * (1 + device.seed % 3))
    rows: list[Row] = []
    for place in range(count):
        bits = mix(device.seed, 0xA490 + place)
        row = {
            b".id": item_id(place + 1),
            b"address": b"192.168.88.%d" % (20 + place),
            b"mac-address": mac_address(bits, 0xDCA632),
            b"interface": bridge,
            b"published": FALSE,
            b"invalid": FALSE,
            b"DHCP": boolean(place % 3 != 0),
            b"dynamic": TRUE,
            b"complete": TRUE,
            b"disabled": FALSE,
        }
        if v7(device):
            row[b"status"] = b"reachable" if bits & 1 else b"stale"
        rows.append(row)
    return rows


def cloud_rows(device: Device, now: float) -> Sequence[Row]:
    """MikroTik's dynamic DNS: half of the routers use it."""
    enabled = device.seed >> 9 & 1 == 1 and device.board.model is not None
    row = {b"ddns-enabled": boolean(enabled), b"ddns-update-interval": b"none"}
    row[b"update-time"] = TRUE
    if enabled:
        row |= {
            b"public-address": b"198.51.100.%d" % (1 + device.seed % 250),
            b"dns-name": b"%012x.sn.mynetname.net" % (device.seed & 0xFFFF_FFFF_FFFF),
            b"status": b"updated",
        }
    _ = now
    return [row]


def dns_rows(device: Device, now: float) -> Sequence[Row]:
    """Resolver settings and the cache's fill."""
    row = {
        b"servers": b"1.1.1.1,9.9.9.9",
        b"dynamic-servers": b"",
        b"use-doh-server": b"",
        b"verify-doh-cert": FALSE,
        b"allow-remote-requests": boolean(device.personality.kind != "sw"),
        b"max-udp-packet-size": b"4096",
        b"query-server-timeout": b"2s",
        b"query-total-timeout": b"10s",
        b"max-concurrent-queries": b"100",
        b"max-concurrent-tcp-sessions": b"20",
        b"cache-size": b"2048",
        b"cache-max-ttl": b"1w",
        b"cache-used": b"%d" % (40 + 600 * device.activity.level(now)),
    }
    return [row]


def service_rows(device: Device, _now: float) -> Sequence[Row]:
    """Services and their ports; `max-sessions` in newer versions."""
    rows: list[Row] = []
    for place, (name, port, enabled) in enumerate(_SERVICES):
        row = {b".id": item_id(place), b"name": name, b"port": port, b"address": b""}
        if name in {b"www-ssl", b"api-ssl"}:
            row |= {b"certificate": b"none", b"tls-version": b"any"}
        if v7(device):
            row[b"vrf"] = b"main"
        if device.release.triple >= _MAX_SESSIONS_SINCE:
            row[b"max-sessions"] = b"20"
        row |= {b"invalid": FALSE, b"disabled": boolean(not enabled)}
        rows.append(row)
    return rows


def pool_rows(device: Device, now: float) -> Sequence[Row]:
    """Address pools; v7 prints how full they are."""
    if not serves_dhcp(device):
        return []
    row = {
        b".id": item_id(1),
        b"name": b"default-dhcp",
        b"ranges": b"192.168.88.10-192.168.88.254",
    }
    if v7(device):
        used = len(pool_used_rows(device, now))
        row |= {
            b"total": b"245",
            b"used": number(used),
            b"available": number(245 - used),
        }
    return [row]


def pool_used_rows(device: Device, now: float) -> Sequence[Row]:
    """Addresses in use."""
    if not serves_dhcp(device):
        return []
    return [
        {
            b"pool": b"default-dhcp",
            b"address": b"192.168.88.%d" % (20 + place),
            b"owner": b"DHCP",
            b"info": mac_address(mix(device.seed, 0xA490 + place), 0xDCA632),
        }
        for place in range(bound_leases(device, now))
    ]


def serves_dhcp(device: Device) -> bool:
    """Whether this router hands out addresses."""
    return device.personality.kind in {"rtr", "lte", "cap", "core"}


def bound_leases(device: Device, now: float) -> int:
    """How many of the router's DHCP clients are there."""
    wander = smooth(device.seed ^ 0xD4C9, now, 900.0)
    return round(6 + (4 + device.seed % 14) * device.activity.level(now) + 4 * wander)


def ipv6_neighbor_rows(device: Device, now: float) -> Sequence[Row]:
    """IPv6 neighbours."""
    bridge = bridge_of(device).name
    return [
        {
            b".id": item_id(place + 1),
            b"interface": bridge,
            b"address": b"fe80::%x:%x" % (bits >> 16 & 0xFFFF, bits & 0xFFFF),
            b"mac-address": mac_address(bits, 0xDCA632),
            b"status": b"reachable" if bits >> 20 & 3 else b"stale",
            b"router": FALSE,
            b"dynamic": TRUE,
        }
        for place, bits in enumerate(
            mix(device.seed, 0x6E00 + place)
            for place in range(round(2 + 4 * device.activity.level(now)))
        )
    ]


def ipv6_address_rows(device: Device, _now: float) -> Sequence[Row]:
    """Link-local addresses."""
    bits = device.seed
    return [
        {
            b".id": item_id(1),
            b"address": b"fe80::4aa9:8aff:fe%02x:%x/64" % (bits & 0xFF, bits >> 8 & 0xFFFF),
            b"from-pool": b"",
            b"interface": bridge_of(device).name,
            b"actual-interface": bridge_of(device).name,
            b"advertise": FALSE,
            b"dynamic": TRUE,
            b"invalid": FALSE,
            b"link-local": TRUE,
            b"disabled": FALSE,
        }
    ]


def empty_rows(_device: Device, _now: float) -> Sequence[Row]:
    """A table nothing was added to."""
    return []


def certificate_rows(device: Device, _now: float) -> Sequence[Row]:
    """The certificate of some routers' API, valid for two years."""
    if device.seed >> 13 & 3:
        return []
    begin = device.started - 86_400.0 * (30 + device.seed % 600)
    end = begin + 730 * 86_400.0
    major = device.release.major
    return [
        {
            b".id": item_id(1),
            b"name": b"api",
            b"digest-algorithm": b"sha256",
            b"key-type": b"rsa",
            b"common-name": device.name.encode(),
            b"key-size": b"2048",
            b"days-valid": b"730",
            b"trusted": TRUE,
            b"fingerprint": b"%064x" % (mix(device.seed, 41) ** 4),
            b"invalid-before": date_time(begin, major),
            b"invalid-after": date_time(end, major),
            b"expires-after": duration(max(end - device.started, 0)),
            b"private-key": TRUE,
            b"expired": FALSE,
        }
    ]


def cloud_update(_device: Device, _arguments: Mapping[bytes, bytes], _now: float) -> CommandResult:
    """Ask for an update of the public address; nothing to answer."""
    return CommandResult()


MENUS = (
    MenuSpec("/ip/neighbor", neighbor_rows),
    MenuSpec("/ip/arp", arp_rows),
    MenuSpec("/ip/cloud", cloud_rows, actions={"force-update": cloud_update}),
    MenuSpec("/ip/dns", dns_rows),
    MenuSpec("/ip/service", service_rows),
    MenuSpec("/ip/pool", pool_rows),
    MenuSpec("/ip/pool/used", pool_used_rows),
    MenuSpec("/ipv6/neighbor", ipv6_neighbor_rows, has_ipv6),
    MenuSpec("/ipv6/address", ipv6_address_rows, has_ipv6),
    MenuSpec("/ipv6/pool", empty_rows, has_ipv6),
    MenuSpec("/ipv6/pool/used", empty_rows, has_ipv6),
    MenuSpec("/certificate", certificate_rows),
)
