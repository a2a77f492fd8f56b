"""What each figure means, its unit and what it should reach."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One key of .bench/results.json."""

    key: str
    unit: str
    better: Literal["more", "less"]
    target: float | None
    meaning: str

    def met(self, value: float) -> bool | None:
        """Whether the value reaches the target; None where there is none."""
        if self.target is None:
            return None
        return value >= self.target if self.better == "more" else value <= self.target


FIGURES: tuple[Figure, ...] = (
    Figure(
        "stored_bytes_per_poll",
        "B",
        "less",
        800,
        "stream bytes for one poll of a router with 10 interfaces, default cadences, "
        "with its share of the rarer kinds",
    ),
    Figure(
        "stored_bytes_per_poll_access_point",
        "B",
        "less",
        None,
        "the same for an access point: 2 radios, 6 clients",
    ),
    Figure("polls_per_core", "polls/s", "more", 1200, "polls of five kinds per CPU second"),
    Figure("polls_ratio_to_librouteros", "x", "more", 5, "the same reads by stock librouteros = 1"),
    Figure(
        "polls_ratio_whole_to_librouteros",
        "x",
        "more",
        None,
        "the whole poll, events encoded and acknowledged; stock librouteros only reading = 1",
    ),
    Figure("poller_kb_per_idle_device", "KB", "less", 40, "resident memory of a connected device"),
    Figure(
        "poller_core_percent_101_devices", "%", "less", 1, "CPU of a shard, 101 devices at 60 s"
    ),
    Figure(
        "device_metrics_ratio_to_prometheus_client",
        "x",
        "more",
        5,
        "the same samples by prometheus_client's generate_latest = 1",
    ),
    Figure("device_metrics_cpu_us_per_sample", "us", "less", None, "CPU of a scrape by sample"),
    Figure(
        "device_metrics_longest_hold_ms",
        "ms",
        "less",
        10,
        "CPU that a scrape of 1,000 devices takes at a time before others run, at most",
    ),
    Figure(
        "device_metrics_bytes_per_device",
        "B",
        "less",
        8192,
        "held for device metrics: 10 interfaces, 6 clients, scraped",
    ),
    Figure("simulator_mb_2000_devices", "MB", "less", 400, "2,000 routers in one process"),
    Figure("simulator_polls_per_core", "polls/s", "more", None, "polls answered per CPU second"),
    Figure("writer_rows_per_second", "rows/s", "more", None, "rows from NATS to PostgreSQL"),
    Figure("writer_ratio_to_copy", "x", "more", 0.5, "raw asyncpg COPY of the same rows = 1"),
    Figure(
        "writer_ratio_to_copy_cpu",
        "x",
        "more",
        None,
        "CPU of raw COPY, server included, by CPU of the whole path, both servers included",
    ),
    Figure("writer_cpu_us_per_row", "us", "less", None, "CPU of the writer alone per row"),
    Figure("sse_deliveries_per_core_raw", "1/s", "more", 40_000, "500 clients, every event"),
    Figure("sse_deliveries_per_core_coalesced", "1/s", "more", 120_000, "500 clients, coalesced"),
    Figure("sse_p99_ms", "ms", "less", 250, "publish to client, 500 clients, 100 events/s"),
    Figure("sse_kb_per_client", "KB", "less", 15, "resident memory of an idle client"),
    *(
        Figure(
            f"cpu_ratio_{item}_{size}_to_100",
            "x",
            "less",
            1.3,
            f"{meaning}, {size:,} devices against 100",
        )
        for item, meaning in (
            ("poll", "the poller's CPU per poll"),
            ("write", "the writer's CPU per stored event, catching up"),
            ("write_live", "the writer's CPU per stored event, at the fleet's rate"),
            ("sse", "the gateway's CPU per delivery"),
        )
        for size in (1_000, 5_000, 10_000)
    ),
    *(
        Figure(
            f"memory_ratio_{service}",
            "x",
            "less",
            1.3,
            f"memory a device adds to the {service}, 5,000 to 10,000 against 1,000 to 5,000",
        )
        for service in ("poller", "writer", "gateway")
    ),
)


def figure(key: str) -> Figure | None:
    """The figure of a key, if it is one of the listed."""
    return next((entry for entry in FIGURES if entry.key == key), None)
