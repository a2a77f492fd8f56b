"""The releases and personalities the simulated fleet is made of."""

from types import MappingProxyType
from typing import Final

from fleet_simulator.world import boards
from fleet_simulator.world.personality import Personality, Version

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

_PERSONALITIES: Final = (
    Personality("core", "core", (boards.CCR2004,), _V7, load=0.22, vlans=6, routes=60, bgp=True),
    Personality("core-v6", "core", (boards.CCR1036,), _V6, load=0.12, vlans=6, routes=60, bgp=True),
    Personality("router", "rtr", (boards.RB5009,), _V7, load=0.14),
    Personality("router-rb4011", "rtr", (boards.RB4011,), _V7, load=0.16, vlans=2),
    Personality("router-v6", "rtr", (boards.RB4011, boards.HEX), _V6, load=0.2, vlans=2),
    Personality("router-hex", "rtr", (boards.HEX,), _V7, load=0.3, vlans=1),
    Personality(
        "switch", "sw", (boards.CRS326, boards.CRS328), _V7, load=0.08, routes=2, firewall=False
    ),
    Personality("switch-v6", "sw", (boards.CRS326,), _V6, load=0.08, routes=2, firewall=False),
    Personality("switch-48", "sw", (boards.CRS354,), _V7, load=0.12, routes=2, firewall=False),
    Personality(
        "ap-wireless-v6", "ap", (boards.HAP_AC2, boards.CAP_AC), _V6, "wireless", load=0.1, routes=3
    ),
    Personality(
        "ap-wireless", "ap", (boards.HAP_AC2, boards.CAP_AC), _V7, "wireless", load=0.12, routes=3
    ),
    Personality(
        "ap-wifiwave2", "ap", (boards.HAP_AX3,), ("7.12.1",), "wifiwave2", load=0.1, routes=3
    ),
    Personality(
        "ap-wifi",
        "ap",
        (boards.HAP_AX3, boards.CAP_AX),
        ("7.13.5", "7.14.3", *_V7),
        "wifi",
        load=0.1,
        routes=3,
    ),
    Personality("capsman-v6", "cap", (boards.RB4011,), _V6, "wireless", "legacy", load=0.18),
    Personality("capsman", "cap", (boards.RB3011,), _V7, "wireless", "legacy", load=0.2),
    Personality("capsman-wifi", "cap", (boards.RB5009,), _V7, "wifi", "wifi", load=0.16),
    Personality("lte-v6", "lte", (boards.WAP_LTE,), _V6, "wireless", load=0.25, routes=4),
    Personality("lte", "lte", (boards.CHATEAU,), _V7, "wireless", load=0.16, routes=4),
    Personality("chr", "chr", (boards.CHR,), _V7, load=0.06, routes=20, bgp=True),
    Personality("chr-v6", "chr", (boards.CHR,), _V6, load=0.06, routes=20, bgp=True),
)
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
