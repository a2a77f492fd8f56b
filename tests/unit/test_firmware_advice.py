import pytest

from fleet_contracts.gen.fleet.v1.events_pb2 import Firmware, FirmwareAdvice, Verdict
from fleet_firmware.advice import Advice, FirmwareFacts, Judgement, advise
from fleet_firmware.channels import (
    Channel,
    ChannelAbsent,
    ChannelKey,
    ChannelReading,
    ChannelRelease,
    MalformedChannelError,
    Source,
    WrongMajorError,
    channel_named,
    parse_channel_file,
)
from fleet_firmware.version import parse_version

READ_AT = 1_790_000_000


def facts(
    installed: str = "7.20.1",
    channel: str = "stable",
    current: str = "7.20.1",
    upgrade: str = "7.20.1",
    *,
    routerboard: bool | None = True,
) -> FirmwareFacts:
    return FirmwareFacts(installed, channel, current, upgrade, routerboard)


def release(version: str, read_at: int = READ_AT) -> ChannelRelease:
    return ChannelRelease(parse_version(version), 1_789_558_341, read_at, Source.UPGRADE_HOST)


@pytest.mark.parametrize(
    ("installed", "offered", "verdict"),
    [
        ("7.20.1", "7.24.4", Judgement.UPGRADE_AVAILABLE),
        ("7.24.4", "7.24.4", Judgement.UP_TO_DATE),
        ("7.20.0", "7.20", Judgement.UP_TO_DATE),
        ("7.24.4 (stable)", "7.24.4", Judgement.UP_TO_DATE),
        ("7.25beta5", "7.24.4", Judgement.AHEAD_OF_CHANNEL),
        ("7.24rc1", "7.24", Judgement.UPGRADE_AVAILABLE),
    ],
)
def test_verdict_follows_the_order_of_versions(
    installed: str, offered: str, verdict: Judgement
) -> None:
    advice = advise(facts(installed), release(offered))
    assert advice is not None
    assert advice.judgement is verdict
    assert advice.latest_version == str(parse_version(offered))
    assert advice.installed_version == installed
    assert advice.channel_read_unix_seconds == READ_AT


def test_a_channel_not_read_yet_gives_no_advice_rather_than_a_guess() -> None:
    assert advise(facts(), None) is None


def test_a_channel_without_a_file_is_unknown_and_says_when_that_was_seen() -> None:
    advice = advise(facts("6.49.10", "testing"), ChannelAbsent("404", READ_AT, Source.UPGRADE_HOST))
    assert advice is not None
    assert advice.judgement is Judgement.CHANNEL_UNKNOWN
    assert advice.latest_version == ""
    assert advice.latest_released_unix_seconds is None
    assert advice.channel_read_unix_seconds == READ_AT


@pytest.mark.parametrize("channel", ["", "nightly", "Stable"])
def test_an_unknown_channel_needs_no_reading(channel: str) -> None:
    advice = advise(facts(channel=channel), None)
    assert advice is not None
    assert advice.judgement is Judgement.CHANNEL_UNKNOWN
    assert advice.channel_source is None


@pytest.mark.parametrize("installed", ["", "latest", "7"])
def test_an_unreadable_version_is_said_and_routerboot_is_judged_all_the_same(
    installed: str,
) -> None:
    advice = advise(facts(installed, current="6.48", upgrade="7.20"), release("7.24.4"))
    assert advice is not None
    assert advice.judgement is Judgement.VERSION_UNKNOWN
    assert advice.routerboot_upgrade_available


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("current", Channel.STABLE),
        ("bugfix", Channel.LONG_TERM),
        ("bugfix-only", Channel.LONG_TERM),
        ("release-candidate", Channel.TESTING),
        ("stable", Channel.STABLE),
        ("long-term", Channel.LONG_TERM),
        ("testing", Channel.TESTING),
        ("development", Channel.DEVELOPMENT),
    ],
)
def test_channel_names_of_version_6_mean_the_present_channels(old: str, new: Channel) -> None:
    assert channel_named(old) is new
    assert facts("6.45.9", old).channel_key == ChannelKey(6, new)


@pytest.mark.parametrize(
    ("current", "upgrade", "routerboard", "available"),
    [
        ("7.19", "7.20", True, True),
        ("7.19", "7.20", None, True),
        ("7.20", "7.20", True, False),
        ("7.19", "7.20", False, False),  # CHR and x86 have no RouterBOOT
        ("", "7.20", True, False),
        ("7.19", "", True, False),
    ],
)
def test_routerboot_advice(
    *, current: str, upgrade: str, routerboard: bool | None, available: bool
) -> None:
    given = facts(current=current, upgrade=upgrade, routerboard=routerboard)
    assert given.routerboot_upgrade_available is available


def test_facts_keep_an_absent_routerboard_apart_from_none() -> None:
    assert FirmwareFacts.of(Firmware()).routerboard is None
    assert FirmwareFacts.of(Firmware(routerboard=False)).routerboard is False


@pytest.mark.parametrize(
    "reading",
    [
        release("7.24.4"),
        ChannelRelease(parse_version("7.24.4"), None, READ_AT, Source.FILE),
        ChannelAbsent("404", READ_AT, Source.FILE),
    ],
)
def test_advice_survives_the_way_through_its_message(reading: ChannelReading) -> None:
    advice = advise(facts(), reading)
    assert advice is not None
    assert Advice.of(FirmwareAdvice.FromString(advice.to_message().SerializeToString())) == advice


def test_a_verdict_of_a_newer_checker_is_not_mistaken_for_a_known_one() -> None:
    message = FirmwareAdvice(verdict=Verdict.VERDICT_UP_TO_DATE)
    raw = message.SerializeToString().replace(b"\x08\x01", b"\x08\x63")
    assert Advice.of(FirmwareAdvice.FromString(raw)) is None


def test_reading_a_channel_again_is_no_news() -> None:
    first, second = (
        advise(facts(), release("7.24.4")),
        advise(facts(), release("7.24.4", READ_AT + 9)),
    )
    assert first is not None
    assert second is not None
    assert second.says_the_same_as(first)
    assert not second.says_the_same_as(advise(facts(), release("7.24.5")))
    assert not second.says_the_same_as(None)


def test_a_channel_file_is_version_and_time() -> None:
    assert parse_channel_file(b"7.24.4 1789558341\n", 7) == (parse_version("7.24.4"), 1_789_558_341)


@pytest.mark.parametrize("body", [b"7.23.7 1789561155", b"0.00 1700221125"])
def test_a_file_of_another_major_version_is_refused(body: bytes) -> None:
    with pytest.raises(WrongMajorError, match="which is not version 6"):
        parse_channel_file(body, 6)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"7.24.4",
        b"7.24.4 soon",
        b"7.24.4 -5",
        b"7.24.4 1789558341 more",
        b"<html><body>Log in</body></html>",
        b"\xff\xfe 1",
        b"7.24.4 " + b"1" * 300,
        b"7.24.4 123456789012",
        b"7.24.4 1789558341000",
        b"7.24.4 946684799",
        b"7.24.4 4102444800",
    ],
)
def test_what_is_no_channel_file_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedChannelError):
        parse_channel_file(body, 7)
