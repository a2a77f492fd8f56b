"""The SQL rates against a plain model in Python, on a real PostgreSQL."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from fleet_writer.database import Connection, Database
from fleet_writer.migrations import migrate
from fleet_writer.partitions import Partitions, partition_for
from fleet_writer.settings import DatabaseSection
from fleet_writer.tables import INTERFACE, STATUS
from fleet_writer.times import wire_moment
from support.postgres import PostgresServer

DAY = 20_000
START = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=DAY)
MAX_GAP_SECONDS = 180
SLACK_SECONDS = 30
COUNTERS = 10
WRAP = 2**32


@dataclass(frozen=True)
class Sample:
    """`at` in seconds from START; no status at all where `rebooted` is None."""

    at: int
    totals: tuple[int | None, ...]
    uptime: int | None
    rebooted: bool | None


@dataclass(frozen=True)
class Rates:
    at: int
    seconds: int
    usable: bool
    per_second: tuple[float | None, ...]
    """rx bits, tx bits, rx and tx packets, errors, drops."""
    link_downs: int | None


def _delta(before: int | None, now: int | None, *, may_wrap: bool) -> int | None:
    if before is None or now is None:
        return None
    if now >= before:
        return now - before
    wrapped = now - before + WRAP
    return wrapped if may_wrap and before < WRAP and wrapped <= WRAP // 2 else None


def model(samples: list[Sample], first: int, end: int) -> list[Rates]:
    """What interface_rates_between promises, said once more and differently."""
    seen = [sample for sample in samples if first - MAX_GAP_SECONDS <= sample.at < end]
    return [_rates(a, b) for a, b in pairwise(seen) if b.at >= first]


def _rates(a: Sample, b: Sample) -> Rates:
    seconds = b.at - a.at
    rebooted = bool(b.rebooted)
    if a.uptime is not None and b.uptime is not None:
        rebooted |= b.uptime + SLACK_SECONDS < a.uptime + seconds
    usable = seconds <= MAX_GAP_SECONDS and not rebooted
    fell = sum(
        before is not None and now is not None and now < before
        for before, now in zip(a.totals[:4], b.totals[:4], strict=True)
    )
    may_wrap = a.uptime is not None and b.uptime is not None and fell <= 1
    per_second: list[float | None] = []
    for position in range(8):
        before, now = a.totals[position], b.totals[position]
        moved = _delta(before, now, may_wrap=may_wrap and position < 4)
        factor = 8 if position < 2 else 1
        per_second.append(factor * moved / seconds if usable and moved is not None else None)
    link_downs = _delta(a.totals[9], b.totals[9], may_wrap=False) if usable else None
    return Rates(b.at, seconds, usable, tuple(per_second), link_downs)


@st.composite
def histories(draw: st.DrawFn) -> list[Sample]:
    """A router's life: counters grow, wrap, are reset, are missing; it reboots; polls fail."""
    at, uptime = 0, draw(st.integers(0, 10_000))
    narrow = draw(st.sets(st.integers(0, COUNTERS - 1)))  # counters of 32 bits
    near_wrap = st.integers(WRAP - 2 * 10**9, WRAP - 1)
    totals = [draw(near_wrap if n in narrow else st.integers(0, 10**10)) for n in range(COUNTERS)]
    steps = st.one_of(st.integers(0, 10**9), st.integers(6 * 10**8, 10**9))
    samples: list[Sample] = []
    for _ in range(draw(st.integers(1, 12))):
        step = draw(st.sampled_from([1, 30, 60, 60, 60, 120, 180, 181, 3_600]))
        at, uptime = at + step, uptime + step + draw(st.sampled_from([0, 0, 0, -29, -31, 5]))
        fate = draw(st.sampled_from(["run", "run", "run", "run", "reset", "reset one", "reboot"]))
        totals = [
            (total + draw(steps)) % (WRAP if n in narrow else 2**62)
            for n, total in enumerate(totals)
        ]
        if fate == "reboot":
            uptime = draw(st.integers(0, 60))
        if fate in {"reboot", "reset"}:
            totals = [draw(st.integers(0, 10**6)) for _ in totals]
        if fate == "reset one":
            totals[draw(st.integers(0, COUNTERS - 1))] = 0
        missing = draw(st.sets(st.integers(0, COUNTERS - 1), max_size=2))
        status = draw(st.sampled_from(["told", "told", "told", "told", "no uptime", "no status"]))
        samples.append(
            Sample(
                at,
                tuple(None if n in missing else total for n, total in enumerate(totals)),
                max(0, uptime) if status == "told" else None,
                None if status == "no status" else fate == "reboot" and draw(st.booleans()),
            )
        )
    return samples


class Rig:
    """A migrated database and the loop that talks to it."""

    def __init__(self, runner: asyncio.Runner, url: str) -> None:
        self._runner = runner
        self._devices = count(1)
        self._connection = runner.run(self._open(url))

    async def _open(self, url: str) -> Connection:
        connection = await Database(DatabaseSection(url=SecretStr(url))).connect("rates")
        partitions = Partitions(await migrate(connection))
        await partitions.make(
            connection, [partition_for(table, DAY) for table in (INTERFACE, STATUS)]
        )
        return connection

    def close(self) -> None:
        self._runner.run(self._connection.close())

    def rates(self, samples: list[Sample], first: int, end: int) -> list[Rates]:
        """Store the samples as a new device's and read its rates."""
        return self._runner.run(self._rates(next(self._devices), samples, first, end))

    async def _rates(self, device: int, samples: list[Sample], first: int, end: int) -> list[Rates]:
        connection = self._connection
        statuses = [
            (device, _moment(one.at), True, one.rebooted, one.uptime, 0, 0, 0, None)
            for one in samples
            if one.rebooted is not None
        ]
        # A second interface with the same slots must not mix with the first.
        rows = [
            (device, _moment(one.at), interface, True, False, *totals)
            for one in samples
            for interface, totals in ((1, one.totals), (2, (0,) * COUNTERS))
        ]
        await connection.copy_rows(partition_for(STATUS, DAY).name, STATUS.columns, statuses)
        await connection.copy_rows(partition_for(INTERFACE, DAY).name, INTERFACE.columns, rows)
        found = await connection.fetch(
            "SELECT * FROM interface_rates_between($1, $2) "
            "WHERE device_id = $3 AND interface_id = 1 ORDER BY slot",
            _moment(first),
            _moment(end),
            device,
        )
        return [
            Rates(
                round((row["slot"] - START).total_seconds()),
                row["seconds"],
                row["usable"],
                tuple(row.values())[5:13],
                row["link_downs"],
            )
            for row in found
        ]


def _moment(at: int) -> bytes:
    return wire_moment(START + timedelta(seconds=at))


@pytest.fixture(scope="module")
def rig(postgres_server: PostgresServer) -> Iterator[Rig]:
    name = postgres_server.create_database()
    with asyncio.Runner() as runner:
        one = Rig(runner, postgres_server.url(name))
        yield one
        one.close()
    postgres_server.drop_database(name)


def _sample(at: int, total: int, uptime: int | None, *, rebooted: bool = False) -> Sample:
    return Sample(at, (total,) * COUNTERS, uptime, rebooted)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories(), st.integers(0, 300), st.integers(1_000, 4_000))
@example([_sample(60, WRAP - 10, 100), _sample(120, 5, 160)], 0, 10_000)
@example([_sample(60, 100, 1_000), _sample(120, 200, 10)], 0, 10_000)
@example([_sample(60, 100, None), _sample(241, 200, None)], 0, 10_000)
def test_rates_are_what_the_model_says(
    rig: Rig, samples: list[Sample], first: int, length: int
) -> None:
    end = first + length

    found = rig.rates(samples, first, end)

    expected = model(samples, first, end)
    assert [(one.at, one.seconds, one.usable, one.link_downs) for one in found] == [
        (one.at, one.seconds, one.usable, one.link_downs) for one in expected
    ]
    for one, wanted in zip(found, expected, strict=True):
        assert one.per_second == pytest.approx(wanted.per_second, nan_ok=False)


def test_a_steady_counter_has_its_rate(rig: Rig) -> None:
    (rates,) = rig.rates([_sample(60, 1_000, 100), _sample(120, 7_000, 160)], 0, 10_000)

    assert (rates.per_second[0], rates.per_second[2]) == (800.0, 100.0)


@pytest.mark.parametrize("other", [10, None])
def test_one_counter_that_wraps_goes_on(rig: Rig, other: int | None) -> None:
    before = Sample(60, (other, WRAP - 600, *(10,) * 8), 100, rebooted=False)
    after = Sample(120, (other, 0, *(10,) * 8), 160, rebooted=False)

    (rates,) = rig.rates([before, after], 0, 10_000)

    assert rates.per_second[:2] == (other and 0.0, 80.0)


def test_two_totals_that_fall_together_were_reset(rig: Rig) -> None:
    before = Sample(60, (WRAP - 600, WRAP - 600, *(10,) * 8), 100, rebooted=False)
    after = Sample(120, (0, 0, *(10,) * 8), 160, rebooted=False)

    (rates,) = rig.rates([before, after], 0, 10_000)

    assert rates.per_second[:3] == (None, None, 0.0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_sample(60, 10**6, 1_000), _sample(120, 10**6 + 60, 1_060, rebooted=True)),
        (_sample(60, 10**6, 1_000), _sample(120, 10**6 + 60, 20)),
        (_sample(60, 10**6, 1_000), _sample(241, 10**6 + 60, 1_181)),
    ],
    ids=["reboot said", "uptime fell", "gap"],
)
def test_no_rate_where_nobody_knows_what_happened(rig: Rig, before: Sample, after: Sample) -> None:
    (rates,) = rig.rates([before, after], 0, 10_000)

    assert not rates.usable
    assert rates.per_second == (None,) * 8


def test_counters_reset_by_hand_give_no_rate_and_no_spike(rig: Rig) -> None:
    (rates,) = rig.rates([_sample(60, 3 * 10**9, 100), _sample(120, 10, 160)], 0, 10_000)

    assert rates.usable
    assert rates.per_second == (None,) * 8
