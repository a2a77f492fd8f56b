"""CAPsMAN, the manager of access points: the legacy /caps-man and wifi's own."""

from collections.abc import Sequence

from fleet_simulator.tables import Row
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, TRUE, boolean, duration, item_id, number
from fleet_simulator.world.interface import Interface
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus.conditions import has_wifi, has_wifiwave2, has_wireless
from fleet_simulator.world.menus.radio import frequency
from fleet_simulator.world.menus.registration import joined_stations, legacy_rate
from fleet_simulator.world.noise import mix
from fleet_simulator.world.personality import Role

_BOARDS = (b"RBcAPGi-5acD2nD", b"RBD52G-5HacD2HnD", b"RBwAPG-5HacD2HnD")
_AX_BOARDS = (b"cAPGi-5HaxD2HaxD", b"C53UiG+5HPaxD2HPaxD")


def manager_rows(device: Device, _now: float) -> Sequence[Row]:
    """Whether this router manages access points."""
    enabled = device.personality.capsman != "none"
    return [
        {
            b"enabled": boolean(enabled),
            b"certificate": b"none",
            b"ca-certificate": b"none",
            b"package-path": b"",
            b"upgrade-policy": b"none",
            b"require-peer-certificate": FALSE,
        }
    ]


def registration_rows(device: Device, now: float) -> Sequence[Row]:
    """Legacy: stations on all managed access points, with the signal in each direction."""
    rows: list[Row] = []
    if device.personality.capsman != "legacy":
        return rows
    for station, cap in joined_stations(device, now, Role.REMOTE_CAP):
        signal = station.signal(now)
        traffic = station.traffic(now)
        quality = max(min(signal + 90, 45), 4)
        rows.append(
            {
                b".id": item_id(station.number + 1),
                b"interface": cap.name,
                b"ssid": b"office",
                b"mac-address": station.mac,
                b"tx-rate-set": b"CCK:1-11 OFDM:6-54 BW:1x-2x SGI:1x-2x HT:0-15",
                b"tx-rate": legacy_rate(quality, station.chains, 0),
                b"rx-rate": legacy_rate(quality, station.chains, 1),
                b"rx-signal": number(signal),
                b"uptime": duration(now - station.joined),
                b"tx-signal": number(signal - 4),
                b"bytes": b"%d,%d" % (traffic.sent, traffic.received),
                b"packets": b"%d,%d" % (traffic.sent // 940, traffic.received // 310),
            }
        )
    return rows


def legacy_remote_rows(device: Device, now: float) -> Sequence[Row]:
    """Legacy: the access points themselves."""
    return _remote_rows(device, now, "legacy")


def wifi_remote_rows(device: Device, now: float) -> Sequence[Row]:
    """wifi: the access points themselves."""
    return _remote_rows(device, now, "wifi")


def _remote_rows(device: Device, now: float, kind: str) -> Sequence[Row]:
    if device.personality.capsman != kind:
        return []
    legacy = kind == "legacy"
    rows: list[Row] = []
    for place, cap in enumerate(_caps(device)):
        address = b"10.20.%d.%d" % (device.seed & 0xFF, 10 + place)
        row = {
            b".id": item_id(0x10 + place),
            b"address": address + b"/42000" if legacy else address,
            b"identity": b"cap-%d" % (place + 1),
        }
        if legacy:
            row[b"name"] = b"[%s]" % cap.mac
        boards = _BOARDS if legacy else _AX_BOARDS
        rows.append(
            row
            | {
                b"board-name" if not legacy else b"board": boards[mix(cap.seed, 21) % len(boards)],
                b"serial": b"HG%08X" % (cap.seed & 0xFFFF_FFFF),
                b"version": device.release.text.encode(),
                b"base-mac": cap.mac,
                b"common-name": b"",
                b"state": b"Run" if legacy else b"Ok",
                b"radios": b"2",
            }
        )
    _ = now
    return rows


def interface_rows(device: Device, now: float) -> Sequence[Row]:
    """Legacy: the interfaces the manager made for its access points."""
    if device.personality.capsman != "legacy":
        return []
    boot = device.booted(now)
    counts: dict[bytes, int] = {}
    for _, cap in joined_stations(device, now, Role.REMOTE_CAP):
        counts[cap.name] = counts.get(cap.name, 0) + 1
    rows: list[Row] = []
    for cap in _caps(device):
        link = cap.link(now, boot)
        five = cap.band == "5ghz"
        row = {
            b".id": item_id(cap.index),
            b"name": cap.name,
            b"mtu": b"1500",
            b"l2mtu": b"1600",
            b"radio-mac": cap.mac,
            b"mac-address": cap.mac,
            b"master-interface": b"none",
            b"configuration": b"cfg1",
            b"current-state": b"running-ap" if link.running else b"disconnected",
            b"current-channel": b"%d/20-%s"
            % (frequency(cap, now), b"Ceee/ac(17dBm)" if five else b"Ce/gn(17dBm)"),
            b"current-registered-clients": number(counts.get(cap.name, 0)),
            b"current-authorized-clients": number(counts.get(cap.name, 0)),
            b"dynamic": TRUE,
            b"master": TRUE,
            b"bound": boolean(link.running),
            b"inactive": boolean(not link.running),
            b"running": boolean(link.running),
            b"disabled": boolean(cap.disabled),
        }
        if cap.comment is not None:
            row[b"comment"] = cap.comment
        rows.append(row)
    return rows


def _caps(device: Device) -> list[Interface]:
    return [each for each in device.interfaces if each.role is Role.REMOTE_CAP]


MENUS = (
    MenuSpec("/caps-man/manager", manager_rows, has_wireless),
    MenuSpec("/caps-man/registration-table", registration_rows, has_wireless),
    MenuSpec("/caps-man/remote-cap", legacy_remote_rows, has_wireless),
    MenuSpec("/caps-man/interface", interface_rows, has_wireless),
    MenuSpec("/interface/wifi/capsman", manager_rows, has_wifi),
    MenuSpec("/interface/wifi/capsman/remote-cap", wifi_remote_rows, has_wifi),
    MenuSpec("/interface/wifiwave2/capsman/remote-cap", wifi_remote_rows, has_wifiwave2),
)
