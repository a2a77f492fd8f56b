"""/system: identity, resource, health, routerboard and their like."""

from collections.abc import Mapping, Sequence

from fleet_simulator.tables import CommandResult, Row, TrapError
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, TRUE, date_time, duration, item_id, number
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus.conditions import v7
from fleet_simulator.world.noise import mix, unit
from fleet_simulator.world.sensors import reading

_NAME_MOST, _SERIAL_LENGTH = 64, 11
_NEVER_UPGRADED = 0.3


def identity_rows(device: Device, _now: float) -> Sequence[Row]:
    """The router's name."""
    return [{b"name": device.identity}]


def set_identity(device: Device, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
    """Rename the router; RouterOS allows 64 bytes."""
    for key in arguments:
        if key not in {b"name", b".id", b"numbers"}:
            raise TrapError(f"unknown parameter {key.decode('latin-1')}")
    if b"name" in arguments:
        name = arguments[b"name"]
        if len(name) > _NAME_MOST:
            raise TrapError("value of name should be a string of length 0..64", 1)
        device.identity = name
        device.last_change = now
    return CommandResult()


def resource_rows(device: Device, now: float) -> Sequence[Row]:
    """Uptime, version, memory, CPU and disk: one row without an id."""
    board, major = device.board, device.major
    boot = device.booted(now)
    memory, disk = board.memory, board.disk
    row = {
        b"uptime": duration(now - boot),
        b"version": f"{device.version_text} ({device.release.channel})".encode(),
        b"build-time": date_time(device.release.build, major),
    }
    if board.factory_firmware:
        row[b"factory-software"] = board.factory_firmware.encode()
    row |= {
        b"free-memory": number(memory * (1.0 - device.load.memory_used(now, boot)) // 4096 * 4096),
        b"total-memory": number(memory),
        b"cpu": board.cpu.encode(),
        b"cpu-count": number(board.cores),
        b"cpu-frequency": number(board.mhz),
        b"cpu-load": number(100.0 * device.load.cpu(now) + 0.5),
        b"free-hdd-space": number(disk * (1.0 - device.load.disk_used(now)) // 4096 * 4096),
        b"total-hdd-space": number(disk),
    }
    if board.model is not None:
        row[b"write-sect-since-reboot"] = number(device.load.sectors_written(boot, now))
        row[b"write-sect-total"] = number(device.load.sectors_written(_FIRST_DAY, now))
        row[b"bad-blocks"] = b"0"
    row[b"architecture-name"] = board.architecture.encode()
    row[b"board-name"] = board.board_name.encode()
    row[b"platform"] = b"MikroTik"
    if v7(device):
        changed = device.local(min(device.last_change, now))
        row[b"last-config-change"] = date_time(changed, major)
    return [row]


_FIRST_DAY = 1_600_000_000.0


def cpu_rows(device: Device, now: float) -> Sequence[Row]:
    """Load, interrupts and disk waiting of each core, in percent."""
    rows: list[Row] = []
    for index in range(device.board.cores):
        load = 100.0 * device.load.core(now, index)
        rows.append(
            {
                b".id": item_id(index),
                b"cpu": b"cpu%d" % index,
                b"load": number(load),
                b"irq": number(load * 0.4),
                b"disk": b"0",
            }
        )
    return rows


def health_rows(device: Device, now: float) -> Sequence[Row]:
    """v7: a row per sensor with name, value and type; v6: one row of all; CHR: nothing."""
    sensors = device.board.sensors
    heat = device.load.heat(now) if sensors else 0.0
    if v7(device):
        return [
            {
                b".id": item_id(sensor.id),
                b"name": sensor.name.encode(),
                b"value": reading(device.seed, sensor, heat, now),
                b"type": sensor.unit.encode(),
            }
            for sensor in sensors
        ]
    if not sensors:
        return []
    return [{s.name.encode(): reading(device.seed, s, heat, now) for s in sensors}]


def serial_number(device: Device) -> bytes:
    """A serial number as printed on the label."""
    bits = mix(device.seed, 0x5E41)
    text = "HG" if v7(device) else "A"
    while len(text) < _SERIAL_LENGTH:
        bits, digit = divmod(bits, 16)
        text += f"{digit:X}"
    return text.encode()


def routerboard_rows(device: Device, _now: float) -> Sequence[Row]:
    """The hardware and its RouterBOOT; `routerboard=false` where there is none."""
    board = device.board
    if board.model is None:
        return [{b"routerboard": FALSE}]
    upgrade = device.version_text.encode()
    behind = unit(device.seed, 0xB007) < _NEVER_UPGRADED
    current = board.factory_firmware.encode() if behind else upgrade
    row = {b"routerboard": TRUE}
    if v7(device):
        row[b"board-name"] = board.board_name.encode()
    return [
        row
        | {
            b"model": board.model.encode(),
            b"serial-number": serial_number(device),
            b"firmware-type": board.firmware_type.encode(),
            b"factory-firmware": board.factory_firmware.encode(),
            b"current-firmware": current,
            b"upgrade-firmware": upgrade,
        }
    ]


MENUS = (
    MenuSpec("/system/identity", identity_rows, actions={"set": set_identity}),
    MenuSpec("/system/resource", resource_rows),
    MenuSpec("/system/resource/cpu", cpu_rows),
    MenuSpec("/system/health", health_rows),
    MenuSpec("/system/routerboard", routerboard_rows),
)
