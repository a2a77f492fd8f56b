"""What a chaos run is asked to do."""

import argparse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """See the help texts in `parse`."""

    kills: int
    runs: int
    seed: int
    devices: int
    tenants: int
    interval: str
    at_once: int
    limit: float
    folder: Path | None
    json_file: Path | None
    disk_mb: int


def parse() -> Options:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=2, help="kills of each component")
    parser.add_argument("--runs", type=int, default=1, help="runs the kills are spread over")
    parser.add_argument("--seed", type=int, default=1, help="the same seed: the same plan")
    parser.add_argument("--devices", type=int, default=30, help="simulated routers")
    parser.add_argument("--tenants", type=int, default=3, help="tenants they are spread over")
    parser.add_argument("--interval", default="1s", help="time between two polls of a device")
    parser.add_argument("--at-once", type=int, default=2, help="components down at a time")
    parser.add_argument(
        "--limit", type=float, default=60.0, help="seconds of strikes in one phase at most"
    )
    parser.add_argument(
        "--folder", type=Path, help="data folder, kept afterwards; a temporary one by default"
    )
    parser.add_argument("--json", dest="json_file", type=Path, help="write the result there too")
    parser.add_argument(
        "--disk-mb", type=int, default=320, help="size of the database's own disk; 0: none"
    )
    return Options(**vars(parser.parse_args()))
