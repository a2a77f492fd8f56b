"""Families of the device as a whole: reachability, load, memory, sensors, versions."""

from collections.abc import Callable
from typing import Final

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_poller.exposition.description import INVENTORY_LABELS
from fleet_poller.exposition.families import (
    Family,
    Group,
    device_info,
    device_value,
    one,
    sensor_value,
)
from fleet_poller.exposition.view import View

type _Read = Callable[[View], float | None]

_HERTZ_IN_MHZ: Final = 1_000_000
_FIRMWARE_LABELS: Final = (
    "installed_version",
    "channel",
    "latest_version",
    "architecture",
    "routerboot_current",
    "routerboot_upgrade",
    "routerboot_factory",
)


def _last_seen(view: View) -> float | None:
    return view.last_seen_ms / 1000 if view.last_seen_ms else None


def _poll_duration(view: View) -> float | None:
    return view.status.poll_duration_us / 1e6 if view.up else None


def _uptime(view: View) -> float | None:
    status = view.status.status
    return status.uptime_seconds if status.HasField("uptime_seconds") else None


def _down_reason(view: View) -> tuple[str] | None:
    status = view.status.status
    if view.up:
        return None
    return (pb.ErrorClass.Name(status.error_class).removeprefix("ERROR_CLASS_").lower(),)


def _of_health(field: str) -> _Read:
    def read(view: View) -> float | None:
        health = view.health
        return getattr(health, field) if health is not None and health.HasField(field) else None

    return read


def _ratio(field: str, whole: int) -> _Read:
    def read(view: View) -> float | None:
        health = view.health
        if health is None or not health.HasField(field):
            return None
        return getattr(health, field) / whole

    return read


def _cpu_cores(view: View) -> float | None:
    return view.description.cpu_cores if view.description is not None else None


def _cpu_frequency(view: View) -> float | None:
    if view.description is None or view.description.cpu_frequency_mhz is None:
        return None
    return view.description.cpu_frequency_mhz * _HERTZ_IN_MHZ


def _firmware(view: View) -> tuple[str, ...] | None:
    firmware = view.firmware
    if firmware is None:
        return None
    return tuple([getattr(firmware, name) for name in _FIRMWARE_LABELS])


def _update_available(view: View) -> float | None:
    """None unless the router has ever looked for one."""
    firmware = view.firmware
    if firmware is None or not firmware.latest_version:
        return None
    return int(firmware.latest_version != firmware.installed_version)


def _routerboot_upgrade(view: View) -> float | None:
    firmware = view.firmware
    if firmware is None or not (firmware.routerboot_current and firmware.routerboot_upgrade):
        return None
    return int(firmware.routerboot_upgrade != firmware.routerboot_current)


def _device_info(name: str, text: str) -> Family:
    def lines(view: View) -> str:
        return "" if view.description is None else name + view.description.info

    return Family(name, "info", INVENTORY_LABELS, text, Group.DEVICE, lines, one)


def _cores(name: str, text: str) -> Family:
    def lines(view: View) -> str:
        if view.health is None:
            return ""
        loads = view.health.cpu_core_load_percent
        begin = f'{name}{{{view.labels},core="'
        return "".join([f'{begin}{core}"}} {load / 100}\n' for core, load in enumerate(loads)])

    def most(view: View) -> int:
        return 0 if view.health is None else len(view.health.cpu_core_load_percent)

    return Family(name, "gauge", ("core",), text, Group.SYSTEM, lines, most)


DEVICE_FAMILIES: Final = (
    device_value(
        Group.DEVICE,
        "routeros_up",
        "1 while the newest poll read the device, 0 while it failed.",
        lambda view: int(view.up),
    ),
    device_value(
        Group.DEVICE,
        "routeros_last_seen_timestamp_seconds",
        "When the device was last read; stands still while it is down. Unix time.",
        _last_seen,
    ),
    device_value(
        Group.DEVICE,
        "routeros_consecutive_poll_failures",
        "Polls that failed in a row.",
        lambda view: view.status.status.consecutive_failures,
    ),
    device_info(
        "routeros_down_info",
        ("reason",),
        "Why the newest poll failed; no sample when up.",
        _down_reason,
    ),
    device_value(
        Group.DEVICE,
        "routeros_poll_duration_seconds",
        "Time that the newest poll's reads took.",
        _poll_duration,
    ),
    device_value(
        Group.DEVICE, "routeros_uptime_seconds", "Time since the router's start.", _uptime
    ),
    _device_info(
        "routeros_device_info",
        "What rarely changes, as last read, also while the device is down.",
    ),
    device_info(
        "routeros_firmware_info",
        _FIRMWARE_LABELS,
        "Versions of packages and RouterBOOT, as last read, also while the device is down.",
        _firmware,
    ),
    device_value(
        Group.DEVICE,
        "routeros_update_available",
        "1 when the router's own last check found another version than the installed one.",
        _update_available,
    ),
    device_value(
        Group.DEVICE,
        "routeros_routerboot_upgrade_available",
        "1 when RouterBOOT differs from what the installed packages carry.",
        _routerboot_upgrade,
    ),
    device_value(
        Group.SYSTEM,
        "routeros_cpu_load_ratio",
        "Load of all cores together, 0 to 1.",
        _ratio("cpu_load_percent", 100),
    ),
    _cores("routeros_cpu_core_load_ratio", "Load of one core, 0 to 1; where there are several."),
    device_value(Group.SYSTEM, "routeros_cpu_cores", "Cores.", _cpu_cores),
    device_value(
        Group.SYSTEM,
        "routeros_cpu_frequency_hertz",
        "Frequency of the processor.",
        _cpu_frequency,
    ),
    device_value(
        Group.SYSTEM, "routeros_memory_free_bytes", "Free RAM.", _of_health("memory_free_bytes")
    ),
    device_value(
        Group.SYSTEM, "routeros_memory_total_bytes", "All RAM.", _of_health("memory_total_bytes")
    ),
    device_value(
        Group.SYSTEM, "routeros_storage_free_bytes", "Free disk.", _of_health("disk_free_bytes")
    ),
    device_value(
        Group.SYSTEM, "routeros_storage_total_bytes", "Whole disk.", _of_health("disk_total_bytes")
    ),
    device_value(
        Group.SYSTEM,
        "routeros_storage_bad_blocks_ratio",
        "Share of the flash's blocks that are bad.",
        _ratio("bad_blocks_permille", 1000),
    ),
    device_value(
        Group.SYSTEM,
        "routeros_storage_written_sectors_total",
        "Sectors written since the router's start.",
        _of_health("write_sectors_total"),
    ),
    sensor_value("routeros_temperature_celsius", pb.SENSOR_UNIT_CELSIUS, "A temperature."),
    sensor_value("routeros_voltage_volts", pb.SENSOR_UNIT_VOLT, "A voltage."),
    sensor_value("routeros_current_amperes", pb.SENSOR_UNIT_AMPERE, "A current."),
    sensor_value("routeros_power_watts", pb.SENSOR_UNIT_WATT, "Power taken."),
    sensor_value("routeros_fan_speed_rpm", pb.SENSOR_UNIT_RPM, "Speed of a fan."),
    sensor_value(
        "routeros_sensor_ratio",
        pb.SENSOR_UNIT_PERCENT,
        "A sensor that the router gives in percent, 0 to 1.",
    ),
    sensor_value(
        "routeros_sensor_value", pb.SENSOR_UNIT_UNSPECIFIED, "A sensor whose unit is not known."
    ),
    sensor_value(
        "routeros_sensor_state",
        pb.SENSOR_UNIT_STATE,
        "1 for the word that a sensor says: ok, fail, …",
        "state",
    ),
)
