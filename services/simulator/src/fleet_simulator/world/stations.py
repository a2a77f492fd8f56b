"""Wireless stations: who is joined to which access point when, how strong and how busy.

A site's stations have a home cell and may be found in its two neighbours as well, so an
access point asks only the stations of three cells. A station's time is cut into sessions;
each session's place, or absence, follows from (station, session), so a station is joined to
one access point at a time and moving on is roaming.
"""

from collections.abc import Iterator
from typing import NamedTuple

from fleet_simulator.world.activity import Activity
from fleet_simulator.world.formats import mac_address
from fleet_simulator.world.noise import mix, recurrence, smooth, staircase

STATIONS_PER_CELL = 6
_HOME, _NEXT = 0.62, 0.81
_DAY = 86_400.0
_BURST_SECONDS = 40.0
_VENDORS = (0x3C22FB, 0xA4CF12, 0xDCA632, 0xF0D1A9, 0x7C2A31, 0x48A98A)


class Station(NamedTuple):
    """A station joined to an access point since `joined` (Unix seconds)."""

    seed: int
    number: int
    session: int
    joined: float

    @property
    def mac(self) -> bytes:
        """Its MAC address, the same wherever it goes."""
        return mac_address(self.seed >> 8, _VENDORS[self.seed % len(_VENDORS)])

    @property
    def prefers_5ghz(self) -> bool:
        """Whether it joins the 5 GHz radio where there is one."""
        return self.seed >> 40 & 3 != 0

    @property
    def chains(self) -> int:
        """Spatial streams, 1 or 2."""
        return 1 + (self.seed >> 42 & 1)

    def signal(self, now: float) -> int:
        """Signal in dBm at the access point, wandering around the session's mean."""
        bits = mix(self.seed, self.session)
        mean = -44.0 - (bits >> 12 & 0xFF) / 255.0 * 36.0
        return round(mean + 7.0 * (smooth(bits, now, 25.0) - 0.5))

    def traffic(self, now: float) -> tuple[int, int]:
        """(sent to it, received from it) bytes since it joined; both rise with `now`."""
        bits = mix(self.seed, ~self.session)
        rate = 600.0 * 2.0 ** ((bits & 0xFF) / 26.0)
        age = max(now - self.joined, 0.0)
        burst = staircase(bits, now / _BURST_SECONDS) - staircase(
            bits, self.joined / _BURST_SECONDS
        )
        sent = rate * (0.4 * age + 0.6 * _BURST_SECONDS * max(burst, 0.0))
        return int(sent), int(sent * (0.05 + (bits >> 8 & 0xFF) / 640.0))


def stations_at(  # noqa: PLR0917 - the three that place a cell, the two that place a time
    site_seed: int, cells: int, cell: int, activity: Activity, now: float, boot: float
) -> Iterator[Station]:
    """The stations joined to `cell` of a ring of `cells` at `now`, by station number."""
    homes = {cell, (cell - 1) % cells, (cell + 1) % cells}
    for home in sorted(homes):
        for number in range(home * STATIONS_PER_CELL, (home + 1) * STATIONS_PER_CELL):
            seed = mix(site_seed, number)
            fixed = number % STATIONS_PER_CELL == 0
            period = _DAY * (6 + seed % 9) if fixed else 1800.0 + seed % 5400
            session, since = recurrence(seed, now, period)
            bits = mix(seed, session ^ 0x5E55)
            if not fixed:
                level = activity.level(since)
                if (bits & 0xFFFF) / 65_536.0 > 0.12 + 0.42 * level:
                    continue
                place = (bits >> 16 & 0xFFFF) / 65_536.0
                step = 0 if place < _HOME else 1 if place < _NEXT else -1
                if (home + step) % cells != cell:
                    continue
            elif home != cell:
                continue
            yield Station(seed, number, session, max(since, boot + 5.0 + seed % 20))
