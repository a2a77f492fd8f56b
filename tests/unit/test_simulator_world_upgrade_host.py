"""The upgrade host's files, good and stale, over real HTTP."""

import asyncio
import http.client

import pytest

from fleet_simulator.upgrade_host import Answer, UpgradeHost, running_upgrade_host
from fleet_simulator.world.catalogue import NEWEST
from support.ports import free_port
from support.waiting import eventually

type Response = tuple[int, dict[str, str], bytes]


async def ask(
    host: UpgradeHost, path: str, method: str = "GET", patience: float = 10, **headers: str
) -> Response:
    def blocking() -> Response:
        address = host.base_url.removeprefix("http://").partition("/")[0]
        connection = http.client.HTTPConnection(address, timeout=patience)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, f"/routeros/{path}", headers=named)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    return await asyncio.to_thread(blocking)


async def test_a_channel_file_is_eighteen_bytes_of_plain_text(host: UpgradeHost) -> None:
    status, headers, body = await ask(host, "NEWESTa7.stable?version=7.16.1")
    assert (status, body) == (200, b"7.24.4 1789558341\n")
    assert len(body) == 18
    assert headers["Content-Type"] == "text/plain"
    assert host.requests[-1].query == "version=7.16.1"


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("NEWESTa7.development", b"7.25beta5"),
        ("NEWESTa6.stable", b"6.49.22"),
        ("NEWESTa6.testing", b"7.23.7"),  # another major version
        ("NEWEST7.stable", b"7.12.1"),  # stale
        ("NEWEST7.long-term", b"0.00"),
        ("LATEST.7", b"7.12.1"),
    ],
)
async def test_files_are_as_good_and_as_stale_as_the_real_ones(
    host: UpgradeHost, name: str, version: bytes
) -> None:
    status, _, body = await ask(host, name)
    assert status == 200
    assert body.split()[0] == version


async def test_a_router_and_the_host_agree_on_what_is_new(host: UpgradeHost) -> None:
    for (major, channel), version in NEWEST.items():
        _, _, body = await ask(host, f"NEWESTa{major}.{channel}")
        assert body.split()[0].decode() == version


async def test_unknown_files_are_404_and_folders_403(host: UpgradeHost) -> None:
    for path, expected in (
        ("NEWESTa8.stable", 404), ("7.24.4/", 403), ("", 403), ("../NEWESTa7.stable", 404),
        ("/NEWESTa7.stable", 404),
    ):  # fmt: skip
        status, _, body = await ask(host, path)
        assert (status, body) == (expected, b"")
    assert host.counts["other"] == 5


async def test_a_changelog_belongs_to_each_version(host: UpgradeHost) -> None:
    status, _, body = await ask(host, "7.24.4/CHANGELOG")
    assert status == 200
    assert body.startswith(b"What's new in 7.24.4 (")


async def test_a_known_body_is_not_sent_again(host: UpgradeHost) -> None:
    _, headers, _ = await ask(host, "NEWESTa7.stable")
    by_tag = await ask(host, "NEWESTa7.stable", If_None_Match=headers["ETag"])
    by_date = await ask(host, "NEWESTa7.stable", If_Modified_Since=headers["Last-Modified"])
    assert (by_tag[0], by_tag[2]) == (304, b"")
    assert (by_date[0], by_date[2]) == (304, b"")
    host.offer("NEWESTa7.stable", "7.25", 1_800_000_000)
    status, _, body = await ask(host, "NEWESTa7.stable", If_None_Match=headers["ETag"])
    assert (status, body) == (200, b"7.25 1800000000\n")
    assert host.counts["NEWESTa7.stable"] == 4


async def test_head_sends_no_body_and_other_methods_are_refused(host: UpgradeHost) -> None:
    status, headers, body = await ask(host, "NEWESTa7.stable", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "18", b"")
    assert (await ask(host, "NEWESTa7.stable", "POST"))[0] == 405


async def test_errors_delays_and_garbage_are_sent_as_told(host: UpgradeHost) -> None:
    host.answers["NEWESTa7.stable"] = Answer(status=500, body=b"oops")
    assert (await ask(host, "NEWESTa7.stable"))[0] == 500
    host.answers["NEWESTa7.stable"] = Answer(body=b"7.1 1\n", delay_seconds=0.2)
    begin = asyncio.get_running_loop().time()
    assert (await ask(host, "NEWESTa7.stable"))[2] == b"7.1 1\n"
    assert asyncio.get_running_loop().time() - begin >= 0.2
    host.answers["NEWESTa7.stable"] = Answer(raw=b"\x00\xff garbage")
    with pytest.raises(http.client.BadStatusLine):
        await ask(host, "NEWESTa7.stable")


async def test_a_stalled_file_keeps_the_client_waiting_and_others_not(host: UpgradeHost) -> None:
    host.answers["NEWESTa7.stable"] = Answer(stall=True)
    with pytest.raises(TimeoutError):
        await ask(host, "NEWESTa7.stable", patience=0.3)
    assert (await ask(host, "NEWESTa6.stable"))[0] == 200


async def test_what_is_not_http_is_cut(host: UpgradeHost) -> None:
    port = int(host.base_url.split(":")[2].partition("/")[0])
    for nonsense in (b"\r\n\r\n", b"x" * 40_000, b"GET\r\n\r\n", b"GET / SPDY/3\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(nonsense)
        try:
            async with asyncio.timeout(10):
                assert await reader.read() == b""
        except ConnectionError:
            pass  # cut before all of it was read
        writer.close()
    assert (await ask(host, "NEWESTa6.stable"))[0] == 200


async def test_leaving_cuts_a_stalled_client() -> None:
    async with running_upgrade_host(free_port()) as host:
        host.answers["NEWESTa7.stable"] = Answer(stall=True)
        port = int(host.base_url.split(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /routeros/NEWESTa7.stable HTTP/1.1\r\n\r\n")
        await eventually(lambda: len(host.requests), lambda seen: seen == 1, what="one request")
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
