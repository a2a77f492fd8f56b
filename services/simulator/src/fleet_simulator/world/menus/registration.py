"""Registration tables of the wireless packages: who is joined, how well.

The legacy package on v6 prints `bytes` from 32-bit counters: a capture of 6.19 shows 2.87 GB
for 37 million packets, 77 bytes each, which only a wrapped counter explains. All other
counters are 64 bits wide.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fleet_simulator.tables import Row
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, TRUE, duration, duration_ms, item_id, number
from fleet_simulator.world.interface import Interface
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus.conditions import has_wifi, has_wifiwave2, has_wireless, v6
from fleet_simulator.world.noise import mix
from fleet_simulator.world.personality import Role
from fleet_simulator.world.stations import Station, roster, station_seeds

_WRAP_32 = 0xFFFF_FFFF
_LEGACY_MBPS = (6.5, 13.0, 19.5, 26.0, 39.0, 52.0, 58.5, 65.0, 72.2, 86.7)
_NOISE_FLOOR = -104
_SHORT_GUARD = 8


class Joined(NamedTuple):
    """A station and the interface it is joined to."""

    station: Station
    interface: Interface


def joined_stations(device: Device, now: float, role: Role = Role.RADIO) -> Iterator[Joined]:
    """Stations on this router's radios, or on the remote access points it manages."""
    boot = device.booted(now)
    radios = [interface for interface in device.interfaces if interface.role is role]
    if not radios:
        return
    offset = device.site.utc_offset
    if role is Role.REMOTE_CAP:
        seeds = station_seeds(device.seed, len(radios))
        for cell, radio in enumerate(radios):
            if not radio.disabled:
                for station in roster(seeds, cell, offset, now, boot):
                    yield Joined(station, radio)
        return
    for station in roster(device.site.stations, device.cell, offset, now, boot):
        wanted = "5ghz" if station.prefers_5ghz else "2ghz"
        radio = next((each for each in radios if each.band == wanted), radios[0])
        if not radio.disabled:
            yield Joined(station, radio)


def wireless_rows(device: Device, now: float) -> Sequence[Row]:
    """Legacy package: signal with its rate, rates as text, CCQ."""
    if device.personality.wireless != "wireless":
        return []
    return [_wireless_row(device, joined, now) for joined in joined_stations(device, now)]


def wifi_rows(device: Device, now: float) -> Sequence[Row]:
    """wifiwave2 and wifi: bare signal, rates in bits per second, no CCQ.

    A manager lists the stations of its access points here, too.
    """
    if device.personality.wireless not in {"wifi", "wifiwave2"}:
        return []
    rows = [_wifi_row(joined, now) for joined in joined_stations(device, now)]
    if device.personality.capsman == "wifi":
        managed = joined_stations(device, now, Role.REMOTE_CAP)
        rows += [_wifi_row(joined, now) for joined in managed]
    return rows


def _wireless_row(device: Device, joined: Joined, now: float) -> Row:
    station, interface = joined
    signal = station.signal(now)
    sent, received, _, _ = station.traffic(now)
    tx_packets, rx_packets = sent // 940, received // 310
    retried = sent + sent // 8
    if v6(device):
        retried &= _WRAP_32
        sent, received = sent & _WRAP_32, received & _WRAP_32
    quality = max(min(signal + 90, 45), 4)
    bits = mix(station.seed, int(now / 15))
    row: dict[bytes, bytes] = {
        b".id": item_id(station.number + 1),
        b"interface": interface.name,
        b"mac-address": station.mac,
        b"ap": FALSE,
        b"wds": FALSE,
        b"bridge": FALSE,
        b"rx-rate": legacy_rate(quality, station.chains, bits),
        b"tx-rate": legacy_rate(quality, station.chains, bits >> 8),
        b"packets": b"%d,%d" % (tx_packets, rx_packets),
        b"bytes": b"%d,%d" % (sent, received),
        b"frames": b"%d,%d" % (tx_packets, rx_packets),
        b"frame-bytes": b"%d,%d" % (sent, received),
        b"hw-frames": b"%d,%d" % (tx_packets + tx_packets // 9, rx_packets),
        b"hw-frame-bytes": b"%d,%d" % (retried, received),
        b"tx-frames-timed-out": b"0",
        b"uptime": duration(now - station.joined),
        b"last-activity": duration_ms((bits >> 16 & 0x3FF) / 400.0),
        b"signal-strength": b"%d@%s" % (signal, b"1Mbps" if bits & 1 else b"6Mbps"),
        b"signal-to-noise": number(signal - _NOISE_FLOOR),
        b"signal-strength-ch0": number(signal - 3),
    }
    if station.chains > 1:
        row[b"signal-strength-ch1"] = number(signal - 2)
    return row | {
        b"tx-ccq": number(max(min(35 + quality * 1.5 + (bits >> 26 & 15), 100), 5)),
        b"rx-ccq": number(max(min(30 + quality * 1.4 + (bits >> 30 & 15), 100), 5)),
        b"p-throughput": number(quality * 1300),
        b"last-ip": _address(station),
        b"802.1x-port-enabled": TRUE,
        b"authentication-type": b"wpa2-psk",
        b"encryption": b"aes-ccm",
        b"group-encryption": b"aes-ccm",
        b"management-protection": FALSE,
        b"wmm-enabled": TRUE,
    }


def _wifi_row(joined: Joined, now: float) -> Row:
    station, interface = joined
    sent, received, tx_bps, rx_bps = station.traffic(now)
    signal = station.signal(now)
    quality = max(min(signal + 90, 45), 4)
    wide = interface.band == "5ghz"
    rate = quality * station.chains * (13_300_000 if wide else 6_300_000)
    return {
        b".id": item_id(station.number + 0xF0),
        b"interface": interface.name,
        b"ssid": b"office",
        b"mac-address": station.mac,
        b"uptime": duration(now - station.joined),
        b"last-activity": duration_ms((mix(station.seed, int(now)) & 0x3FF) / 400.0),
        b"signal": number(signal),
        b"tx-rate": number(rate),
        b"rx-rate": number(rate * 4 // 5),
        b"packets": b"%d,%d" % (sent // 940, received // 310),
        b"bytes": b"%d,%d" % (sent, received),
        b"tx-bits-per-second": number(tx_bps),
        b"rx-bits-per-second": number(rx_bps),
        b"band": b"5ghz-ax" if wide else b"2ghz-ax",
        b"auth-type": b"wpa3-psk" if station.seed & 1 else b"wpa2-psk",
        b"authorized": TRUE,
    }


def legacy_rate(quality: int, chains: int, bits: int) -> bytes:
    """A rate as the legacy package prints it: `72.2Mbps-20MHz/1S/SGI`, `SGI` for the two fastest.

    `quality` is decibels above -90 dBm, 4 to 45; the last of `bits` moves it by a step.
    """
    step = min(quality * len(_LEGACY_MBPS) // 46 + (bits & 1), len(_LEGACY_MBPS) - 1)
    mbps = _LEGACY_MBPS[step] * chains
    guard = b"/SGI" if step >= _SHORT_GUARD else b""
    return b"%gMbps-20MHz/%dS%s" % (mbps, chains, guard)


def _address(station: Station) -> bytes:
    return b"192.168.%d.%d" % (88 + station.number // 200 % 100, 20 + station.number % 200)


MENUS = (
    MenuSpec("/interface/wireless/registration-table", wireless_rows, has_wireless),
    MenuSpec("/interface/wifi/registration-table", wifi_rows, has_wifi),
    MenuSpec("/interface/wifiwave2/registration-table", wifi_rows, has_wifiwave2),
)
