"""Reading channel files over real HTTP, from hosts that answer well and badly."""

import asyncio
import time

import pytest

from fleet_firmware.channels import Channel, ChannelAbsent, ChannelKey, ChannelRelease, Source
from fleet_firmware.upgrade_host import FetchFailedError, UpgradeHost
from fleet_firmware.version import parse_version
from support.channel_host import Answer, ChannelHost, channel_host
from support.ports import free_port

STABLE = ChannelKey(7, Channel.STABLE)
FILE = "NEWESTa7.stable"


def reader_of(host: ChannelHost, timeout_seconds: float = 5.0) -> UpgradeHost:
    return UpgradeHost(host.base_url, timeout_seconds, lambda: 1_800_000_000.9)


async def test_a_channel_file_is_read_with_a_user_agent_and_then_conditionally() -> None:
    async with (
        channel_host(lambda host: host.offers(FILE, "7.24.4")) as host,
        reader_of(host) as reader,
    ):
        first = await reader.read(STABLE, None)
        second = await reader.read(STABLE, first.etag)
    assert first.outcome == "fresh"
    assert first.reading == ChannelRelease(
        parse_version("7.24.4"), 1_789_558_341, 1_800_000_000, Source.UPGRADE_HOST
    )
    assert (second.outcome, second.reading) == ("not_modified", None)
    assert host.requests[0]["path"] == "/routeros/NEWESTa7.stable"
    assert host.requests[0]["user-agent"].startswith("RouterFleet-firmware-checker/")
    assert "if-none-match" not in host.requests[0]
    assert host.requests[1]["if-none-match"] == '"7.24.4"'


async def test_a_file_of_another_major_version_is_no_channel() -> None:
    key = ChannelKey(6, Channel.TESTING)
    async with (
        channel_host(lambda host: host.offers("NEWESTa6.testing", "7.23.7")) as host,
        reader_of(host) as reader,
    ):
        fetched = await reader.read(key, None)
    assert fetched.outcome == "wrong_major"
    assert isinstance(fetched.reading, ChannelAbsent)
    assert "7.23.7" in fetched.reading.reason


async def test_an_unknown_channel_is_absent() -> None:
    async with channel_host() as host, reader_of(host) as reader:
        fetched = await reader.read(STABLE, None)
    assert fetched.outcome == "absent"
    assert isinstance(fetched.reading, ChannelAbsent)


@pytest.mark.parametrize(
    ("answer", "outcome", "complaint"),
    [
        (Answer(body=b"<html>Log in</html>"), "malformed", "not a RouterOS version"),
        (Answer(body=b"7.24.4 1" * 100_000), "malformed", "more than 256 bytes"),
        (Answer(body=b""), "malformed", "0 words"),
        (Answer(status=500, body=b"7.24.4 1789558341"), "failed", "status 500"),
        (Answer(status=302), "failed", "status 302"),
        (Answer(status=204), "failed", "status 204"),
    ],
    ids=["portal", "huge", "empty", "500", "redirect", "no-content"],
)
async def test_an_unusable_answer_is_a_failure_not_an_empty_channel(
    answer: Answer, outcome: str, complaint: str
) -> None:
    async with (
        channel_host(lambda host: host.files.update({FILE: answer})) as host,
        reader_of(host) as reader,
    ):
        with pytest.raises(FetchFailedError, match=complaint) as caught:
            await reader.read(STABLE, None)
    assert caught.value.outcome == outcome


@pytest.mark.parametrize(
    "answer",
    [Answer(stall=True), Answer(body=b"7.24.4 1789558341" * 9, trickle=True)],
    ids=["stall", "trickle"],
)
async def test_the_whole_read_has_one_deadline(answer: Answer) -> None:
    async with (
        channel_host(lambda host: host.files.update({FILE: answer})) as host,
        reader_of(host, timeout_seconds=0.8) as reader,
        asyncio.timeout(10),
    ):
        started = time.monotonic()
        with pytest.raises(FetchFailedError, match=r"no answer within 0\.8 s"):
            await reader.read(STABLE, None)
    assert time.monotonic() - started < 5


async def test_a_host_that_is_not_there_is_a_failure() -> None:
    async with UpgradeHost(f"http://127.0.0.1:{free_port()}", 5.0) as reader:
        with pytest.raises(FetchFailedError, match="ConnectError"):
            await reader.read(STABLE, None)
