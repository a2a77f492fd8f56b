"""Products: names, sizes, ports and sensors.

After MikroTik's product pages and manual (System/Health, System/Resource) and captures of
real routers; a sensor's `.id` is as seen on hardware where it was (nshttpd/mikrotik-exporter
issue 83), else of the same range.
"""

from typing import Final

from fleet_simulator.world.personality import Board, PortGroup, Radio, Sensor

_MIB: Final = 1024 * 1024

_SMALL_SENSORS: Final = (
    Sensor("voltage", "V", 23.9, -0.3, places=1, id=0xD),
    Sensor("temperature", "C", 36, 14, id=0xE),
)
_CPU_SENSORS: Final = (*_SMALL_SENSORS, Sensor("cpu-temperature", "C", 43, 24, id=0x11))
_RACK_SENSORS: Final = (
    Sensor("cpu-temperature", "C", 38, 26, id=0x11),
    Sensor("board-temperature1", "C", 30, 9, id=0x1771),
    Sensor("board-temperature2", "C", 28, 8, id=0x1772),
    Sensor("fan1-speed", "RPM", 3100, 2900, id=0x1B59),
    Sensor("fan2-speed", "RPM", 3165, 2900, id=0x1B5A),
    Sensor("psu1-state", "", id=0x1CE9),
    Sensor("psu2-state", "", id=0x1CEA),
)
_TILE_SENSORS: Final = (
    Sensor("voltage", "V", 24.1, -0.2, places=1, id=0xD),
    Sensor("temperature", "C", 32, 9, id=0xE),
    Sensor("current", "A", 1.1, 0.9, places=1, id=0xF),
    Sensor("power-consumption", "W", 26.5, 21.0, places=1, id=0x10),
    Sensor("cpu-temperature", "C", 40, 24, id=0x11),
    Sensor("fan1-speed", "RPM", 3300, 2600, id=0x1B59),
    Sensor("fan2-speed", "RPM", 3280, 2600, id=0x1B5A),
)
_POE_SWITCH_SENSORS: Final = (
    Sensor("cpu-temperature", "C", 41, 16, id=0x11),
    Sensor("board-temperature1", "C", 34, 8, id=0x1771),
    Sensor("fan1-speed", "RPM", 2950, 2600, id=0x1B59),
    Sensor("fan2-speed", "RPM", 2900, 2600, id=0x1B5A),
    Sensor("psu1-voltage", "V", 53.6, -0.5, places=1, id=0x1C21),
    Sensor("psu1-current", "A", 0.6, 2.4, places=1, id=0x1C22),
    Sensor("poe-out-consumption", "W", 21.0, 95.0, places=1, id=0x1C85),
    Sensor("psu1-state", "", id=0x1CE9),
)

CCR2004: Final = Board(
    "CCR2004-1G-12S+2XS", "CCR2004-1G-12S+2XS", "arm64", "ARM64", 4, 1700, 4096 * _MIB, 128 * _MIB,
    (PortGroup("sfp-sfpplus", 12, 10_000), PortGroup("sfp28-", 2, 25_000),
    PortGroup("ether", 1, 1000)),
    "al64", "6.47.9", _RACK_SENSORS, license_level="6",
)  # fmt: skip
CCR1036: Final = Board(
    "CCR1036-12G-4S", "CCR1036-12G-4S", "tile", "tilegx", 36, 1200, 4096 * _MIB, 1024 * _MIB,
    (PortGroup("sfp", 4, 1000), PortGroup("ether", 12, 1000)),
    "tilegx", "3.10", _TILE_SENSORS, license_level="6",
)  # fmt: skip
RB4011: Final = Board(
    "RB4011iGS+", "RB4011iGS+", "arm", "ARMv7", 4, 1400, 1024 * _MIB, 512 * _MIB,
    (PortGroup("ether", 10, 1000), PortGroup("sfp-sfpplus", 1, 10_000)),
    "al2", "6.43.10", _CPU_SENSORS, license_level="5", switch_chip="RTL8367",
)  # fmt: skip
RB3011: Final = Board(
    "RB3011UiAS", "RB3011UiAS", "arm", "ARMv7", 2, 1400, 1024 * _MIB, 128 * _MIB,
    (PortGroup("ether", 10, 1000), PortGroup("sfp", 1, 1000)),
    "ipq8060", "3.35", _SMALL_SENSORS, license_level="5", switch_chip="QCA8337",
)  # fmt: skip
RB5009: Final = Board(
    "RB5009UG+S+", "RB5009UG+S+", "arm64", "ARM64", 4, 1400, 1024 * _MIB, 1024 * _MIB,
    (PortGroup("ether", 1, 2500), PortGroup("ether", 7, 1000, first=2),
    PortGroup("sfp-sfpplus", 1, 10_000)),
    "70x0", "7.0.5", _CPU_SENSORS, license_level="5", switch_chip="88E6393X",
)  # fmt: skip
HEX: Final = Board(
    "hEX", "RB750Gr3", "mmips", "MIPS 1004Kc V2.15", 4, 880, 256 * _MIB, 16 * _MIB,
    (PortGroup("ether", 5, 1000),),
    "mt7621L", "6.42.9", _SMALL_SENSORS, license_level="4", switch_chip="MT7621",
)  # fmt: skip
CRS326: Final = Board(
    "CRS326-24G-2S+", "CRS326-24G-2S+", "arm", "ARMv7", 1, 800, 512 * _MIB, 16 * _MIB,
    (PortGroup("ether", 24, 1000), PortGroup("sfp-sfpplus", 2, 10_000)),
    "dx3230L", "6.41.3", (Sensor("temperature", "C", 37, 10, id=0xE),
    Sensor("voltage", "V", 24.0, -0.1, 1, 0xD)),
    license_level="5", switch_chip="Marvell-98DX3236",
)  # fmt: skip
CRS328: Final = Board(
    "CRS328-24P-4S+", "CRS328-24P-4S+", "arm", "ARMv7", 1, 800, 512 * _MIB, 16 * _MIB,
    (PortGroup("ether", 24, 1000, poe_out=True), PortGroup("sfp-sfpplus", 4, 10_000)),
    "dx3230L", "6.43.7", _POE_SWITCH_SENSORS, license_level="5", switch_chip="Marvell-98DX3236",
)  # fmt: skip
CRS354: Final = Board(
    "CRS354-48G-4S+2Q+", "CRS354-48G-4S+2Q+", "mipsbe", "MIPS 24Kc V7.4", 1, 650, 64 * _MIB,
    16 * _MIB,
    (PortGroup("ether", 49, 1000), PortGroup("sfp-sfpplus", 4, 10_000),
    PortGroup("qsfpplus", 2, 40_000)),
    "qca9531L", "6.45.8", _RACK_SENSORS, license_level="5", switch_chip="Marvell-98DX3257",
)  # fmt: skip
HAP_AC2: Final = Board(
    "hAP ac^2", "RBD52G-5HacD2HnD", "arm", "ARMv7", 4, 896, 128 * _MIB, 16 * _MIB,
    (PortGroup("ether", 5, 1000),), "ipq4000L", "6.44.6", (),
    (Radio("2ghz"), Radio("5ghz")), license_level="4", switch_chip="Atheros-8327",
)  # fmt: skip
CAP_AC: Final = Board(
    "cAP ac", "RBcAPGi-5acD2nD", "arm", "ARMv7", 4, 896, 128 * _MIB, 16 * _MIB,
    (PortGroup("ether", 2, 1000),), "ipq4000L", "6.44.6",
    (Sensor("voltage", "V", 47.8, -0.4, 1, 0xD),), (Radio("2ghz"), Radio("5ghz")),
    license_level="4",
)  # fmt: skip
HAP_AX3: Final = Board(
    "hAP ax^3", "C53UiG+5HPaxD2HPaxD", "arm64", "ARM64", 4, 1800, 1024 * _MIB, 128 * _MIB,
    (PortGroup("ether", 1, 2500, poe_out=True), PortGroup("ether", 4, 1000, first=2)), "ipq6010",
    "7.6",
    (Sensor("cpu-temperature", "C", 46, 18, id=0x11), Sensor("voltage", "V", 24.2, -0.3, 1, 0xD)),
    (Radio("5ghz"), Radio("2ghz")), license_level="6",
)  # fmt: skip
CAP_AX: Final = Board(
    "cAP ax", "cAPGi-5HaxD2HaxD", "arm64", "ARM64", 4, 1800, 1024 * _MIB, 128 * _MIB,
    (PortGroup("ether", 2, 1000),), "ipq6010", "7.8",
    (Sensor("cpu-temperature", "C", 48, 16, id=0x11),), (Radio("5ghz"), Radio("2ghz")),
    license_level="4",
)  # fmt: skip
WAP_LTE: Final = Board(
    "wAP LTE kit", "RBwAPR-2nD&R11e-LTE", "mipsbe", "MIPS 24Kc V7.4", 1, 650, 64 * _MIB, 16 * _MIB,
    (PortGroup("ether", 1, 100),), "qca9531L", "6.41.2", _SMALL_SENSORS,
    (Radio("2ghz"),), "R11e-LTE", "4",
)  # fmt: skip
CHATEAU: Final = Board(
    "Chateau LTE12", "RBD53G-5HacD2HnD-TC&EG12-EA", "arm", "ARMv7", 4, 896, 256 * _MIB, 16 * _MIB,
    (PortGroup("ether", 5, 1000),), "ipq4000", "6.48.1", _SMALL_SENSORS,
    (Radio("2ghz"), Radio("5ghz")), "EG12-EA", "4",
)  # fmt: skip
CHR: Final = Board(
    "CHR", None, "x86_64", "Intel(R)", 2, 2495, 1024 * _MIB, 128 * _MIB,
    (PortGroup("ether", 4, 10_000),), license_level="p1",
)  # fmt: skip
