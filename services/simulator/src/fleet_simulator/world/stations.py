"""Wireless stations: who is joined to which access point when, how strong and how busy.

A site's stations have a home cell and may be found in its two neighbours as well, so an
access point asks only the stations of three cells. A station's time is cut into sessions;
each session's place, or absence, follows from (station, session), so a station is joined to
one access point at a time and moving on is roaming.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fleet_simulator.world.formats import mac_address
from fleet_simulator.world.noise import mix, smooth, staircase, unit

STATIONS_PER_CELL = 6
_HOME, _NEXT = 160, 208
"""Of 256 sessions, those spent at home, and those up to which the next cell is visited."""
_STAY, _SESSION = 6 * 86_400, 1800
_PRESENCE = (
    30, 26, 24, 24, 24, 26, 34, 70, 130, 190, 210, 214,
    196, 204, 214, 210, 190, 160, 130, 116, 104, 88, 64, 44,
)  # fmt: skip
"""Of 256 sessions that begin in each local hour, those in which a station is there at all."""
_DAY = 86_400.0
_BURST_SECONDS, _STEADY = 40.0, 0.4
VENDORS = (0x3C22FB, 0xA4CF12, 0xDCA632, 0xF0D1A9, 0x7C2A31, 0x48A98A)


class Traffic(NamedTuple):
    """A station's traffic seen from the access point: bytes so far and bits per second now."""

    sent: int
    received: int
    tx_bps: int
    rx_bps: int


class Station(NamedTuple):
    """A station joined to an access point since `joined` (Unix seconds)."""

    seed: int
    number: int
    session: int
    joined: float

    @property
    def mac(self) -> bytes:
        """Its MAC address, the same wherever it goes."""
        return mac_address(self.seed >> 8, VENDORS[self.seed % len(VENDORS)])

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

    def traffic(self, now: float) -> Traffic:
        """What went to it and came from it since it joined; rises with `now`."""
        now = math.floor(now * 1000.0) / 1000.0
        bits = mix(self.seed, ~self.session)
        rate = 600.0 * 2.0 ** ((bits & 0xFF) / 26.0)
        back = 0.05 + (bits >> 8 & 0xFF) / 640.0
        start = staircase(bits, self.joined / _BURST_SECONDS)
        position = now / _BURST_SECONDS
        burst = max(staircase(bits, position) - start, 0.0) * _BURST_SECONDS
        sent = rate * (_STEADY * max(now - self.joined, 0.0) + (1.0 - _STEADY) * burst)
        slope = 1.0 + unit(bits, math.floor(position) + 1) - unit(bits, math.floor(position))
        speed = 8.0 * rate * (_STEADY + (1.0 - _STEADY) * slope)
        return Traffic(int(sent), int(sent * back), int(speed), int(speed * back))


def station_seeds(seed: int, cells: int) -> tuple[int, ...]:
    """The seeds of all stations of a site with `cells` access points, by station number."""
    return tuple(mix(seed, number) for number in range(cells * STATIONS_PER_CELL))


def roster(
    seeds: Sequence[int], cell: int, utc_offset: int, now: float, boot: float
) -> Iterator[Station]:
    """The stations of a site joined to its cell `cell` at `now`, home cell by home cell."""
    cells = len(seeds) // STATIONS_PER_CELL
    for home in {(cell - 1) % cells, cell, (cell + 1) % cells}:
        first = home * STATIONS_PER_CELL
        for number in range(first, first + STATIONS_PER_CELL):
            seed = seeds[number]
            if number == first:
                # The printer in the corner: it stays for days and never moves.
                if home != cell:
                    continue
                period = _STAY + seed % _STAY
            else:
                period = _SESSION + seed % _SESSION
            session = int((now + seed % period) / period)
            since = session * period - seed % period
            if number != first:
                bits = mix(seed, session)
                hour = int((since + utc_offset) % _DAY) // 3600
                if bits >> 44 & 0xFF > _PRESENCE[hour]:
                    continue
                place = bits >> 52 & 0xFF
                step = 0 if place < _HOME else 1 if place < _NEXT else -1
                if (home + step) % cells != cell:
                    continue
            joined = max(since, boot + 5.0 + seed % 20)
            if joined <= now:
                yield Station(seed, number, session, joined)
