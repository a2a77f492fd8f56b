"""The products, releases and personalities the simulated fleet is made of.

Names, sizes and sensor names follow MikroTik's product pages and manual (System/Health,
System/Resource) and captures of real routers; see the figures in the fields themselves.
"""

from types import MappingProxyType
from typing import Final

from fleet_simulator.world.personality import Board, Personality, PortGroup, Radio, Sensor, Version

_MIB: Final = 1024 * 1024

_RELEASES: Final = (
    Version("6.49.10", 1_692_700_000, "long-term"),
    Version("6.49.13", 1_708_600_000, "long-term"),
    Version("6.49.17", 1_722_500_000),
    Version("6.49.18", 1_740_650_000, "long-term"),
    Version("7.12.1", 1_700_221_125),
    Version("7.13.5", 1_708_000_000),
    Version("7.14.3", 1_713_350_000),
    Version("7.15.3", 1_721_800_000),
    Version("7.16.1", 1_728_550_000),
    Version("7.16.2", 1_732_700_000),
    Version("7.17.2", 1_738_800_000),
    Version("7.18.2", 1_741_700_000),
    Version("7.19.4", 1_752_600_000),
    Version("7.20", 1_758_700_000),
    Version("7.20.4", 1_762_300_000),
    Version("7.21", 1_768_000_000),
)
VERSIONS: Final = MappingProxyType({release.text: release for release in _RELEASES})

_V6: Final = ("6.49.10", "6.49.13", "6.49.17", "6.49.18")
_V7: Final = ("7.15.3", "7.16.1", "7.16.2", "7.17.2", "7.18.2", "7.19.4", "7.20", "7.20.4", "7.21")

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

_CCR2004: Final = Board(
    "CCR2004-1G-12S+2XS", "CCR2004-1G-12S+2XS", "arm64", "ARM64", 4, 1700, 4096 * _MIB, 128 * _MIB,
    (PortGroup("sfp-sfpplus", 12, 10_000), PortGroup("sfp28-", 2, 25_000), PortGroup("ether", 1, 1000)),
    "al64", "6.47.9", _RACK_SENSORS, license_level="6",
)  # fmt: skip
_CCR1036: Final = Board(
    "CCR1036-12G-4S", "CCR1036-12G-4S", "tile", "tilegx", 36, 1200, 4096 * _MIB, 1024 * _MIB,
    (PortGroup("sfp", 4, 1000), PortGroup("ether", 12, 1000)),
    "tilegx", "3.10", _TILE_SENSORS, license_level="6",
)  # fmt: skip
_RB4011: Final = Board(
    "RB4011iGS+", "RB4011iGS+", "arm", "ARMv7", 4, 1400, 1024 * _MIB, 512 * _MIB,
    (PortGroup("ether", 10, 1000), PortGroup("sfp-sfpplus", 1, 10_000)),
    "al2", "6.43.10", _CPU_SENSORS, license_level="5", switch_chip="RTL8367",
)  # fmt: skip
_RB3011: Final = Board(
    "RB3011UiAS", "RB3011UiAS", "arm", "ARMv7", 2, 1400, 1024 * _MIB, 128 * _MIB,
    (PortGroup("ether", 10, 1000), PortGroup("sfp", 1, 1000)),
    "ipq8060", "3.35", _SMALL_SENSORS, license_level="5", switch_chip="QCA8337",
)  # fmt: skip
_RB5009: Final = Board(
    "RB5009UG+S+", "RB5009UG+S+", "arm64", "ARM64", 4, 1400, 1024 * _MIB, 1024 * _MIB,
    (PortGroup("ether", 1, 2500), PortGroup("ether", 7, 1000, first=2), PortGroup("sfp-sfpplus", 1, 10_000)),
    "70x0", "7.0.5", _CPU_SENSORS, license_level="5", switch_chip="88E6393X",
)  # fmt: skip
_HEX: Final = Board(
    "hEX", "RB750Gr3", "mmips", "MIPS 1004Kc V2.15", 4, 880, 256 * _MIB, 16 * _MIB,
    (PortGroup("ether", 5, 1000),),
    "mt7621L", "6.42.9", _SMALL_SENSORS, license_level="4", switch_chip="MT7621",
)  # fmt: skip
_CRS326: Final = Board(
    "CRS326-24G-2S+", "CRS326-24G-2S+", "arm", "ARMv7", 1, 800, 512 * _MIB, 16 * _MIB,
    (PortGroup("ether", 24, 1000), PortGroup("sfp-sfpplus", 2, 10_000)),
    "dx3230L", "6.41.3", (Sensor("temperature", "C", 37, 10, id=0xE), Sensor("voltage", "V", 24.0, -0.1, 1, 0xD)),
    license_level="5", switch_chip="Marvell-98DX3236",
)  # fmt: skip
_CRS328: Final = Board(
    "CRS328-24P-4S+", "CRS328-24P-4S+", "arm", "ARMv7", 1, 800, 512 * _MIB, 16 * _MIB,
    (PortGroup("ether", 24, 1000, poe_out=True), PortGroup("sfp-sfpplus", 4, 10_000)),
    "dx3230L", "6.43.7", _POE_SWITCH_SENSORS, license_level="5", switch_chip="Marvell-98DX3236",
)  # fmt: skip
_CRS354: Final = Board(
    "CRS354-48G-4S+2Q+", "CRS354-48G-4S+2Q+", "mipsbe", "MIPS 24Kc V7.4", 1, 650, 64 * _MIB, 16 * _MIB,
    (PortGroup("ether", 49, 1000), PortGroup("sfp-sfpplus", 4, 10_000), PortGroup("qsfpplus", 2, 40_000)),
    "qca9531L", "6.45.8", _RACK_SENSORS, license_level="5", switch_chip="Marvell-98DX3257",
)  # fmt: skip
_HAP_AC2: Final = Board(
    "hAP ac^2", "RBD52G-5HacD2HnD", "arm", "ARMv7", 4, 896, 128 * _MIB, 16 * _MIB,
    (PortGroup("ether", 5, 1000),), "ipq4000L", "6.44.6", (),
    (Radio("2ghz"), Radio("5ghz")), license_level="4", switch_chip="Atheros-8327",
)  # fmt: skip
_CAP_AC: Final = Board(
    "cAP ac", "RBcAPGi-5acD2nD", "arm", "ARMv7", 4, 896, 128 * _MIB, 16 * _MIB,
    (PortGroup("ether", 2, 1000),), "ipq4000L", "6.44.6",
    (Sensor("voltage", "V", 47.8, -0.4, 1, 0xD),), (Radio("2ghz"), Radio("5ghz")), license_level="4",
)  # fmt: skip
_HAP_AX3: Final = Board(
    "hAP ax^3", "C53UiG+5HPaxD2HPaxD", "arm64", "ARM64", 4, 1800, 1024 * _MIB, 128 * _MIB,
    (PortGroup("ether", 1, 2500, poe_out=True), PortGroup("ether", 4, 1000, first=2)), "ipq6010", "7.6",
    (Sensor("cpu-temperature", "C", 46, 18, id=0x11), Sensor("voltage", "V", 24.2, -0.3, 1, 0xD)),
    (Radio("5ghz"), Radio("2ghz")), license_level="6",
)  # fmt: skip
_CAP_AX: Final = Board(
    "cAP ax", "cAPGi-5HaxD2HaxD", "arm64", "ARM64", 4, 1800, 1024 * _MIB, 128 * _MIB,
    (PortGroup("ether", 2, 1000),), "ipq6010", "7.8",
    (Sensor("cpu-temperature", "C", 48, 16, id=0x11),), (Radio("5ghz"), Radio("2ghz")), license_level="4",
)  # fmt: skip
_WAP_LTE: Final = Board(
    "wAP LTE kit", "RBwAPR-2nD&R11e-LTE", "mipsbe", "MIPS 24Kc V7.4", 1, 650, 64 * _MIB, 16 * _MIB,
    (PortGroup("ether", 1, 100),), "qca9531L", "6.41.2", _SMALL_SENSORS,
    (Radio("2ghz"),), "R11e-LTE", "4",
)  # fmt: skip
_CHATEAU: Final = Board(
    "Chateau LTE12", "RBD53G-5HacD2HnD-TC&EG12-EA", "arm", "ARMv7", 4, 896, 256 * _MIB, 16 * _MIB,
    (PortGroup("ether", 5, 1000),), "ipq4000", "6.48.1", _SMALL_SENSORS,
    (Radio("2ghz"), Radio("5ghz")), "EG12-EA", "4",
)  # fmt: skip
_CHR: Final = Board(
    "CHR", None, "x86_64", "Intel(R)", 2, 2495, 1024 * _MIB, 128 * _MIB,
    (PortGroup("ether", 4, 10_000),), license_level="p1",
)  # fmt: skip

_PERSONALITIES: Final = (
    Personality("core", "core", (_CCR2004,), _V7, load=0.22, vlans=6, routes=60, bgp=True),
    Personality("core-v6", "core", (_CCR1036,), _V6, load=0.12, vlans=6, routes=60, bgp=True),
    Personality("router", "rtr", (_RB5009,), _V7, load=0.14),
    Personality("router-rb4011", "rtr", (_RB4011,), _V7, load=0.16, vlans=2),
    Personality("router-v6", "rtr", (_RB4011, _HEX), _V6, load=0.2, vlans=2),
    Personality("router-hex", "rtr", (_HEX,), _V7, load=0.3, vlans=1),
    Personality("switch", "sw", (_CRS326, _CRS328), _V7, load=0.08, routes=2, firewall=False),
    Personality("switch-v6", "sw", (_CRS326,), _V6, load=0.08, routes=2, firewall=False),
    Personality("switch-48", "sw", (_CRS354,), _V7, load=0.12, routes=2, firewall=False),
    Personality("ap-wireless-v6", "ap", (_HAP_AC2, _CAP_AC), _V6, "wireless", load=0.1, routes=3),
    Personality("ap-wireless", "ap", (_HAP_AC2, _CAP_AC), _V7, "wireless", load=0.12, routes=3),
    Personality("ap-wifiwave2", "ap", (_HAP_AX3,), ("7.12.1",), "wifiwave2", load=0.1, routes=3),
    Personality("ap-wifi", "ap", (_HAP_AX3, _CAP_AX), ("7.13.5", "7.14.3", *_V7), "wifi", load=0.1, routes=3),
    Personality("capsman-v6", "cap", (_RB4011,), _V6, "wireless", "legacy", load=0.18),
    Personality("capsman", "cap", (_RB3011,), _V7, "wireless", "legacy", load=0.2),
    Personality("capsman-wifi", "cap", (_RB5009,), _V7, "wifi", "wifi", load=0.16),
    Personality("lte-v6", "lte", (_WAP_LTE,), _V6, "wireless", load=0.25, routes=4),
    Personality("lte", "lte", (_CHATEAU,), _V7, "wireless", load=0.16, routes=4),
    Personality("chr", "chr", (_CHR,), _V7, load=0.06, routes=20, bgp=True),
    Personality("chr-v6", "chr", (_CHR,), _V6, load=0.06, routes=20, bgp=True),
)  # fmt: skip
PERSONALITIES: Final = MappingProxyType({kind.name: kind for kind in _PERSONALITIES})

FLEET_MIX: Final = (
    "core", "ap-wifi", "switch", "router", "ap-wireless", "lte", "chr",
    "ap-wifi", "router-v6", "ap-wireless-v6", "switch-48", "capsman-wifi", "ap-wifiwave2",
    "router-rb4011", "core-v6", "ap-wifi", "switch-v6", "lte-v6", "ap-wireless", "router-hex",
    "ap-wireless-v6", "capsman", "ap-wifi", "router", "switch", "ap-wifi", "chr-v6", "capsman-v6",
    "ap-wifi", "router", "ap-wireless", "ap-wifiwave2", "ap-wifi", "router-v6",
)  # fmt: skip
"""The personalities of a tenant's devices in order, over and over: half of them access points."""

NEWEST: Final = MappingProxyType(
    {
        (7, "stable"): "7.24.4",
        (7, "long-term"): "7.23.7",
        (7, "testing"): "7.24.4",
        (7, "development"): "7.25beta5",
        (6, "stable"): "6.49.22",
        (6, "long-term"): "6.49.22",
        (6, "testing"): "7.23.7",
        (6, "development"): "7.23.7",
    }
)
"""What a router's own check finds, by major version and channel: MikroTik's files as of
2026-09-21."""

CHANNELS: Final = frozenset({b"stable", b"long-term", b"testing", b"development"})
