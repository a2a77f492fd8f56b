"""Netwatch, users, logs, IPsec, and other tables that clients ask for."""

from collections.abc import Mapping, Sequence

from fleet_simulator.tables import CommandResult, Row, TrapError
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, TRUE, boolean, date_time, item_id, number
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus.conditions import v7
from fleet_simulator.world.noise import between, mix, moment_of, recurrence

_HOUR, _DAY = 3600.0, 86_400.0
_WATCHED = ((b"1.1.1.1", b"internet"), (b"10.0.0.1", b"gateway"), (b"192.168.88.100", b"nas"))
_OUTAGE_MOST = 900.0
_ECHOES_MOST = 100


def netwatch_rows(device: Device, now: float) -> Sequence[Row]:
    """Hosts watched: each is away for minutes every few days."""
    boot = device.booted(now)
    rows: list[Row] = []
    for place, (host, comment) in enumerate(_WATCHED, start=1):
        seed = mix(device.seed, 0x2E7 + place)
        period = between(seed, 0, 2, 12) * _DAY
        outage, down = recurrence(seed, now, period)
        up = down + between(seed ^ 1, outage, 20.0, _OUTAGE_MOST)
        since = max(up if now >= up else down, boot + 10.0)
        row = {b".id": item_id(place)}
        if v7(device):
            row |= {b"name": comment, b"type": b"simple"}
        row |= {
            b"host": host,
            b"timeout": b"1s",
            b"interval": b"1m",
            b"since": date_time(device.local(since), device.release.major),
            b"status": b"up" if now >= up else b"down",
            b"up-script": b"",
            b"down-script": b"",
            b"disabled": FALSE,
            b"comment": comment,
        }
        rows.append(row)
    return rows


def user_rows(device: Device, _now: float) -> Sequence[Row]:
    """Users: the administrator and the one that reads."""
    return [
        {
            b".id": item_id(place),
            b"name": name,
            b"group": group,
            b"address": b"",
            b"expired": FALSE,
            b"disabled": FALSE,
        }
        for place, (name, group) in enumerate(
            ((b"admin", b"full"), (device.username.encode(), b"read")), start=1
        )
    ]


def active_rows(device: Device, now: float) -> Sequence[Row]:
    """Who is logged in: whoever asks, and at times an administrator in Winbox."""
    major = device.release.major
    since = max(now - 600.0 - device.seed % 9000, device.booted(now))
    rows: list[Row] = [
        {
            b".id": item_id(1),
            b"when": date_time(device.local(since), major),
            b"name": device.username.encode(),
            b"address": b"10.0.0.9",
            b"via": b"api",
            b"group": b"read",
            b"radius": FALSE,
        }
    ]
    visit, begin = recurrence(device.seed ^ 0xAC7, now, 2 * _DAY)
    end = begin + between(device.seed ^ 0xAC8, visit, 300.0, 2 * _HOUR)
    if now < end:
        rows.append(
            {
                b".id": item_id(2),
                b"when": date_time(device.local(begin), major),
                b"name": b"admin",
                b"address": b"10.0.0.5",
                b"via": b"winbox",
                b"group": b"full",
                b"radius": FALSE,
            }
        )
    return rows


def log_rows(device: Device, now: float) -> Sequence[Row]:
    """The last log lines: link changes and the boot."""
    boot = device.booted(now)
    major = device.release.major
    events: list[tuple[float, bytes, bytes]] = [(boot, b"system,info", b"router rebooted")]
    for each in device.interfaces:
        link = each.link(now, boot)
        if link.down is not None:
            events.append((link.down, b"interface,info", each.name + b" link down"))
        if link.running and each.flap_period:
            events.append((link.up, b"interface,info", each.name + b" link up"))
    return [
        {
            b".id": item_id(place),
            b"time": date_time(device.local(moment), major),
            b"topics": topics,
            b"message": message,
        }
        for place, (moment, topics, message) in enumerate(sorted(events), start=1)
    ]


def scheduler_rows(device: Device, now: float) -> Sequence[Row]:
    """The nightly backup."""
    period = _DAY
    night = moment_of(device.seed, int(now / period), period, 0.0)
    return [
        {
            b".id": item_id(1),
            b"name": b"nightly-backup",
            b"start-date": date_time(device.started, device.release.major).split(b" ")[0],
            b"start-time": b"03:00:00",
            b"interval": b"1d",
            b"on-event": b"/system backup save name=nightly",
            b"owner": b"admin",
            b"policy": b"read,write,test",
            b"run-count": number((now - device.booted(now)) // period),
            b"next-run": date_time(night + period + 3 * _HOUR, device.release.major),
            b"disabled": boolean(device.seed & 1 == 0),
        }
    ]


def policy_rows(_device: Device, _now: float) -> Sequence[Row]:
    """The IPsec template every router has."""
    return [
        {
            b".id": item_id(0xFFFF_FFFF),
            b"template": TRUE,
            b"group": b"default",
            b"src-address": b"::/0",
            b"dst-address": b"::/0",
            b"protocol": b"all",
            b"proposal": b"default",
            b"default": TRUE,
            b"dynamic": FALSE,
            b"disabled": FALSE,
        }
    ]


def empty_rows(_device: Device, _now: float) -> Sequence[Row]:
    """A table nothing was added to."""
    return []


def ping(device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
    """`count` echoes (1 when not given, at most 100), answered at once; one in 200 is lost."""
    address, text = arguments.get(b"address", b""), arguments.get(b"count", b"1")
    if not address:
        raise TrapError("missing value(s) of argument(s) address", 1)
    if not text.isdigit() or not 1 <= int(text) <= _ECHOES_MOST:
        raise TrapError("invalid value for argument count", 1)
    rows: list[Row] = []
    times: list[int] = []
    for place in range(int(text)):
        bits = mix(device.seed ^ int.from_bytes(address[:8].ljust(8)), int(now) + place)
        row = {b"seq": number(place), b"host": address}
        if bits % 200:
            times.append(400 + bits % 1800)
            row |= {b"size": b"56", b"ttl": b"64", b"time": _microseconds(times[-1])}
        else:
            row |= {b"size": b"", b"ttl": b"", b"time": b"", b"status": b"timeout"}
        lost = 100 - 100 * len(times) // (place + 1)
        row |= {
            b"sent": number(place + 1),
            b"received": number(len(times)),
            b"packet-loss": number(lost),
        }
        if times:
            row |= {
                b"min-rtt": _microseconds(min(times)),
                b"avg-rtt": _microseconds(sum(times) // len(times)),
                b"max-rtt": _microseconds(max(times)),
            }
        rows.append(row)
    return CommandResult(rows)


def _microseconds(value: int) -> bytes:
    whole, part = divmod(value, 1000)
    return b"%dms%dus" % (whole, part) if whole else b"%dus" % part


MENUS = (
    MenuSpec("", None, actions={"ping": ping}),
    MenuSpec("/tool/netwatch", netwatch_rows),
    MenuSpec("/user", user_rows),
    MenuSpec("/user/active", active_rows),
    MenuSpec("/log", log_rows),
    MenuSpec("/system/scheduler", scheduler_rows),
    MenuSpec("/ip/ipsec/policy", policy_rows),
    MenuSpec("/ip/ipsec/active-peers", empty_rows),
    MenuSpec("/ip/kid-control/device", empty_rows),
    MenuSpec("/ip/hotspot/active", empty_rows),
    MenuSpec("/ppp/active", empty_rows),
    MenuSpec("/ppp/secret", empty_rows),
)
