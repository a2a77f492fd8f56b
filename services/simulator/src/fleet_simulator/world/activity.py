"""How busy a site is: a daily and weekly rhythm, and its integral in closed form.

Every traffic counter is a rising function of the integral, so a counter at any time costs
the same, however long ago the router booted.
"""

import math

_DAY = 86_400.0
_TWO_PI = 2.0 * math.pi
_DAILY, _HALF_DAILY, _WEEKLY = 0.58, 0.14, 0.10
_PEAK_HOUR = 15.5


class Activity:
    """The rhythm of one site: local time is `utc_offset` seconds ahead of UTC."""

    __slots__ = ("_now", "_phase", "_value", "utc_offset")

    def __init__(self, utc_offset: int, peak_shift_hours: float) -> None:
        self.utc_offset = utc_offset
        # The integral last asked for: all interfaces of a router ask at the same time.
        self._now = self._value = math.nan
        # A sine peaks a quarter turn after its zero.
        self._phase = utc_offset - (_PEAK_HOUR + peak_shift_hours - 6.0) * 3600.0

    def level(self, now: float) -> float:
        """Traffic relative to the long-term mean: mean 1, between 0.18 and 1.82."""
        angle = (now + self._phase) % (7 * _DAY) * (_TWO_PI / _DAY)
        return (
            1.0
            + _DAILY * math.sin(angle)
            - _HALF_DAILY * math.sin(2.0 * angle)
            + _WEEKLY * math.sin(angle / 7.0)
        )

    def integral(self, now: float) -> float:
        """Integral of `level`, in seconds of mean activity; rises with `now`.

        Time goes in whole milliseconds, each of them worth more than the rounding of a float.
        """
        if now == self._now:
            return self._value
        asked, now = now, math.floor(now * 1000.0) / 1000.0
        angle = (now + self._phase) % (7 * _DAY) * (_TWO_PI / _DAY)
        value = now - (_DAY / _TWO_PI) * (
            _DAILY * math.cos(angle)
            - _HALF_DAILY / 2.0 * math.cos(2.0 * angle)
            + _WEEKLY * 7.0 * math.cos(angle / 7.0)
        )
        self._now, self._value = asked, value
        return value

    def hour(self, now: float) -> float:
        """Local hour of the day, 0 to 24."""
        return (now + self.utc_offset) % _DAY / 3600.0
