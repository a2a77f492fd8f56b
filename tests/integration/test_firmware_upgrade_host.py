"""Reading channel files over real HTTP, from hosts that answer well and badly."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from fleet_firmware.channels import Channel, ChannelAbsent, ChannelKey, ChannelRelease, Source
from fleet_firmware.upgrade_host import FetchFailedError, UpgradeHost
from fleet_firmware.version import parse_version
from fleet_simulator.upgrade_host import Answer, running_upgrade_host
from support.ports import free_port

STABLE = ChannelKey(7, Channel.STABLE)
FILE = "NEWESTa7.stable"


def reader_of(base_url: str, timeout_seconds: float = 5.0) -> UpgradeHost:
    return UpgradeHost(base_url, timeout_seconds, lambda: 1_800_000_000.9)


@asynccontextmanager
async def trickling_host() -> AsyncGenerator[str]:
    """One byte every 0.3 s: no single read ever times out."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n")
        try:
            for _ in range(200):
                writer.write(b"7")
                await writer.drain()
                await asyncio.sleep(0.3)
        except ConnectionError:
            pass
        finally:
            writer.close()

    port = free_port()
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{port}/routeros"
    finally:
        server.close()


async def test_a_channel_file_is_read_with_a_user_agent_and_then_conditionally() -> None:
    async with running_upgrade_host(free_port()) as host, reader_of(host.base_url) as reader:
        first = await reader.read(STABLE, None)
        second = await reader.read(STABLE, first.etag)
    assert first.outcome == "fresh"
    assert first.reading == ChannelRelease(
        parse_version("7.24.4"), 1_789_558_341, 1_800_000_000, Source.UPGRADE_HOST
    )
    assert (second.outcome, second.reading) == ("not_modified", None)
    asked = list(host.requests)
    assert [request.name for request in asked] == [FILE, FILE]
    assert asked[0].headers["user-agent"].startswith("RouterFleet-firmware-checker/")
    assert "if-none-match" not in asked[0].headers
    assert asked[1].headers["if-none-match"] == first.etag


@pytest.mark.parametrize("channel", [Channel.TESTING, Channel.DEVELOPMENT])
async def test_a_file_of_another_major_version_is_no_channel(channel: Channel) -> None:
    async with running_upgrade_host(free_port()) as host, reader_of(host.base_url) as reader:
        fetched = await reader.read(ChannelKey(6, channel), None)
    assert fetched.outcome == "wrong_major"
    assert isinstance(fetched.reading, ChannelAbsent)
    assert "7.23.7" in fetched.reading.reason


async def test_an_unknown_channel_is_absent() -> None:
    async with running_upgrade_host(free_port()) as host, reader_of(host.base_url) as reader:
        fetched = await reader.read(ChannelKey(8, Channel.STABLE), None)
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
        (Answer(raw=b"SSH-2.0-ROSSSH\r\n\r\n"), "failed", "RemoteProtocolError"),
    ],
    ids=["portal", "huge", "empty", "500", "redirect", "no-http"],
)
async def test_an_unusable_answer_is_a_failure_not_an_empty_channel(
    answer: Answer, outcome: str, complaint: str
) -> None:
    async with running_upgrade_host(free_port()) as host, reader_of(host.base_url) as reader:
        host.answers[FILE] = answer
        with pytest.raises(FetchFailedError, match=complaint) as caught:
            await reader.read(STABLE, None)
    assert caught.value.outcome == outcome


async def assert_gives_up_in_time(base_url: str) -> None:
    async with reader_of(base_url, timeout_seconds=0.8) as reader, asyncio.timeout(10):
        started = time.monotonic()
        with pytest.raises(FetchFailedError, match=r"no answer within 0\.8 s"):
            await reader.read(STABLE, None)
    assert time.monotonic() - started < 5


async def test_a_host_that_stalls_is_given_up() -> None:
    async with running_upgrade_host(free_port()) as host:
        host.answers[FILE] = Answer(stall=True)
        await assert_gives_up_in_time(host.base_url)


async def test_the_deadline_is_one_for_the_whole_read() -> None:
    async with trickling_host() as base_url:
        await assert_gives_up_in_time(base_url)


async def test_a_host_that_is_not_there_is_a_failure() -> None:
    async with reader_of(f"http://127.0.0.1:{free_port()}") as reader:
        with pytest.raises(FetchFailedError, match="ConnectError"):
            await reader.read(STABLE, None)
