"""What a kind of router is: hardware, sensors, ports, radios, software."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

type WirelessPackage = Literal["none", "wireless", "wifiwave2", "wifi"]
type CapsmanRole = Literal["none", "legacy", "wifi"]


class Role(Enum):
    """What an interface is for: decides on its rate, its daily pattern and its link."""

    UPLINK = "uplink"
    ACCESS = "access"
    IDLE = "idle"
    RADIO = "radio"
    CELLULAR = "cellular"
    BRIDGE = "bridge"
    VLAN = "vlan"
    REMOTE_CAP = "remote-cap"


@dataclass(frozen=True, slots=True)
class PortGroup:
    """`count` ports called `prefix` + number from `first`, at `mbps`."""

    prefix: str
    count: int
    mbps: int
    first: int = 1
    poe_out: bool = False

    @property
    def is_sfp(self) -> bool:
        """Whether a module is plugged in here."""
        return self.prefix.startswith(("sfp", "qsfp"))


@dataclass(frozen=True, slots=True)
class Radio:
    """One radio: its band decides on channels, rates and signal."""

    band: Literal["2ghz", "5ghz"]
    chains: int = 2


@dataclass(frozen=True, slots=True)
class Sensor:
    """One reading of /system/health.

    `unit` is v7's `type`; `idle` and `span` are in that unit: the value with nothing to do,
    and what full load adds. `places` decimals (0 or 1); `id` is the number of v7's `.id`.
    """

    name: str
    unit: Literal["C", "V", "A", "W", "RPM", ""]
    idle: float = 0.0
    span: float = 0.0
    places: Literal[0, 1] = 0
    id: int = 0


@dataclass(frozen=True, slots=True)
class Board:
    """A product. Sizes in bytes, frequency in MHz; `model` is None for a CHR."""

    board_name: str
    model: str | None
    architecture: str
    cpu: str
    cores: int
    mhz: int
    memory: int
    disk: int
    ports: tuple[PortGroup, ...]
    firmware_type: str = ""
    factory_firmware: str = ""
    sensors: tuple[Sensor, ...] = ()
    radios: tuple[Radio, ...] = ()
    cellular: str | None = None
    license_level: str = "6"
    switch_chip: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A RouterOS release.

    `text` as /system/package prints it, `build` in Unix seconds, `triple` (major, minor, patch).
    """

    text: str
    build: float
    channel: str = "stable"
    triple: tuple[int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        numbers = [*map(int, self.text.split(".")), 0]
        object.__setattr__(self, "triple", (numbers[0], numbers[1], numbers[2]))

    @property
    def major(self) -> int:
        """6 or 7."""
        return self.triple[0]


@dataclass(frozen=True, slots=True)
class Personality:
    """A kind of router: `kind` begins the device's name, `load` is its mean CPU share."""

    name: str
    kind: Literal["core", "rtr", "sw", "ap", "cap", "lte", "chr"]
    boards: tuple[Board, ...]
    versions: tuple[str, ...]
    wireless: WirelessPackage = "none"
    capsman: CapsmanRole = "none"
    load: float = 0.15
    vlans: int = 0
    routes: int = 12
    firewall: bool = True
    bgp: bool = False
