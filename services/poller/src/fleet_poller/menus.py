"""The commands of a poll: which menus are read, with which attributes. All are shared.

`.proplist` always: a full print makes a router compute slow properties.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fleet_poller.parse.interfaces import DESCRIPTION_ATTRIBUTES, READING_ATTRIBUTES
from fleet_poller.parse.inventory import INVENTORY_RESOURCE_ATTRIBUTES
from fleet_poller.parse.scalars import text
from fleet_poller.parse.system import RESOURCE_ATTRIBUTES
from fleet_poller.parse.wireless import CLIENT_ATTRIBUTES
from fleet_poller.readings import Package
from fleet_poller.routeros.commands import Command, print_command
from fleet_poller.routeros.wire import Attributes


def _union(*groups: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))


RESOURCE: Final = print_command("/system/resource", RESOURCE_ATTRIBUTES)
RESOURCE_WHOLE: Final = print_command(
    "/system/resource", _union(RESOURCE_ATTRIBUTES, INVENTORY_RESOURCE_ATTRIBUTES)
)
CORES: Final = print_command("/system/resource/cpu", ("cpu", "load"))
# No .proplist: v6 has one attribute per sensor of the board, and they are what is wanted.
HEALTH: Final = print_command("/system/health")
INTERFACES: Final = print_command("/interface", READING_ATTRIBUTES)
INTERFACES_WHOLE: Final = print_command(
    "/interface", _union(READING_ATTRIBUTES, DESCRIPTION_ATTRIBUTES)
)
IDENTITY: Final = print_command("/system/identity", ("name",))
ROUTERBOARD: Final = print_command(
    "/system/routerboard",
    (
        "routerboard",
        "model",
        "serial-number",
        "current-firmware",
        "upgrade-firmware",
        "factory-firmware",
    ),
)
LICENSE: Final = print_command("/system/license", ("nlevel", "level"))
# Only what the router knows already: check-for-updates would make every router call out.
PACKAGE_UPDATE: Final = print_command(
    "/system/package/update", ("channel", "installed-version", "latest-version")
)
ETHERNET_MONITOR_PATH: Final = "/interface/ethernet/monitor"
REMOTE_CAPS: Final = print_command("/interface/wifi/capsman/remote-cap", (".id",))


@dataclass(frozen=True, slots=True)
class WirelessMenus:
    """The menus of one wireless package. `monitor` is None where rows say what it would."""

    package: Package
    radios: Command
    clients: Command
    monitor: str | None


def _wireless(package: Package, menu: str, radios: Sequence[str]) -> WirelessMenus:
    return WirelessMenus(
        package,
        print_command(menu, (".id", "name", "running", "disabled", *radios)),
        print_command(f"{menu}/registration-table", CLIENT_ATTRIBUTES),
        f"{menu}/monitor",
    )


_WIFI_RADIO: Final = ("configuration.ssid", "channel.band", "channel.frequency")

WIRELESS: Final = (
    _wireless(Package.WIFI, "/interface/wifi", _WIFI_RADIO),
    _wireless(Package.WIFIWAVE2, "/interface/wifiwave2", _WIFI_RADIO),
    # Before the local radios: one managed by CAPsMAN shows its clients there only.
    WirelessMenus(
        Package.CAPSMAN,
        print_command(
            "/caps-man/interface",
            (
                ".id",
                "name",
                "running",
                "disabled",
                "current-channel",
                "current-registered-clients",
                "configuration.ssid",
            ),
        ),
        print_command("/caps-man/registration-table", CLIENT_ATTRIBUTES),
        None,
    ),
    _wireless(
        Package.WIRELESS,
        "/interface/wireless",
        ("ssid", "band", "frequency", "channel-width"),
    ),
)
"""In the order of preference; the first with radios is the device's package."""


def monitor_once(path: str, rows: Sequence[Attributes]) -> Command | None:
    """One reading of `monitor` for the interfaces of `rows`; None when there are none.

    Named as RouterOS' clients do, by `.id` where a name holds the separator.
    """
    items = [
        row.get(b".id", name) if b"," in name else name
        for row in rows
        if (name := row.get(b"name"))
    ]
    if not items:
        return None
    return Command(path, (b"=numbers=" + b",".join(items), b"=once="))


def ethernet_monitor(interfaces: Sequence[Attributes]) -> Command | None:
    """The link rates of all Ethernet ports, from the rows of `/interface`."""
    ports = [row for row in interfaces if row.get(b"type") == b"ether"]
    return monitor_once(ETHERNET_MONITOR_PATH, ports)


def by_name(rows: Sequence[Attributes]) -> dict[str, Attributes]:
    """Rows by their `name`."""
    return {text(row.get(b"name")): row for row in rows}
