"""DHCP: servers, networks, leases and the client on the way out."""

from collections.abc import Sequence

from fleet_simulator.tables import Row
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, TRUE, boolean, duration, item_id, mac_address
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus.bridging import bridge_of
from fleet_simulator.world.menus.network import bound_leases, serves_dhcp
from fleet_simulator.world.noise import mix, pick
from fleet_simulator.world.personality import Role

_LEASE_SECONDS = 600
_KNOWN = 40
_HOSTS = (
    b"DESKTOP-4F2A", b"iPhone", b"Galaxy-S23", b"printer", "Petra-\u017eidle".encode("iso8859-2"),
    b"nas", b"cam-03", b"ESP_5C1A2B", "ноутбук".encode("cp1251"), b"MacBook-Pro",
)  # fmt: skip


def server_rows(device: Device, _now: float) -> Sequence[Row]:
    """The DHCP server on the bridge."""
    if not serves_dhcp(device):
        return []
    return [
        {
            b".id": item_id(1),
            b"name": b"defconf",
            b"interface": bridge_of(device).name,
            b"lease-time": b"10m",
            b"address-pool": b"default-dhcp",
            b"authoritative": b"yes",
            b"use-radius": b"no",
            b"dynamic": FALSE,
            b"invalid": FALSE,
            b"disabled": FALSE,
        }
    ]


def network_rows(device: Device, _now: float) -> Sequence[Row]:
    """What the server tells its clients."""
    if not serves_dhcp(device):
        return []
    return [
        {
            b".id": item_id(1),
            b"address": b"192.168.88.0/24",
            b"gateway": b"192.168.88.1",
            b"dns-server": b"192.168.88.1",
            b"comment": b"defconf",
            b"dynamic": FALSE,
        }
    ]


def lease_rows(device: Device, now: float) -> Sequence[Row]:
    """Leases: those in use are bound and carry active values; a few are static and waiting."""
    if not serves_dhcp(device):
        return []
    bound = bound_leases(device, now)
    rows: list[Row] = []
    for place in range(_KNOWN):
        bits = mix(device.seed, 0xA490 + place)
        static = place % 7 == 0
        if place >= bound and not static:
            continue
        rows.append(_lease(device, place, bits, now, bound=place < bound, static=static))
    return rows


def _lease(device: Device, place: int, bits: int, now: float, *, bound: bool, static: bool) -> Row:
    address = b"192.168.88.%d" % (20 + place)
    mac = mac_address(bits, 0xDCA632)
    client = b"1:" + mac.lower()
    seen = (now + bits % _LEASE_SECONDS) % (_LEASE_SECONDS / 2)
    row = {
        b".id": item_id(place + 1),
        b"address": address,
        b"mac-address": mac,
        b"client-id": client,
        b"address-lists": b"",
        b"server": b"defconf",
        b"dhcp-option": b"",
        b"status": b"bound" if bound else b"waiting",
    }
    if bound:
        row |= {
            b"expires-after": duration(_LEASE_SECONDS - seen),
            b"last-seen": duration(seen),
            b"active-address": address,
            b"active-mac-address": mac,
            b"active-client-id": client,
            b"active-server": b"defconf",
        }
        if bits % 5:
            row[b"host-name"] = pick(bits, 2, _HOSTS)
    else:
        row[b"last-seen"] = b"never" if bits & 1 else duration(86_400 + bits % 900_000)
    row |= {
        b"radius": FALSE,
        b"dynamic": boolean(not static),
        b"blocked": FALSE,
        b"disabled": FALSE,
    }
    if static:
        row[b"comment"] = b"reserved %d" % place
    _ = device
    return row


def client_rows(device: Device, now: float) -> Sequence[Row]:
    """The DHCP client of access points, switches and LTE routers' ports."""
    if serves_dhcp(device) and device.personality.kind != "rtr":
        return []
    way = next((each for each in device.interfaces if each.role is Role.UPLINK), None)
    if way is None:
        return []
    subnet = device.seed & 0xFF
    return [
        {
            b".id": item_id(1),
            b"interface": way.name,
            b"add-default-route": b"yes",
            b"default-route-distance": b"1",
            b"use-peer-dns": TRUE,
            b"use-peer-ntp": TRUE,
            b"dhcp-options": b"hostname,clientid",
            b"status": b"bound",
            b"address": b"10.%d.0.%d/24" % (subnet, 10 + device.cell),
            b"gateway": b"10.%d.0.1" % subnet,
            b"dhcp-server": b"10.%d.0.1" % subnet,
            b"primary-dns": b"10.%d.0.1" % subnet,
            b"expires-after": duration(86_400 - (now + device.seed % 7200) % 43_200),
            b"invalid": FALSE,
            b"dynamic": FALSE,
            b"disabled": FALSE,
        }
    ]


MENUS = (
    MenuSpec("/ip/dhcp-server", server_rows),
    MenuSpec("/ip/dhcp-server/network", network_rows),
    MenuSpec("/ip/dhcp-server/lease", lease_rows),
    MenuSpec("/ip/dhcp-client", client_rows),
)
