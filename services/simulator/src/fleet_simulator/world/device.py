"""One simulated router without its menus: what it is, its parts, and what was changed on it."""

from dataclasses import dataclass
from typing import NamedTuple

from fleet_simulator.world.activity import Activity
from fleet_simulator.world.boots import Boots
from fleet_simulator.world.interface import Interface
from fleet_simulator.world.load import Load
from fleet_simulator.world.personality import Board, Personality, Version

_CONFIGURED_SECONDS = 40 * 86_400.0


class Site(NamedTuple):
    """A tenant's place: its devices share its wireless stations and its time zone.

    `stations` are the seeds of the wireless stations that roam among its access points,
    stations.STATIONS_PER_CELL for each; `utc_offset` in seconds.
    """

    tenant: str
    seed: int
    stations: tuple[int, ...]
    utc_offset: int
    zone: str


class Entry(NamedTuple):
    """One row of a written table; `expires` in Unix seconds for an entry with a timeout."""

    values: dict[bytes, bytes]
    expires: float | None = None


@dataclass(slots=True)
class Table:
    """A written table: its entries in order and the number of the next .id."""

    entries: list[Entry]
    next_id: int


class Device:
    """One router: fixed parts from its seed, and the little that commands have changed.

    `tables` holds the writable tables that were written, path to rows; a table nobody wrote
    is made from the seed whenever it is read. `cell` is the access point's place in its site,
    `checked` when it last asked for updates, Unix seconds.
    """

    __slots__ = (
        "activity",
        "board",
        "boots",
        "cell",
        "channel",
        "checked",
        "identity",
        "interfaces",
        "last_change",
        "load",
        "name",
        "password",
        "personality",
        "release",
        "seed",
        "site",
        "started",
        "tables",
        "username",
    )

    def __init__(  # noqa: PLR0913 - a record put together in one place, plan.py
        self,
        *,
        seed: int,
        name: str,
        site: Site,
        cell: int,
        personality: Personality,
        board: Board,
        release: Version,
        activity: Activity,
        interfaces: tuple[Interface, ...],
        username: str,
        password: str,
        started: float,
    ) -> None:
        self.seed = seed
        self.name = name
        self.site = site
        self.cell = cell
        self.personality = personality
        self.board = board
        self.release = release
        self.activity = activity
        self.interfaces = interfaces
        self.username = username
        self.password = password
        self.started = started
        self.boots = Boots(seed)
        self.load = Load(seed, activity, personality.load)
        self.identity = name.encode()
        self.last_change = self.configured
        self.channel = release.channel
        self.checked: float | None = None
        self.tables: dict[str, Table] | None = None

    @property
    def configured(self) -> float:
        """Unix seconds when the router got its configuration, long before the simulation."""
        return self.started - _CONFIGURED_SECONDS

    @property
    def tenant(self) -> str:
        """The tenant this router belongs to."""
        return self.site.tenant

    @property
    def version(self) -> tuple[int, int, int]:
        """RouterOS version as (major, minor, patch)."""
        return self.release.triple

    @property
    def version_text(self) -> str:
        """RouterOS version as packages print it: `7.20`, `7.16.1`."""
        return self.release.text

    @property
    def major(self) -> int:
        """RouterOS generation, 6 or 7."""
        return self.release.major

    def booted(self, now: float) -> float:
        """Unix seconds of the last boot at or before `now`."""
        return self.boots.last(now)

    def next_boot(self, now: float) -> float:
        """Unix seconds of the next scheduled reboot: whoever serves the router hangs up then."""
        return self.boots.next(now)

    def reboot(self, now: float) -> None:
        """Restart: uptime and counters begin anew at `now`."""
        self.boots.reboot(now)

    def local(self, now: float) -> float:
        """`now` moved to the router's time zone, for printing dates."""
        return now + self.site.utc_offset

    def grown(self, now: float, rate: float) -> int:
        """A counter since boot that grows by `rate` a second on average, with the site's rhythm."""
        boot = self.booted(now)
        return int(rate * (self.activity.integral(now) - self.activity.integral(boot)))
