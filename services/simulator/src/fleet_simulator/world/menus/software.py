"""Packages, updates, license, clock and restarts."""

from collections.abc import Mapping, Sequence
from typing import Final

from fleet_simulator.tables import CommandResult, Row, TrapError
from fleet_simulator.world.catalogue import CHANNELS, NEWEST
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import (
    FALSE,
    TRUE,
    boolean,
    date_and_time,
    date_time,
    item_id,
    number,
)
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus.conditions import WIFI_BUILT_IN, has_routerboard, v7
from fleet_simulator.world.noise import mix

_V6_PACKAGES: Final = (
    "advanced-tools", "dhcp", "hotspot", "ipv6", "mpls", "ppp", "routing", "security", "system",
    "wireless",
)  # fmt: skip
_LETTERS: Final = "0123456789ABCDEFGHIJKLMNPQRSTUVWXYZ"


def package_names(device: Device) -> list[str]:
    """The packages of this router: ten and their bundle in v6, one and the radio's in v7."""
    if not v7(device):
        bundle = "system" if device.board.model is None else device.board.architecture
        return [f"routeros-{bundle}", *_V6_PACKAGES]
    match device.personality.wireless:
        case "wireless":
            own = ["wireless"] if device.release.triple >= WIFI_BUILT_IN else []
        case "wifi":
            own = ["wifi-qcom"] if device.board.radios else []
        case "wifiwave2":
            own = ["wifiwave2"]
        case "none":
            own = []
    return ["routeros", *own]


def package_rows(device: Device, _now: float) -> Sequence[Row]:
    """Installed packages."""
    build = date_time(device.release.build, device.release.major)
    return [
        {
            b".id": item_id(place),
            b"name": name.encode(),
            b"version": device.release.text.encode(),
            b"build-time": build,
            b"scheduled": b"",
            b"disabled": boolean(name == "ipv6"),
        }
        for place, name in enumerate(package_names(device), start=1)
    ]


def update_rows(device: Device, now: float) -> Sequence[Row]:
    """The update channel; what is new only after a check since boot."""
    row = {
        b"channel": device.channel.encode(),
        b"installed-version": device.release.text.encode(),
    }
    if device.checked is None or device.checked < device.booted(now):
        return [row]
    newest = NEWEST[device.release.major, device.channel]
    fresh = newest == device.release.text
    status = "System is already up to date" if fresh else "New version is available"
    return [row | {b"latest-version": newest.encode(), b"status": status.encode()}]


def check_for_updates(
    device: Device, _arguments: Mapping[bytes, bytes], now: float
) -> CommandResult:
    """Ask MikroTik for the newest version; answers the progress and then the outcome."""
    asking = dict(update_rows(device, -1.0)[0])
    asking[b"status"] = b"finding out latest version..."
    device.checked = now
    return CommandResult([asking, *update_rows(device, now)])


def set_update(device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
    """Choose the update channel."""
    for key, value in arguments.items():
        if key != b"channel":
            raise TrapError(f"unknown parameter {key.decode('latin-1')}")
        if value not in CHANNELS:
            raise TrapError("input does not match any value of channel", 1)
        device.channel = value.decode()
    device.checked = None
    device.last_change = now
    return CommandResult()


def license_rows(device: Device, _now: float) -> Sequence[Row]:
    """A RouterBOARD's level and software id, or a CHR's level and system id."""
    if device.board.model is None:
        return [{b"system-id": _code(device, 11), b"level": device.board.license_level.encode()}]
    code = _code(device, 8)
    return [
        {
            b"software-id": code[:4] + b"-" + code[4:],
            b"nlevel": device.board.license_level.encode(),
            b"features": b"",
        }
    ]


def clock_rows(device: Device, now: float) -> Sequence[Row]:
    """Local date and time."""
    date, clock = date_and_time(device.local(now), device.release.major)
    offset = device.site.utc_offset
    sign = b"-" if offset < 0 else b"+"
    hours, minutes = divmod(abs(offset) // 60, 60)
    return [
        {
            b"time": clock,
            b"date": date,
            b"time-zone-autodetect": TRUE,
            b"time-zone-name": device.site.zone.encode(),
            b"gmt-offset": b"%s%02d:%02d" % (sign, hours, minutes),
            b"dst-active": FALSE,
        }
    ]


def reboot(device: Device, _arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
    """Restart at once; whoever serves the router closes its connections."""
    device.reboot(now)
    return CommandResult()


def history_rows(device: Device, now: float) -> Sequence[Row]:
    """How long ago the configuration was changed, as `/system/history` lists it."""
    changed = date_time(device.local(min(device.last_change, now)), device.release.major)
    return [
        {
            b".id": item_id(1),
            b"undoable": TRUE,
            b"action": b"configuration changed",
            b"by": device.username.encode(),
            b"policy": b"write",
            b"time": changed,
        }
    ]


def settings_rows(device: Device, _now: float) -> Sequence[Row]:
    """RouterBOOT settings."""
    return [
        {
            b"auto-upgrade": FALSE,
            b"cpu-frequency": number(device.board.mhz) + b"MHz",
            b"boot-device": b"nand-if-fail-then-ethernet",
            b"protected-routerboot": b"disabled",
        }
    ]


def _code(device: Device, length: int) -> bytes:
    bits = mix(device.seed, 0x11CE)
    text = ""
    while len(text) < length:
        bits, digit = divmod(bits, len(_LETTERS))
        text += _LETTERS[digit]
    return text.encode()


MENUS = (
    MenuSpec("/system/package", package_rows),
    MenuSpec(
        "/system/package/update",
        update_rows,
        actions={"check-for-updates": check_for_updates, "set": set_update},
    ),
    MenuSpec("/system/license", license_rows),
    MenuSpec("/system/clock", clock_rows),
    MenuSpec("/system/history", history_rows),
    MenuSpec("/system/routerboard/settings", settings_rows, has_routerboard),
    MenuSpec("/system", None, actions={"reboot": reboot}),
)
