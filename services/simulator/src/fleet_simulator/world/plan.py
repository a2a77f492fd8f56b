"""Which interfaces a router has, and how much traffic each carries."""

from collections.abc import Iterator

from fleet_simulator.world.activity import Activity
from fleet_simulator.world.formats import mac_address
from fleet_simulator.world.interface import Interface
from fleet_simulator.world.noise import between, mix, pick, seed_of, unit
from fleet_simulator.world.personality import Board, Personality, Role

_DAY = 86_400.0
_CROWD = 14
"""Comments and odd names are given to about one interface or router in this many."""
_COMMENTS = (
    b"uplink to pop",
    "Kanceláře 2. patro".encode(),
    "café terrace".encode("latin-1"),
    "Склад".encode("cp1251"),
    "Büro Süd".encode("latin-1"),
    b"do not unplug!",
    b"cam=3, ptz",
    b'a "quoted" one \\ with a backslash',
)
_ODD_NAMES = (
    b"no",
    b"7",
    b"LAN 2",
    b"uplink.100",
    b"true",
    "Büro".encode("latin-1"),
    b"ether5-cam",
)


def interfaces_of(
    seed: int, personality: Personality, board: Board, activity: Activity, count: int | None
) -> tuple[Interface, ...]:
    """The interfaces of a router: ports, radios, modem, bridge, remote access points, VLANs.

    `count` asks for exactly that many: ports are left out or VLANs added. At least 2.
    """
    builder = _Builder(seed, activity)
    ports = list(_ports(builder, board))
    radios = list(_radios(builder, personality, board))
    modems = [builder.add(b"lte1", b"lte", Role.CELLULAR, 300)] if board.cellular else []
    caps = list(_remote_caps(builder, personality))
    vlans = personality.vlans
    if count is not None:
        fixed = len(radios) + len(modems) + len(caps) + 1
        ports = ports[: max(count - fixed, 1)]
        vlans = max(count - fixed - len(ports), 0)
    bridged = [port for port in ports if port.role is not Role.UPLINK] + radios + caps
    bridge = builder.bridge(bridged, personality)
    _uplink(ports, modems, bridge)
    tagged = [builder.vlan(bridge, number) for number in range(vlans)]
    ordered = [*ports, *radios, *modems, bridge, *caps, *tagged]
    for index, interface in enumerate(ordered, start=1):
        interface.index = index
    _odd_names(seed, ordered, bridge)
    return tuple(ordered)


class _Builder:
    """Makes interfaces of one router: seeds, addresses and rates."""

    def __init__(self, seed: int, activity: Activity) -> None:
        self.seed = seed
        self._activity = activity
        self._made = 0

    def add(self, name: bytes, kind: bytes, role: Role, mbps: int) -> Interface:
        """An interface with the rates of its role."""
        self._made += 1
        seed = mix(self.seed, 0x1F00 + self._made)
        made = Interface(self._made, name, kind, role, seed, self._activity)
        made.mac = mac_address((self.seed & 0xFF_FF00) + self._made)
        made.mbps = mbps
        if role in {Role.ACCESS, Role.RADIO, Role.REMOTE_CAP, Role.CELLULAR}:
            most = min(mbps * 125_000 * 0.08, 2.5e6)
            made.tx_rate = 1500.0 * (most / 1500.0) ** between(seed, 3, 0.1, 1.0)
            made.rx_rate = made.tx_rate * between(seed, 4, 0.08, 0.5)
        if role in {Role.ACCESS, Role.UPLINK}:
            # One port in twelve has a bad cable.
            low, high = (0.1, 0.5) if unit(seed, 5) < 1 / 12 else (15.0, 150.0)
            made.flap_period = _DAY * between(seed, 6, low, high)
        if mix(seed, 7) % _CROWD == 0:
            made.comment = pick(seed, 8, _COMMENTS)
        return made

    def bridge(self, members: list[Interface], personality: Personality) -> Interface:
        """The bridge over `members`: its traffic is about their sum."""
        name = b"bridge" if personality.kind == "sw" else b"bridge1"
        made = self.add(name, b"bridge", Role.BRIDGE, 1000)
        for member in members:
            member.master = name
            made.rx_rate += member.rx_rate
            made.tx_rate += member.tx_rate
        return made

    def vlan(self, bridge: Interface, number: int) -> Interface:
        """VLAN `number` on the bridge, carrying a share of it."""
        tag = 10 * (number + 1)
        made = self.add(b"vlan%d" % tag, b"vlan", Role.VLAN, 1000)
        share = between(made.seed, 9, 0.02, 0.15)
        made.tag = tag
        made.rx_rate, made.tx_rate = bridge.rx_rate * share, bridge.tx_rate * share
        made.mac = bridge.mac
        return made


def _ports(builder: _Builder, board: Board) -> Iterator[Interface]:
    first = True
    for group in board.ports:
        for number in range(group.first, group.first + group.count):
            name = f"{group.prefix}{number}".encode()
            role = Role.UPLINK if first else _access_or_idle(builder, number, sfp=group.is_sfp)
            port = builder.add(name, b"ether", role, group.mbps)
            port.default_name = name
            port.poe_out = group.poe_out
            first = False
            yield port


def _access_or_idle(builder: _Builder, number: int, *, sfp: bool) -> Role:
    plugged = unit(seed_of("plug", builder.seed, int(sfp)), number)
    return Role.ACCESS if plugged < (0.45 if sfp else 0.7) else Role.IDLE


def _radios(builder: _Builder, personality: Personality, board: Board) -> Iterator[Interface]:
    legacy = personality.wireless == "wireless"
    prefix, kind = (b"wlan", b"wlan") if legacy else (b"wifi", b"wifi")
    if personality.wireless == "none":
        return
    for number, radio in enumerate(board.radios, start=1):
        made = builder.add(b"%s%d" % (prefix, number), kind, Role.RADIO, 600)
        made.default_name = made.name
        made.band = radio.band
        yield made


def _remote_caps(builder: _Builder, personality: Personality) -> Iterator[Interface]:
    if personality.capsman == "none":
        return
    kind, prefix = (b"cap", b"cap") if personality.capsman == "legacy" else (b"wifi", b"cap-wifi")
    for number in range(1, REMOTE_CAPS + 1):
        made = builder.add(b"%s%d" % (prefix, number), kind, Role.REMOTE_CAP, 600)
        made.band = "5ghz" if number % 2 else "2ghz"
        yield made


REMOTE_CAPS = 4
"""How many access points a CAPsMAN manages."""


def _uplink(ports: list[Interface], modems: list[Interface], bridge: Interface) -> None:
    """The way out carries what the inside asks for; with a modem the first port is inside too."""
    ways = modems or ports[:1]
    for way in ways:
        way.rx_rate = bridge.tx_rate * 0.97 / len(ways) + 900.0
        way.tx_rate = bridge.rx_rate * 0.97 / len(ways) + 700.0
    if modems:
        ports[0].role = Role.ACCESS
        ports[0].tx_rate, ports[0].rx_rate = bridge.tx_rate + 40_000.0, bridge.rx_rate + 8000.0


def _odd_names(seed: int, interfaces: list[Interface], bridge: Interface) -> None:
    """Give one interface in some routers a name that trips careless clients."""
    if mix(seed, 0xDD) % 4:
        return
    candidates = [port for port in interfaces if port.role in {Role.ACCESS, Role.VLAN}]
    if candidates:
        chosen = pick(seed, 0xDE, candidates)
        chosen.name = pick(seed, 0xDF, _ODD_NAMES)
    _ = bridge
