"""Radios: /interface/wireless, /interface/wifi and /interface/wifiwave2, and their monitor."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from fleet_simulator.tables import CommandResult, Row
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, TRUE, boolean, item_id, number
from fleet_simulator.world.interface import Interface
from fleet_simulator.world.menu import Action, MenuSpec
from fleet_simulator.world.menus.conditions import has_wifi, has_wifiwave2, has_wireless
from fleet_simulator.world.menus.ethernet import named
from fleet_simulator.world.menus.interfaces import WRITES
from fleet_simulator.world.menus.registration import Joined, joined_stations
from fleet_simulator.world.noise import pick, recurrence, smooth
from fleet_simulator.world.personality import Role

_CHANNELS_2: Final = (2412, 2437, 2462)
_CHANNELS_5: Final = (5180, 5220, 5260, 5300, 5500, 5580, 5660, 5745)
_DAY: Final = 86_400.0


def frequency(radio: Interface, now: float) -> int:
    """The channel in MHz: chosen anew every few days."""
    number_of_choice, _ = recurrence(radio.seed, now, 3 * _DAY)
    channels = _CHANNELS_5 if radio.band == "5ghz" else _CHANNELS_2
    return pick(radio.seed, number_of_choice, channels)


def noise_floor(radio: Interface, now: float) -> int:
    """Noise in dBm: worse at 2 GHz."""
    quiet = -112 if radio.band == "5ghz" else -104
    return round(quiet + 6.0 * smooth(radio.seed, now, 90.0))


def wireless_rows(device: Device, now: float) -> Sequence[Row]:
    """Radios of the legacy package."""
    boot = device.booted(now)
    rows: list[Row] = []
    for radio in _radios(device, b"wlan"):
        five = radio.band == "5ghz"
        row = {
            b".id": item_id(radio.index),
            b"name": radio.name,
            b"default-name": radio.default_name or radio.name,
            b"mtu": b"1500",
            b"l2mtu": b"1600",
            b"mac-address": radio.mac,
            b"arp": b"enabled",
            b"interface-type": b"IPQ4019",
            b"mode": b"ap-bridge",
            b"ssid": b"office",
            b"frequency": number(frequency(radio, now)),
            b"band": b"5ghz-a/n/ac" if five else b"2ghz-b/g/n",
            b"channel-width": b"20/40/80mhz-XXXX" if five else b"20/40mhz-XX",
            b"secondary-frequency": b"",
            b"scan-list": b"default",
            b"wireless-protocol": b"802.11",
            b"country": b"latvia",
            b"tx-power-mode": b"default",
            b"security-profile": b"default",
            b"compression": FALSE,
            b"running": boolean(radio.link(now, boot).running),
            b"disabled": boolean(radio.disabled),
        }
        if radio.comment is not None:
            row[b"comment"] = radio.comment
        rows.append(row)
    return rows


def monitor_wireless(device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
    """One reading of each legacy radio named."""
    clients = _clients(device, now)
    rows: list[Row] = []
    for radio in named(device, b"wlan", arguments):
        if radio.disabled:
            rows.append({b"name": radio.name, b"status": b"disabled"})
            continue
        five = radio.band == "5ghz"
        count = clients.get(radio.name, 0)
        quality = smooth(radio.seed, now, 60.0)
        row = {
            b"name": radio.name,
            b"status": b"running-ap",
            b"channel": b"%d/20-%s" % (
                frequency(radio, now), b"Ceee/ac(17dBm)" if five else b"Ce/gn(17dBm)"
            ),
            b"wireless-protocol": b"802.11",
            b"noise-floor": number(noise_floor(radio, now)),
        }  # fmt: skip
        if count:
            row[b"overall-tx-ccq"] = number(62.0 + 36.0 * quality)
        rows.append(
            row
            | {
                b"registered-clients": number(count),
                b"authenticated-clients": number(count),
                b"wmm-enabled": TRUE,
                b"current-tx-powers": b"6Mbps:17(17/20),54Mbps:17(17/20)",
                b"notify-external-fdb": FALSE,
            }
        )
    return CommandResult(rows)


def wifi_rows(device: Device, now: float) -> Sequence[Row]:
    """Radios of the wifi and wifiwave2 packages, and those managed through CAPsMAN."""
    boot = device.booted(now)
    rows: list[Row] = []
    for radio in _radios(device, b"wifi"):
        row = {b".id": item_id(radio.index)}
        if radio.default_name is not None:
            row[b"default-name"] = radio.default_name
        row |= {
            b"name": radio.name,
            b"l2mtu": b"1560",
            b"mac-address": radio.mac,
            b"arp-timeout": b"auto",
            b"radio-mac": radio.mac,
            b"configuration": b"cfg1",
            b"configuration.mode": b"ap",
            b"configuration.ssid": b"office",
            b"channel.band": b"5ghz-ax" if radio.band == "5ghz" else b"2ghz-ax",
            b"channel.frequency": number(frequency(radio, now)),
            b"channel.width": b"20/40/80mhz" if radio.band == "5ghz" else b"20/40mhz",
            b"security.authentication-types": b"wpa2-psk,wpa3-psk",
            b"master": TRUE,
            b"dynamic": boolean(radio.role is Role.REMOTE_CAP),
            b"bound": boolean(radio.link(now, boot).running),
            b"inactive": boolean(not radio.link(now, boot).running),
            b"running": boolean(radio.link(now, boot).running),
            b"disabled": boolean(radio.disabled),
        }
        if radio.comment is not None:
            row[b"comment"] = radio.comment
        rows.append(row)
    return rows


def monitor_wifi(device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
    """One reading of each wifi radio named: peers instead of clients, no noise floor."""
    clients = _clients(device, now)
    rows: list[Row] = []
    for radio in named(device, b"wifi", arguments):
        if radio.disabled:
            rows.append({b"name": radio.name, b"state": b"disabled"})
            continue
        five = radio.band == "5ghz"
        rows.append(
            {
                b"name": radio.name,
                b"state": b"running",
                b"channel": b"%d/%s" % (frequency(radio, now), b"ax/Ceee" if five else b"ax"),
                b"registered-peers": number(clients.get(radio.name, 0)),
                b"authorized-peers": number(clients.get(radio.name, 0)),
                b"tx-power": b"20" if five else b"17",
            }
        )
    return CommandResult(rows)


def security_rows(_device: Device, _now: float) -> Sequence[Row]:
    """The legacy package's security profile."""
    return [
        {
            b".id": item_id(0),
            b"name": b"default",
            b"mode": b"dynamic-keys",
            b"authentication-types": b"wpa2-psk",
            b"unicast-ciphers": b"aes-ccm",
            b"group-ciphers": b"aes-ccm",
            b"default": TRUE,
        }
    ]


def _radios(device: Device, kind: bytes) -> list[Interface]:
    return [each for each in device.interfaces if each.kind == kind]


def _clients(device: Device, now: float) -> dict[bytes, int]:
    counts: dict[bytes, int] = {}
    for role in (Role.RADIO, Role.REMOTE_CAP):
        for _, radio in _joined(device, now, role):
            counts[radio.name] = counts.get(radio.name, 0) + 1
    return counts


def _joined(device: Device, now: float, role: Role) -> list[Joined]:
    return list(joined_stations(device, now, role))


def _menu(
    path: str,
    rows: Callable[[Device, float], Sequence[Row]],
    when: Callable[[Device], bool],
    monitor: Action,
) -> MenuSpec:
    return MenuSpec(path, rows, when, {"monitor": monitor, **WRITES})


def w60g_rows(_device: Device, _now: float) -> Sequence[Row]:
    """60 GHz radios: none of these products has one."""
    return []


MENUS = (
    MenuSpec("/interface/w60g", w60g_rows, has_wireless),
    _menu("/interface/wireless", wireless_rows, has_wireless, monitor_wireless),
    _menu("/interface/wifi", wifi_rows, has_wifi, monitor_wifi),
    _menu("/interface/wifiwave2", wifi_rows, has_wifiwave2, monitor_wifi),
    MenuSpec("/interface/wireless/security-profiles", security_rows, has_wireless),
)
