"""/interface/lte: the modem and its radio readings, `info` in v6 and `monitor` in v7.

Every router has the menu; without a modem it is empty.
"""

from collections.abc import Mapping, Sequence

from fleet_simulator.tables import CommandResult, Row
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, TRUE, boolean, duration, item_id, number
from fleet_simulator.world.interface import Interface
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus.conditions import v6, v7
from fleet_simulator.world.menus.ethernet import named
from fleet_simulator.world.menus.interfaces import WRITES
from fleet_simulator.world.noise import between, mix, pick, recurrence, smooth

_HOUR = 3600.0
_BANDS = (b"B3@20Mhz earfcn: 1300", b"B7@20Mhz earfcn: 3100", b"B20@10Mhz earfcn: 6300")
_OPERATORS = (b"LMT", b"Vodafone", b"O2 - CZ", "Телеком".encode())


def lte_rows(device: Device, now: float) -> Sequence[Row]:
    """The modem, where there is one."""
    boot = device.booted(now)
    rows: list[Row] = []
    for modem in (each for each in device.interfaces if each.kind == b"lte"):
        row = {
            b".id": item_id(modem.index),
            b"name": modem.name,
            b"mtu": b"1500",
            b"apn-profiles": b"default",
            b"network-mode": b"lte",
            b"allow-roaming": FALSE,
            b"band": b"",
            b"running": boolean(modem.link(now, boot).running),
            b"disabled": boolean(modem.disabled),
        }
        if modem.comment is not None:
            row[b"comment"] = modem.comment
        rows.append(row)
    return rows


def read_modem(device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
    """One reading of each modem named."""
    return CommandResult([_reading(device, each, now) for each in named(device, b"lte", arguments)])


def _reading(device: Device, modem: Interface, now: float) -> Row:
    seed = modem.seed
    boot = device.booted(now)
    # The network moves the modem to another cell and starts a new session every few hours.
    session, since = recurrence(seed, now, between(seed, 20, 4, 30) * _HOUR)
    since = max(since, boot + 25.0)
    rsrp = between(seed, 21, -112, -84) + 6.0 * (smooth(seed, now, 40.0) - 0.5)
    cell = mix(seed, session)
    row = {
        b"pin-status": b"ok",
        b"functionality": b"full",
        b"manufacturer": b"MikroTik" if v6(device) else b"Quectel",
        b"model": (device.board.cellular or "").encode(),
        b"revision": b"R11e-LTE_v024" if v6(device) else b"EG12EAPAR01A12M4G",
        b"current-operator": pick(seed, 22, _OPERATORS),
        b"lac": number(100 + seed % 900),
        b"current-cellid": number(cell & 0xFFF_FFFF),
        b"enb-id": number((cell & 0xFFF_FFFF) >> 8),
        b"sector-id": number(cell & 0xFF),
        b"phy-cellid": number(cell % 504),
        b"access-technology": b"Evolved 3G (LTE)" if v6(device) else b"LTE",
        b"session-uptime": duration(max(now - since, 0.0)),
        b"imei": b"35%013d" % (seed % 10**13),
        b"imsi": b"2470%011d" % (seed // 7 % 10**11),
        b"uicc": b"89371%015d" % (seed // 11 % 10**15),
        b"primary-band": pick(seed, session, _BANDS),
        b"cqi": number(5 + 10 * smooth(seed, now, 20.0)),
        b"ri": b"2",
        b"mcs": number(8 + 16 * smooth(seed, now + 5.0, 20.0)),
        b"rssi": number(rsrp + 29.0),
        b"rsrp": number(rsrp),
        b"rsrq": number(-8.0 - 7.0 * smooth(seed, now, 75.0)),
        b"sinr": number(2.0 + 18.0 * smooth(seed, now, 55.0)),
    }
    if v7(device):
        row = {b"status": b"connected", **row, b"registration-status": b"registered"}
    return row


def apn_rows(_device: Device, _now: float) -> Sequence[Row]:
    """The access point name profile."""
    return [
        {
            b".id": item_id(0),
            b"name": b"default",
            b"apn": b"internet",
            b"use-peer-dns": TRUE,
            b"add-default-route": TRUE,
            b"default-route-distance": b"2",
            b"authentication": b"none",
            b"default": TRUE,
        }
    ]


MENUS = (
    MenuSpec("/interface/lte", lte_rows, v6, {"info": read_modem, **WRITES}),
    MenuSpec("/interface/lte", lte_rows, v7, {"monitor": read_modem, **WRITES}),
    MenuSpec("/interface/lte/apn", apn_rows),
)
