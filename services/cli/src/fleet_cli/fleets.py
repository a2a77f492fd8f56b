"""The fleets of a run: read from a file, adjusted by options, watched for edits."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fleet_common.errors import ConfigurationError
from fleet_common.fleet_spec import RouterFleet, TlsMode, load_fleet_file
from fleet_common.inventory import device_records

_LOOK_SECONDS: Final = 1.0
_LOGIN_FILES: Final = ("username", "password")
_SHOWN: Final = 5

type Stamp = tuple[int, int]
"""Time of change (ns) and size of a file."""


@dataclass(frozen=True, slots=True)
class FleetSource:
    """Where fleets come from. `interval` (seconds) replaces every fleet's own."""

    file: Path
    credentials_directory: Path
    interval: float | None

    def load(self) -> list[RouterFleet]:
        """Read and check the file. Raises ConfigurationError naming file, field and value."""
        return [with_interval(fleet, self.interval) for fleet in load_fleet_file(self.file)]

    def stamp(self) -> Stamp | None:
        """What changes with every edit; None while the file cannot be looked at."""
        try:
            status = self.file.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size

    async def edits(
        self, seen: Stamp | None
    ) -> AsyncGenerator[list[RouterFleet] | ConfigurationError]:
        """After each edit the fleets, or what is wrong with them: what runs goes on then.

        `seen`: the stamp before the fleets were loaded, so that no edit since then is missed.
        """
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            stamp = self.stamp()
            if stamp == seen:
                continue
            seen = stamp
            try:
                yield self.load()
            except ConfigurationError as error:
                yield error


def with_interval(fleet: RouterFleet, interval: float | None) -> RouterFleet:
    """The fleet polled at another interval; its other cadences stay."""
    if interval is None:
        return fleet
    cadence = fleet.spec.cadence.model_copy(update={"interval": interval})
    return fleet.model_copy(update={"spec": fleet.spec.model_copy(update={"cadence": cadence})})


def active_devices(fleets: Sequence[RouterFleet]) -> frozenset[tuple[str, str]]:
    """(tenant, device) of all that are polled."""
    return frozenset(
        (record.tenant, record.device)
        for fleet in fleets
        for record in device_records(fleet)
        if not record.suspend
    )


def missing_secrets(fleets: Sequence[RouterFleet], directory: Path) -> list[str]:
    """A line for each file that a device needs and that is not there; the others go on."""
    needed_by: dict[Path, list[str]] = {}
    for fleet in fleets:
        for record in device_records(fleet):
            folder = directory / record.credentials_secret
            files = [folder / name for name in _LOGIN_FILES]
            if record.tls.mode is TlsMode.VERIFY and record.tls.ca_secret_ref is not None:
                files.append(directory / record.tls.ca_secret_ref.name / "ca.crt")
            for file in files:
                needed_by.setdefault(file, []).append(f"{record.tenant}/{record.device}")
    return [
        f"secret file {file} is missing: {_named(devices)} cannot be polled until it is there"
        for file, devices in needed_by.items()
        if not file.is_file()
    ]


def _named(devices: Sequence[str]) -> str:
    shown = ", ".join(devices[:_SHOWN])
    more = len(devices) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
