"""Which routers have which menus: by generation, package and hardware."""

from fleet_simulator.world.device import Device

WIFI_BUILT_IN = (7, 13, 0)
"""From here on /interface/wifi belongs to the system package, and `wireless` is one of its own."""


def v6(device: Device) -> bool:
    """RouterOS 6."""
    return device.release.triple[0] < V7


def v7(device: Device) -> bool:
    """RouterOS 7."""
    return device.release.triple[0] >= V7


V7 = 7


def has_wireless(device: Device) -> bool:
    """The legacy package: in all versions to 7.12 unless wifiwave2 replaces it, later by itself."""
    if device.release.triple < WIFI_BUILT_IN:
        return device.personality.wireless != "wifiwave2"
    return device.personality.wireless == "wireless"


def has_wifi(device: Device) -> bool:
    """/interface/wifi, with or without a radio."""
    return device.release.triple >= WIFI_BUILT_IN


def has_wifiwave2(device: Device) -> bool:
    """The package that was `wifi` before 7.13."""
    return device.personality.wireless == "wifiwave2"


def has_routerboard(device: Device) -> bool:
    """MikroTik hardware: not a CHR."""
    return device.board.model is not None


def has_poe(device: Device) -> bool:
    """A port that feeds others."""
    return any(group.poe_out for group in device.board.ports)


def has_switch_chip(device: Device) -> bool:
    """A switch chip."""
    return device.board.switch_chip is not None


def has_ipv6(device: Device) -> bool:
    """IPv6: a package, disabled as delivered, in v6; built in from v7 on."""
    return v7(device)
