"""The cache of channel data: when it asks, what it keeps; time is the test's own."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet_common.errors import ConfigurationError
from fleet_firmware.channels import (
    Channel,
    ChannelAbsent,
    ChannelKey,
    ChannelRelease,
    Source,
)
from fleet_firmware.file_channels import FileChannels, parse_channels
from fleet_firmware.host_channels import MAX_KEYS, HostChannels
from fleet_firmware.metrics import FirmwareMetrics
from fleet_firmware.settings import FirmwareSection
from fleet_firmware.upgrade_host import Fetched, FetchFailedError
from fleet_firmware.version import parse_version

STABLE = ChannelKey(7, Channel.STABLE)
DAY = 86_400.0


class ScriptedHost:
    """Answers from a list; remembers what was asked."""

    def __init__(self, *answers: Fetched | FetchFailedError) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[ChannelKey, str | None]] = []

    async def read(self, key: ChannelKey, etag: str | None) -> Fetched:
        self.asked.append((key, etag))
        answer = self.answers.pop(0)
        if isinstance(answer, FetchFailedError):
            raise answer
        return answer


def fresh(version: str, etag: str | None = None) -> Fetched:
    return Fetched("fresh", ChannelRelease(parse_version(version), 1, 2, Source.UPGRADE_HOST), etag)


def failed() -> FetchFailedError:
    return FetchFailedError("no answer", "failed")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def channels_over(
    host: ScriptedHost, jitter: Callable[[], float] = lambda: 0.5
) -> tuple[HostChannels, Clock, FirmwareMetrics]:
    clock, metrics = Clock(), FirmwareMetrics()
    return (
        HostChannels(host, FirmwareSection(), metrics, clock=clock, jitter=jitter),
        clock,
        metrics,
    )


async def test_a_channel_is_unknown_until_read_and_then_kept_for_a_day() -> None:
    host = ScriptedHost(fresh("7.24.4"))
    channels, _clock, _ = channels_over(host)
    assert channels.reading(STABLE) is None
    assert channels.due_in_seconds(STABLE) == 0
    assert await channels.refresh(STABLE)
    reading = channels.reading(STABLE)
    assert isinstance(reading, ChannelRelease)
    assert str(reading.version) == "7.24.4"
    assert channels.due_in_seconds(STABLE) == DAY


async def test_the_next_read_is_conditional_and_an_unchanged_file_is_no_change() -> None:
    host = ScriptedHost(fresh("7.24.4", '"a"'), Fetched("not_modified", None, None))
    channels, clock, metrics = channels_over(host)
    channels.reading(STABLE)
    await channels.refresh(STABLE)
    clock.now += DAY
    assert not await channels.refresh(STABLE)
    assert host.asked == [(STABLE, None), (STABLE, '"a"')]
    assert channels.due_in_seconds(STABLE) == DAY
    age = metrics.registry.get_sample_value(
        "fleet_firmware_channel_age_seconds", {"channel": "7.stable"}
    )
    assert age == 0


async def test_failures_back_off_up_to_the_limit_and_keep_the_last_good_reading() -> None:
    host = ScriptedHost(fresh("7.24.4"), *(failed() for _ in range(12)))
    channels, clock, metrics = channels_over(host)
    channels.reading(STABLE)
    await channels.refresh(STABLE)
    good = channels.reading(STABLE)
    delays: list[float] = []
    for _ in range(12):
        clock.now += 1
        assert not await channels.refresh(STABLE)
        delays.append(channels.due_in_seconds(STABLE))
    assert delays[:3] == [60, 120, 240]
    assert delays[-1] == DAY / 4
    assert delays == sorted(delays)
    assert channels.reading(STABLE) is good
    assert (
        metrics.registry.get_sample_value(
            "fleet_firmware_channel_fetches_total", {"outcome": "failed"}
        )
        == 12
    )


async def test_an_absent_channel_is_an_answer_and_asked_for_again_after_six_hours() -> None:
    absent = Fetched("absent", ChannelAbsent("404", 5, Source.UPGRADE_HOST), None)
    channels, _, _ = channels_over(ScriptedHost(absent, absent))
    channels.reading(STABLE)
    assert await channels.refresh(STABLE)
    assert isinstance(channels.reading(STABLE), ChannelAbsent)
    assert channels.due_in_seconds(STABLE) == DAY / 4
    assert not await channels.refresh(STABLE)


async def test_a_channel_that_is_missing_for_a_while_keeps_its_last_good_reading() -> None:
    absent = Fetched("absent", ChannelAbsent("404", 5, Source.UPGRADE_HOST), None)
    unchanged = Fetched("not_modified", None, None)
    host = ScriptedHost(
        fresh("7.24.4", '"a"'), absent, failed(), absent, unchanged, absent, absent, absent
    )
    channels, clock, _ = channels_over(host)
    channels.reading(STABLE)
    await channels.refresh(STABLE)
    good = channels.reading(STABLE)
    clock.now += DAY
    delays: list[float] = []
    for _ in range(3):
        assert not await channels.refresh(STABLE)
        delays.append(channels.due_in_seconds(STABLE))
        clock.now += 5000
    assert delays == [60, 120, 240]
    assert not await channels.refresh(STABLE)  # there again, the same as before
    assert channels.reading(STABLE) is good
    assert {etag for _, etag in host.asked[1:]} == {'"a"'}
    # Missing for good: six hours from the first time on there is no such channel.
    assert not await channels.refresh(STABLE)
    clock.now += DAY / 4 - 1
    assert not await channels.refresh(STABLE)
    assert channels.reading(STABLE) is good
    clock.now += 1
    assert await channels.refresh(STABLE)
    assert isinstance(channels.reading(STABLE), ChannelAbsent)
    assert channels.due_in_seconds(STABLE) == DAY / 4


async def test_a_newer_offer_is_a_change() -> None:
    channels, _, _ = channels_over(ScriptedHost(fresh("7.24.4"), fresh("7.24.5")))
    channels.reading(STABLE)
    assert await channels.refresh(STABLE)
    assert await channels.refresh(STABLE)


@pytest.mark.parametrize(("draw", "seconds"), [(0.0, 0.9 * DAY), (1.0, 1.1 * DAY)])
async def test_jitter_stays_within_a_tenth(draw: float, seconds: float) -> None:
    channels, _, _ = channels_over(ScriptedHost(fresh("7.24.4")), lambda: draw)
    channels.reading(STABLE)
    await channels.refresh(STABLE)
    assert channels.due_in_seconds(STABLE) == pytest.approx(seconds)


async def test_devices_with_made_up_versions_cannot_make_it_ask_for_ever_more_files() -> None:
    channels, _, _ = channels_over(ScriptedHost())
    for major in range(MAX_KEYS + 50):
        assert channels.reading(ChannelKey(major, Channel.STABLE)) is None
    due = channels.next_due()
    assert due is not None
    with pytest.raises(KeyError):
        channels.due_in_seconds(ChannelKey(MAX_KEYS, Channel.STABLE))


FILE = """
7:
  stable: {version: 7.20, released_unix_seconds: 1789558341}
  long-term: 7.10
6: {current: 6.49.22}
"""


def test_a_file_keeps_trailing_zeros_of_versions() -> None:
    releases = parse_channels(FILE, 9)
    assert releases[STABLE] == ChannelRelease(parse_version("7.20"), 1_789_558_341, 9, Source.FILE)
    assert releases[ChannelKey(7, Channel.LONG_TERM)].version == parse_version("7.10")
    assert releases[ChannelKey(6, Channel.STABLE)].version == parse_version("6.49.22")


def test_json_is_read_too() -> None:
    releases = parse_channels('{"7": {"stable": {"version": "7.24.4"}}}', 9)
    assert releases == {STABLE: ChannelRelease(parse_version("7.24.4"), None, 9, Source.FILE)}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not a map of major versions"),
        ("[1]", "not a map of major versions"),
        ("7: [", "not YAML or JSON"),
        ("seven: {stable: 7.1}", "'seven' is not a major version"),
        ("7: 7.24.4", "7: not a map of channels"),
        ("7: {nightly: 7.1}", "7.nightly: not a channel"),
        ("7: {stable: newest}", "7.stable: 'newest' is not a RouterOS version"),
        ("7: {stable: 6.49.22}", "7.stable: 6.49.22 is not version 7"),
        ("7: {stable: {version: 7.1, when: 5}}", "7.stable: unknown field 'when'"),
        ("7: {stable: {version: 7.1, released_unix_seconds: soon}}", "'soon' is not a Unix time"),
        (
            "7: {stable: {version: 7.1, released_unix_seconds: 1789558341000}}",
            "1789558341000 is not .* between the years 2000 and 2100; is it in milliseconds",
        ),
        ("7: {stable: {version: 7.1, released_unix_seconds: 4102444800}}", "2000 and 2100$"),
        ("7: {stable: {version: 7.1, released_unix_seconds: 946684799}}", "2000 and 2100$"),
        (
            f"7: {{stable: {{version: 7.1, released_unix_seconds: {'1' * 5000}}}}}",
            "'1{32}' is not a Unix time",
        ),
        ("7: {stable: {version: 7.1, released_unix_seconds: \u0661\u0662}}", "is not a Unix time"),
        (f"? {'7' * 5000}\n: {{stable: 7.1}}", "'7{32}' is not a major version"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint.replace("[", r"\[")):
        parse_channels(text, 9)


def write(path: Path, text: str, mtime: int) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (mtime, mtime))


def test_a_changed_file_is_read_again_and_a_bad_one_keeps_the_last_good(tmp_path: Path) -> None:
    path = tmp_path / "channels.yaml"
    write(path, FILE, 1000)
    metrics = FirmwareMetrics()
    channels = FileChannels(path, metrics)
    assert channels.reload() == []
    write(path, FILE.replace("7.20", "7.21"), 2000)
    assert channels.reload() == [STABLE]
    write(path, "7: {", 3000)
    assert channels.reload() == []
    assert channels.reload() == []
    reading = channels.reading(STABLE)
    assert isinstance(reading, ChannelRelease)
    assert str(reading.version) == "7.21"
    malformed = metrics.registry.get_sample_value(
        "fleet_firmware_channel_fetches_total", {"outcome": "malformed"}
    )
    assert malformed == 1
    path.unlink()
    assert channels.reload() == []
    assert channels.reading(STABLE) is reading


def test_a_file_is_as_old_as_the_last_look_that_found_it_good(tmp_path: Path) -> None:
    path = tmp_path / "channels.yaml"
    write(path, FILE, 1000)
    metrics, now = FirmwareMetrics(), 1e9
    channels = FileChannels(path, metrics, lambda: now)

    def age() -> float | None:
        return metrics.registry.get_sample_value(
            "fleet_firmware_channel_age_seconds", {"channel": "7.stable"}
        )

    now += 30 * DAY
    channels.reload()
    assert age() == 0
    write(path, "7: {", 2000)
    for _ in range(3):
        now += DAY
        channels.reload()
    assert age() == 3 * DAY
    write(path, FILE, 3000)
    channels.reload()
    assert age() == 0
    path.unlink()
    now += DAY
    channels.reload()
    assert age() == DAY


def test_a_channel_that_left_the_file_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "channels.yaml"
    write(path, FILE, 1000)
    channels = FileChannels(path, FirmwareMetrics())
    write(path, "7: {long-term: 7.10}", 2000)
    assert set(channels.reload()) == {STABLE, ChannelKey(6, Channel.STABLE)}
    assert isinstance(channels.reading(STABLE), ChannelAbsent)


def test_a_wrong_file_at_start_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"FLEET_FIRMWARE__CHANNEL_FILE: .*No such file"):
        FileChannels(tmp_path / "none.yaml", FirmwareMetrics())
