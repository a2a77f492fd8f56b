"""The figures that the chart sizes NATS by: fleet_common.planning's, as a file of the chart."""

from pathlib import Path
from typing import Final

from fleet_common.planning import ServerBudget, bucket_reservations
from fleet_common.planning.budget import (
    DISK_OVERHEAD,
    FILE_STREAM_CACHE_BYTES,
    MEMORY_STREAM_RESIDENT,
    MESSAGE_ID_BYTES,
    RESIDENT_SHARE,
    SERVER_BASE_BYTES,
)
from fleet_contracts.streams import DUPLICATE_WINDOW_SECONDS
from pages import page_command, write_page

PAGE: Final = Path(__file__).resolve().parent.parent / "charts/routerfleet/files/sizes.yaml"


def render() -> str:
    """The file. Whole numbers stay whole: Helm's arithmetic tells them apart."""
    buckets = bucket_reservations()
    large = ServerBudget(memory_limit_bytes=1024**3, disk_bytes=0)
    figures: dict[str, float] = {
        "serverBaseBytes": SERVER_BASE_BYTES,
        "memoryStreamResident": MEMORY_STREAM_RESIDENT,
        "fileStreamCacheBytes": FILE_STREAM_CACHE_BYTES,
        "messageIdBytes": MESSAGE_ID_BYTES,
        "duplicateWindowSeconds": DUPLICATE_WINDOW_SECONDS,
        "diskOverhead": DISK_OVERHEAD,
        "residentShare": RESIDENT_SHARE,
        "outsideGoBytes": int(large.memory_limit_bytes * RESIDENT_SHARE)
        - large.go_memory_limit_bytes,
        "buckets": len(buckets),
        "bucketBytes": sum(one.size_bytes for one in buckets),
    }
    lines = ["# Made from fleet_common.planning by tools/chart_figures.py (`make generate`)."]
    return "\n".join([*lines, *(f"{name}: {value!r}" for name, value in figures.items())]) + "\n"


def write() -> None:
    """Write the file."""
    write_page(PAGE, render())


if __name__ == "__main__":
    page_command(PAGE, render)
