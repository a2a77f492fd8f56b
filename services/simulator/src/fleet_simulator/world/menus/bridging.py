"""Bridges, VLANs, interface lists and tunnels."""

from collections.abc import Iterator, Sequence

from fleet_simulator.tables import Row
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import (
    FALSE,
    TRUE,
    boolean,
    duration_ms,
    item_id,
    mac_address,
    number,
)
from fleet_simulator.world.interface import Interface
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus.conditions import v7
from fleet_simulator.world.menus.interfaces import WRITES
from fleet_simulator.world.noise import mix, pick
from fleet_simulator.world.personality import Role
from fleet_simulator.world.stations import VENDORS

_HOSTS_PER_PORT = 6


def vlan_rows(device: Device, now: float) -> Sequence[Row]:
    """VLAN interfaces."""
    boot = device.booted(now)
    bridge = bridge_of(device).name
    rows: list[Row] = []
    for each in _of_kind(device, b"vlan"):
        row = {
            b".id": item_id(each.index),
            b"name": each.name,
            b"mtu": b"1500",
            b"l2mtu": b"1594",
            b"mac-address": each.mac,
            b"arp": b"enabled",
            b"vlan-id": number(each.tag),
            b"interface": bridge,
            b"use-service-tag": FALSE,
            b"running": boolean(each.link(now, boot).running),
            b"disabled": boolean(each.disabled),
        }
        if each.comment is not None:
            row[b"comment"] = each.comment
        rows.append(row)
    return rows


def bridge_rows(device: Device, now: float) -> Sequence[Row]:
    """The bridge."""
    boot = device.booted(now)
    each = bridge_of(device)
    row = {
        b".id": item_id(each.index),
        b"name": each.name,
        b"mtu": b"auto",
        b"actual-mtu": b"1500",
        b"l2mtu": b"1598",
        b"arp": b"enabled",
        b"mac-address": each.mac,
        b"protocol-mode": b"rstp",
        b"fast-forward": TRUE,
        b"igmp-snooping": FALSE,
        b"auto-mac": TRUE,
        b"ageing-time": b"5m",
        b"priority": b"0x8000",
        b"vlan-filtering": boolean(device.personality.vlans > 0),
        b"dhcp-snooping": FALSE,
        b"running": boolean(each.link(now, boot).running),
        b"disabled": boolean(each.disabled),
    }
    if each.comment is not None:
        row[b"comment"] = each.comment
    return [row]


def bridge_of(device: Device) -> Interface:
    """The router's bridge: every router has one."""
    return next(each for each in device.interfaces if each.role is Role.BRIDGE)


def bridge_port_rows(device: Device, now: float) -> Sequence[Row]:
    """Members of the bridge."""
    boot = device.booted(now)
    return [
        {
            b".id": item_id(place),
            b"interface": member.name,
            b"bridge": bridge_of(device).name,
            b"priority": b"0x80",
            b"path-cost": b"10",
            b"edge": b"auto",
            b"point-to-point": b"auto",
            b"learn": b"auto",
            b"pvid": b"1",
            b"hw": TRUE,
            b"role": b"designated-port",
            b"status": b"in-bridge",
            b"forwarding": boolean(member.link(now, boot).running),
            b"inactive": boolean(not member.link(now, boot).running),
            b"dynamic": FALSE,
            b"disabled": FALSE,
        }
        for place, member in enumerate(_members(device))
    ]


def host_rows(device: Device, now: float) -> Sequence[Row]:
    """MAC addresses the bridge has learned: the router's own and those behind each port."""
    boot = device.booted(now)
    bridge = bridge_of(device)
    rows: list[Row] = []
    for member in _members(device):
        rows.append(_host(len(rows), member.mac, bridge, member, local=True))
        if not member.link(now, boot).running:
            continue
        # A station is heard or not for some minutes at a time.
        seen = int(now / (240 + member.seed % 600))
        for number_behind in range(1 + member.seed % _HOSTS_PER_PORT):
            bits = mix(member.seed, number_behind)
            if mix(bits, seen) % 5:
                mac = mac_address(bits, pick(bits, 1, VENDORS))
                row = _host(len(rows), mac, bridge, member, local=False)
                row[b"age"] = duration_ms(mix(bits, seen) % 40_000 / 1000)
                rows.append(row)
    return rows


def _host(
    place: int, mac: bytes, bridge: Interface, member: Interface, *, local: bool
) -> dict[bytes, bytes]:
    return {
        b".id": item_id(place + 1),
        b"mac-address": mac,
        b"on-interface": member.name,
        b"bridge": bridge.name,
        b"dynamic": TRUE,
        b"local": boolean(local),
        b"external": boolean(not local),
        b"invalid": FALSE,
        b"disabled": FALSE,
    }


def bridge_vlan_rows(device: Device, _now: float) -> Sequence[Row]:
    """The VLAN table of the bridge."""
    bridge = bridge_of(device).name
    trunks = b",".join([bridge, *(each.name for each in _members(device)[:2])])
    return [
        {
            b".id": item_id(place),
            b"bridge": bridge,
            b"vlan-ids": number(each.tag),
            b"tagged": trunks,
            b"untagged": b"",
            b"current-tagged": trunks,
            b"current-untagged": b"",
            b"dynamic": FALSE,
            b"disabled": FALSE,
        }
        for place, each in enumerate(_of_kind(device, b"vlan"), start=1)
    ]


def list_rows(_device: Device, _now: float) -> Sequence[Row]:
    """Interface lists: the built-in ones and the two every default configuration has."""
    builtin = (b"all", b"none", b"dynamic", b"static")
    own = (b"WAN", b"LAN")
    return [
        {b".id": item_id(0x2000000 + place), b"name": name, b"builtin": TRUE, b"dynamic": FALSE}
        for place, name in enumerate(builtin)
    ] + [
        {b".id": item_id(0x2000010 + place), b"name": name, b"builtin": FALSE, b"dynamic": FALSE}
        for place, name in enumerate(own)
    ]


def list_member_rows(device: Device, _now: float) -> Sequence[Row]:
    """WAN is the way out, LAN the bridge."""
    way = next(
        (each for each in device.interfaces if each.role in {Role.UPLINK, Role.CELLULAR}),
        device.interfaces[0],
    )
    return [
        {
            b".id": item_id(place),
            b"list": name,
            b"interface": each.name,
            b"dynamic": FALSE,
            b"disabled": FALSE,
        }
        for place, (name, each) in enumerate(((b"WAN", way), (b"LAN", bridge_of(device))), start=1)
    ]


def empty_rows(_device: Device, _now: float) -> Sequence[Row]:
    """A table nothing was added to."""
    return []


def _members(device: Device) -> list[Interface]:
    return [each for each in device.interfaces if each.master is not None]


def _of_kind(device: Device, kind: bytes) -> Iterator[Interface]:
    return (each for each in device.interfaces if each.kind == kind)


MENUS = (
    MenuSpec("/interface/vlan", vlan_rows, actions=WRITES),
    MenuSpec("/interface/bridge", bridge_rows, actions=WRITES),
    MenuSpec("/interface/bridge/port", bridge_port_rows),
    MenuSpec("/interface/bridge/host", host_rows),
    MenuSpec("/interface/bridge/vlan", bridge_vlan_rows),
    MenuSpec("/interface/list", list_rows),
    MenuSpec("/interface/list/member", list_member_rows),
    MenuSpec("/interface/eoip", empty_rows),
    MenuSpec("/interface/gre", empty_rows),
    MenuSpec("/interface/ipip", empty_rows),
    MenuSpec("/interface/pppoe-client", empty_rows),
    MenuSpec("/interface/wireguard", empty_rows, v7),
    MenuSpec("/interface/wireguard/peers", empty_rows, v7),
)
