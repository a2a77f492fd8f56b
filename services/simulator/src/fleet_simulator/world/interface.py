"""One interface: its link and its counters as functions of time.

Bytes are `rate x (steady share + bursty share)` over the site's activity integral; both
shares rise, so counters rise, and each is computed from two hashes. While the link is down
the counter stands still; the traffic of the break is made up until the next one.
All interface counters of RouterOS are 64 bits wide.
"""

import math
from typing import NamedTuple

from fleet_simulator.world.activity import Activity
from fleet_simulator.world.link import NEVER, Flap, Link, flap_at, flap_end, flaps_before
from fleet_simulator.world.noise import mix
from fleet_simulator.world.personality import Role

_BURST_SECONDS = 90.0
_STEADY = 0.35
_HIGH, _LOW = 2.0**-32, 0xFFFF_FFFF


class Interface:
    """One interface. Rates are bytes per second of mean activity; sizes bytes per packet."""

    __slots__ = (
        "_after",
        "_at_flap",
        "_boot",
        "_flap",
        "_flaps",
        "_frozen",
        "_here",
        "_index",
        "_lost",
        "_start",
        "activity",
        "band",
        "comment",
        "default_name",
        "fixed",
        "flap_period",
        "index",
        "kind",
        "mac",
        "master",
        "mbps",
        "name",
        "poe_out",
        "role",
        "rx_rate",
        "rx_size",
        "seed",
        "switched",
        "tag",
        "tx_rate",
        "tx_size",
        "went_down",
        "went_up",
    )

    def __init__(  # noqa: PLR0917 - made in one place, plan.py
        self, index: int, name: bytes, kind: bytes, role: Role, seed: int, activity: Activity
    ) -> None:
        self.index = index
        self.name = name
        self.default_name: bytes | None = None
        self.fixed: dict[bytes, bytes] | None = None
        self.kind = kind
        self.role = role
        self.seed = seed
        self.activity = activity
        self.mac = b""
        self.comment: bytes | None = None
        self.master: bytes | None = None
        self.mbps = 1000
        self.tag = 0
        self.band = ""
        self.poe_out = False
        self.rx_rate = self.tx_rate = 0.0
        self.rx_size = 260 + mix(seed, 1) % 400
        self.tx_size = 520 + mix(seed, 2) % 700
        self.flap_period = 0.0
        self.switched: Switched | None = None
        # When the link last changed, as printed: it changes far more rarely than it is read.
        self.went_down: Printed | None = None
        self.went_up: Printed | None = None
        self._index, self._here, self._after = -1, 0, mix(seed, 0)
        self._boot = math.nan
        self._start = (0.0, 0.0, 0.0)
        self._flap = NEVER
        self._flaps = 0
        self._at_flap = (0.0, 0.0, 0.0)
        self._frozen: float | None = None
        self._lost = 0.0

    @property
    def plugged(self) -> bool:
        """Whether something is at the other end."""
        return self.role is not Role.IDLE

    @property
    def disabled(self) -> bool:
        """Whether it was switched off by hand."""
        return self._frozen is not None

    def link(self, now: float, boot: float) -> Link:
        """State of the link at `now` on a router booted at `boot`."""
        running = self._frozen is None and self.role is not Role.IDLE
        up = boot + 1.0 + self.seed % 3
        down, downs = None, 0
        switched = self.switched
        if self.flap_period:
            # A port that is switched off has no link to lose.
            flap = self._flap_at(now if self._frozen is None or switched is None else switched.off)
            if flap.down > boot:
                if boot != self._boot:
                    self._begin(boot)
                downs = flap.number - self._flaps
                if switched is None or not switched.off < flap.down < switched.on:
                    down = flap.down
                if now >= flap.up:
                    up = max(up, flap.up)
                else:
                    running = False
                    up = max(up, flap_end(self.seed, flap.number - 1, self.flap_period))
        if switched is not None and switched.off > boot:
            downs += switched.times
            down = switched.off if down is None else max(down, switched.off)
            up = max(up, switched.on)
        return Link(running and now >= up, downs, down, up)

    def counters(self, now: float, boot: float) -> tuple[int, int]:
        """(received, sent) bytes since `boot`; both rise with `now`."""
        if self.role is Role.IDLE:
            return 0, 0
        if boot != self._boot:
            self._begin(boot)
        position = self._position(now)
        start, rx0, tx0 = self._start
        rx, tx = self._bursts(position / _BURST_SECONDS)
        steady = _STEADY * (position - start)
        burst = (1.0 - _STEADY) * _BURST_SECONDS
        return (
            int(self.rx_rate * (steady + burst * (rx - rx0))),
            int(self.tx_rate * (steady + burst * (tx - tx0))),
        )

    def switch_off(self, now: float, boot: float) -> None:
        """Disable: the link goes down and counting stops."""
        if self._frozen is None:
            self._begin(boot)
            self._frozen = self._position(now)
            times = self.switched.times + 1 if self.switched else 1
            self.switched = Switched(off=now, on=-math.inf, times=times)

    def switch_on(self, now: float, boot: float) -> None:
        """Enable: counting goes on from where it stopped."""
        if self._frozen is not None and self.switched is not None:
            if boot != self._boot:
                self._begin(boot)
            frozen, self._frozen = self._frozen, None
            self._lost += self._position(now) - frozen
            if self.flap_period:
                self._flaps += flaps_before(self.seed, now, self.flap_period)
                self._flaps -= flaps_before(self.seed, self.switched.off, self.flap_period)
            self.switched = Switched(self.switched.off, now, self.switched.times)

    def _begin(self, boot: float) -> None:
        position = self._position(boot)
        rx, tx = self._bursts(position / _BURST_SECONDS)
        self._boot = boot
        self._start = (position, rx, tx)
        if self.flap_period:
            self._flaps = flaps_before(self.seed, boot, self.flap_period)

    def _position(self, now: float) -> float:
        """Seconds of mean activity this interface has been working for, from any origin."""
        position = self.activity.integral(now)
        if self.flap_period:
            self._flap_at(now)
            down, up, following = self._at_flap
            if position <= up:
                position = down
            else:
                position = down + (position - up) * (following - down) / (following - up)
        position -= self._lost
        return position if self._frozen is None else min(position, self._frozen)

    def _bursts(self, position: float) -> tuple[float, float]:
        """`noise.staircase` twice from the same two hashes: for what is received and sent.

        The hashes are kept for the next reading, which is most often in this step or the next.
        """
        index = math.floor(position)
        if index != self._index:
            self._here = self._after if index == self._index + 1 else mix(self.seed, index)
            self._after = mix(self.seed, index + 1)
            self._index = index
        here, after = self._here, self._after
        part = position - index
        rx, tx = (here >> 32) * _HIGH, (here & _LOW) * _HIGH
        return (
            index + rx + (1.0 + (after >> 32) * _HIGH - rx) * part,
            index + tx + (1.0 + (after & _LOW) * _HIGH - tx) * part,
        )

    def _flap_at(self, now: float) -> Flap:
        flap = self._flap
        if not flap.down <= now < flap.following:
            flap = self._flap = flap_at(self.seed, now, self.flap_period)
            integral = self.activity.integral
            self._at_flap = (integral(flap.down), integral(flap.up), integral(flap.following))
        return flap


class Printed(NamedTuple):
    """A moment in Unix seconds and how the router prints it."""

    moment: float
    text: bytes


class Switched(NamedTuple):
    """When an interface was last disabled and enabled by hand, and how often."""

    off: float
    on: float
    times: int
