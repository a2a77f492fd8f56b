"""The soak's pure parts: slots, sizes, books, verdicts, files, picture."""

import json
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from fleet_cli.commands import build_app
from fleet_cli.soak.command import merge, read_results
from fleet_cli.soak.model import (
    Account,
    Moment,
    Sample,
    SoakRun,
    SseTally,
    Trim,
    run_from_json,
)
from fleet_cli.soak.options import Mode, SoakOptions, cadence_of
from fleet_cli.soak.padding import Padder, filler, five_events, stored_bytes
from fleet_cli.soak.plot import draw
from fleet_cli.soak.report import cells_of, conclusion
from fleet_cli.soak.slots import VirtualClock, slots_between
from fleet_common.capacity import Naive
from fleet_contracts.codec import decode
from fleet_contracts.subjects import DeviceId, Kind
from fleet_poller.events import Occasion, OutgoingEvent, poll_events
from fleet_poller.readings import PollReadings

SUBJECT = "fleet.north.core-1.status"
START = 1_790_000_040_000

SAMPLE = Sample(
    hour=1.0,
    source="direct",
    stream_bytes=1000,
    max_bytes=2000,
    messages=10,
    server_rss_bytes=20_000_000,
    window_hours=0.5,
    age_hours=0.1,
    unstored=0,
    waiting=0,
    dropped=0,
    made=10,
    stored=10,
    sse_events=2,
)
ACCOUNT = Account(
    tenant="north",
    made=10,
    waiting=0,
    dropped=0,
    in_stream=10,
    stored=10,
    rejected=0,
    lost=0,
    keys=10,
    rows_duplicate=0,
)


def finished(mode: Mode = Mode.PLANNED, account: Account = ACCOUNT) -> SoakRun:
    return SoakRun(
        mode,
        hours=1.0,
        wire_hours=0.5,
        limit_bytes=3000,
        samples=[SAMPLE],
        accounts=[account],
        sse={"events": 2, "twice": 0, "holes": 0, "resets": 0, "connects": 1},
        polls={"wire": 1, "direct": 1},
    )


# --- slots ---------------------------------------------------------------------------


def test_each_device_has_one_slot_in_each_minute_in_the_order_of_time() -> None:
    names = [DeviceId(f"router-{number}") for number in range(40)]
    seen: dict[int, list[int]] = {number: [] for number in range(40)}
    for minute in range(5):
        begin = START + minute * 60_000
        due = slots_between(names, 60_000, begin, begin + 60_000)
        assert due == sorted(due)
        assert sorted(one.device for one in due) == list(range(40))
        for one in due:
            assert begin <= one.slot_ms < begin + 60_000
            seen[one.device].append(one.slot_ms)
    for slots in seen.values():
        assert all(b - a == 60_000 for a, b in pairwise(slots))


@given(cut=st.integers(0, 120_000))
def test_no_slot_is_lost_or_doubled_where_two_stretches_meet(cut: int) -> None:
    names = [DeviceId(f"router-{number}") for number in range(7)]
    whole = slots_between(names, 60_000, START, START + 120_000)
    first = slots_between(names, 60_000, START, START + cut)
    assert first + slots_between(names, 60_000, START + cut, START + 120_000) == whole


def test_the_clock_never_goes_back() -> None:
    clock = VirtualClock(START)
    clock.move_to(START + 3_600_000)
    clock.move_to(START)
    assert clock.hours == 1.0


# --- sizes ---------------------------------------------------------------------------


@given(size=st.integers(5, 5000))
def test_a_filler_has_the_size_asked_for_and_no_reader_sees_it(size: int) -> None:
    (event,) = poll_events(Occasion(START, 1, 2), PollReadings(77, rebooted=False))
    more = filler(size)
    assert len(more) == size
    plain, filled = decode(SUBJECT, event.payload), decode(SUBJECT, event.payload + more)
    assert filled.event.status == plain.event.status
    assert filled.event.slot_unix_ms == START


@pytest.mark.parametrize("largest", [300, 500, 700])
def test_filled_events_have_the_incidents_mean_unless_they_are_larger_by_themselves(
    largest: int,
) -> None:
    mean = Naive().message_bytes
    draw_size = random.Random(largest)  # noqa: S311 - repeatable, no secret
    sizes = [draw_size.randint(20, largest) for _ in range(400)]
    padder = Padder(mean)
    payloads = [bytes(size) for size in sizes]
    padded = [padder.pad(SUBJECT, payload, "s1-core-1") for payload in payloads]
    stored = [stored_bytes(SUBJECT, payload, "s1-core-1") for payload in padded]
    own = [stored_bytes(SUBJECT, payload, "s1-core-1") for payload in payloads]
    assert all(after >= before for after, before in zip(stored, own, strict=True))
    # What a run of large ones is above the mean is not made up for within the list.
    assert sum(stored) >= len(stored) * mean - 2 * mean
    if max(own) <= mean:
        assert sum(stored) == pytest.approx(len(stored) * mean, abs=mean)


def test_a_poll_of_the_naive_run_gives_a_wireless_event_even_without_radios() -> None:
    events = poll_events(Occasion(START, 1, 2), PollReadings(77, rebooted=False))
    assert five_events(events, START) == events  # a failed poll's status stays alone
    with_two = [*events, OutgoingEvent(Kind.HEALTH, events[0].payload)]
    kinds = [event.kind for event in five_events(with_two, START)]
    assert kinds[-1] is Kind.WIRELESS
    decode("fleet.north.core-1.wireless", five_events(with_two, START)[-1].payload)


def test_naive_reads_five_kinds_with_every_poll() -> None:
    assert cadence_of(Mode.NAIVE).firmware == cadence_of(Mode.NAIVE).interval
    assert cadence_of(Mode.HEAL) == cadence_of(Mode.NAIVE)
    assert cadence_of(Mode.PLANNED).firmware > cadence_of(Mode.PLANNED).interval


# --- books and verdicts --------------------------------------------------------------


def test_a_planned_run_in_which_all_was_stored_once_has_no_problem() -> None:
    assert finished().problems() == []


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (replace(ACCOUNT, stored=9, keys=9, lost=1), "1 events lost"),
        (replace(ACCOUNT, in_stream=9, stored=9, keys=9, dropped=1), "1 events lost"),
        (replace(ACCOUNT, stored=9, keys=9), "1 events unaccounted for"),
        (replace(ACCOUNT, keys=9), "1 events unaccounted for"),
        (replace(ACCOUNT, in_stream=9, stored=9, keys=9, waiting=1), "1 events never reached"),
        (replace(ACCOUNT, rows_duplicate=2), "2 rows doubled"),
    ],
)
def test_what_a_planned_run_must_not_show_is_said(account: Account, words: str) -> None:
    assert any(words in line for line in finished(account=account).problems())


def test_a_stream_above_its_limit_is_a_problem_but_the_naive_broker_filling_up_is_not() -> None:
    run = finished()
    run.samples = [replace(SAMPLE, stream_bytes=2001)]
    assert any("above their limit" in line for line in run.problems())
    naive = finished(Mode.NAIVE, replace(ACCOUNT, made=14, waiting=3, dropped=1))
    naive.full_hour = 0.9
    naive.samples = [replace(SAMPLE, stream_bytes=3001, max_bytes=None)]
    assert naive.problems() == []


def test_a_trim_that_drops_what_is_not_stored_is_a_problem() -> None:
    trim = Trim("north", 3000, 2000, 30, 20, 1, 11, 8, 2000, 0.5, 1.5)
    assert (trim.dropped_messages, trim.unstored) == (10, 2)
    run = finished(Mode.HEAL)
    run.full_hour, run.healed_hour, run.trims = 0.4, 0.6, [trim]
    assert any("dropped 2 events that were not stored" in line for line in run.problems())


def test_the_client_of_the_event_stream_notices_doubles_and_holes() -> None:
    tally = SseTally(60_000)
    for slot in (0, 60_000, 60_000, 240_000):
        tally.take("north", "core-1", START + slot)
    tally.take("south", "core-1", START)
    assert (tally.events, tally.twice, tally.holes) == (5, 1, 2)


# --- files ---------------------------------------------------------------------------


def test_results_are_read_as_they_were_written_and_runs_of_other_settings_are_dropped(
    tmp_path: Path,
) -> None:
    options = SoakOptions(out=tmp_path, hours=1.0, wire_hours=0.5)
    healed = finished(Mode.HEAL)
    healed.trims = [Trim("north", 3000, 2000, 30, 20, 1, 11, 20, 2000, 0.5, 1.5)]
    healed.moments = [Moment(0.5, "something")]
    first = merge(options, None, [healed])
    (tmp_path / "soak.json").write_text(json.dumps(first), encoding="utf-8")
    assert read_results(tmp_path / "soak.json") == first
    assert run_from_json(first["runs"][0]) == healed
    both = merge(options, first, [finished(Mode.NAIVE)])
    assert [one["mode"] for one in both["runs"]] == ["naive", "heal"]
    other = merge(replace(options, seed=2), both, [finished()])
    assert [one["mode"] for one in other["runs"]] == ["planned"]


def test_a_file_that_is_not_a_soaks_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "soak.json").write_text('{"runs": [{}]}', encoding="utf-8")
    assert read_results(tmp_path / "soak.json") is None
    assert read_results(tmp_path / "missing.json") is None


def test_the_conclusion_says_which_hours_went_through_the_protocol() -> None:
    lines = conclusion(finished())
    assert "hours 0 to 0.5 over TCP" in lines[0]
    assert "hours 0.5 to 1" in lines[0]
    assert len(cells_of(SAMPLE)) == 12


def test_the_picture_is_drawn_for_any_runs_there_are(tmp_path: Path) -> None:
    naive = finished(Mode.NAIVE, replace(ACCOUNT, made=11, dropped=1))
    naive.full_hour = 0.5
    naive.samples = [SAMPLE, replace(SAMPLE, hour=2.0, dropped=1)]
    healed = finished(Mode.HEAL)
    healed.full_hour, healed.healed_hour = 0.4, 0.6
    healed.trims = [Trim("north", 3000, 2000, 30, 20, 1, 11, 20, 2000, 0.5, 1.5)]
    draw([naive, finished(), healed], tmp_path)
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "soak.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--naive", "--heal"], "one of --naive, --heal and --all"),
        (["--devices", "2", "--tenants", "3"], "cannot be spread over"),
        (["--hours", "500"], "312"),
        (["--window", "0s"], "above 0"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(words: list[str], said: str) -> None:
    result = CliRunner().invoke(build_app(), ["soak", *words])
    assert result.exit_code == 2
    assert said in result.output
