"""Health that follows the work, not the connection.

A part of the service registers a check; the check passes while the part shows
progress. /healthz is red as soon as one check fails, with the reason in its body.
/livez is red only for what a new process may cure: a supervisor that starts a service
again and again because its database is full takes away its metrics, and in the end keeps
it waiting when the disk has room again.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

type Probe = Callable[[], str | None]
"""Returns None when well, else the reason in words an operator understands."""


class Progress:
    """A heartbeat: well while `beat` was called within `limit_seconds`, or while nothing is due."""

    def __init__(self, limit_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._last_beat = clock()
        self._idle = False

    def beat(self) -> None:
        """Work was done just now."""
        self._last_beat = self._clock()
        self._idle = False

    def idle(self) -> None:
        """Nothing is due until the next beat: silence is no fault."""
        self._idle = True

    def expect(self) -> None:
        """Work is due from now on; the time allowed begins anew if it was idle."""
        if self._idle:
            self.beat()

    @property
    def limit_seconds(self) -> float:
        """How long there may be no beat."""
        return self._limit_seconds

    @property
    def age_seconds(self) -> float:
        """Seconds since the last beat."""
        return self._clock() - self._last_beat

    def why_unwell(self) -> str | None:
        """None, or how long there was no progress."""
        if self._idle or self.age_seconds <= self._limit_seconds:
            return None
        return f"no progress for {self.age_seconds:.0f} s (limit {self._limit_seconds:g} s)"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The outcome of all checks: name to reason for those that fail."""

    failing: dict[str, str]
    passing: tuple[str, ...]

    @property
    def well(self) -> bool:
        """Whether every check passes."""
        return not self.failing


class Health:
    """All checks of one process."""

    def __init__(self) -> None:
        self._probes: dict[str, Probe] = {}
        self._elsewhere: set[str] = set()
        self._ready = False

    def register(self, name: str, probe: Probe, *, elsewhere: bool = False) -> None:
        """Add or replace a check. `elsewhere`: what it finds, a restart would not cure."""
        self._probes[name] = probe
        self._elsewhere.discard(name)
        if elsewhere:
            self._elsewhere.add(name)

    def progress(self, name: str, limit_seconds: float, *, elsewhere: bool = False) -> Progress:
        """Add a heartbeat check and return it."""
        watch = Progress(limit_seconds)
        self.register(name, watch.why_unwell, elsewhere=elsewhere)
        return watch

    def set_ready(self, *, ready: bool) -> None:
        """Whether the service takes work (/readyz); false again while it drains."""
        self._ready = ready

    @property
    def ready(self) -> bool:
        """What /readyz says."""
        return self._ready

    def report(self) -> HealthReport:
        """Run all checks now; they do no I/O."""
        return self._report(self._probes)

    def report_own(self) -> HealthReport:
        """Run the checks of what a new process may cure (/livez)."""
        return self._report([name for name in self._probes if name not in self._elsewhere])

    def _report(self, names: Iterable[str]) -> HealthReport:
        results = {name: self._probes[name]() for name in names}
        failing = {name: reason for name, reason in results.items() if reason is not None}
        return HealthReport(failing, tuple(name for name in results if name not in failing))
