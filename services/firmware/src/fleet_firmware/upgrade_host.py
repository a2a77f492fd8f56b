"""Reading channel files from MikroTik's upgrade host (or a mirror).

The router itself asks `<base>/NEWESTa<major>.<channel>`; the answer is
`<version> <unix time>`, 18 bytes, with an ETag (seen 2026-09). An unknown channel is
404; some names answer with another major version's release.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from importlib import metadata
from types import TracebackType
from typing import Literal, Self

import httpx

from fleet_common.errors import TransientError
from fleet_firmware.channels import (
    MAX_FILE_BYTES,
    ChannelAbsent,
    ChannelKey,
    ChannelReading,
    ChannelRelease,
    MalformedChannelError,
    Source,
    WrongMajorError,
    parse_channel_file,
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A usable answer. `reading` is None when the host says that nothing changed (304)."""

    outcome: Literal["fresh", "not_modified", "absent", "wrong_major"]
    reading: ChannelReading | None
    etag: str | None


class FetchFailedError(TransientError):
    """No usable answer; `outcome` is the metric's word for it."""

    def __init__(self, message: str, outcome: Literal["malformed", "failed"]) -> None:
        super().__init__(message)
        self.outcome: Literal["malformed", "failed"] = outcome


class UpgradeHost:
    """One HTTP client; use as an async context manager.

    Redirects are not followed: the host sends none, a portal that catches requests does.
    """

    def __init__(
        self,
        base_url: str,
        timeout_seconds: float,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._wall_clock = wall_clock
        self._client = httpx.AsyncClient(
            headers={
                "User-Agent": f"RouterFleet-firmware-checker/{metadata.version('fleet-firmware')}",
                "Accept-Encoding": "identity",
            },
            timeout=timeout_seconds,
            limits=httpx.Limits(max_connections=2, max_keepalive_connections=1),
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(exc_type, exc_value, traceback)

    async def read(self, key: ChannelKey, etag: str | None) -> Fetched:
        """Read one channel, conditionally when `etag` is given; raises FetchFailedError."""
        url = f"{self._base_url}/NEWESTa{key}"
        headers = {"If-None-Match": etag} if etag else {}
        try:
            async with (
                # httpx bounds each read; a host that trickles bytes needs a bound on the whole.
                asyncio.timeout(self._timeout_seconds),
                self._client.stream("GET", url, headers=headers) as response,
            ):
                body = await _bounded_body(response) if response.is_success else b""
        except TimeoutError as error:
            raise FetchFailedError(
                f"{url}: no answer within {self._timeout_seconds:g} s", "failed"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise FetchFailedError(
                f"{url}: {type(error).__name__}: {error}".rstrip(": "), "failed"
            ) from error
        return self._interpret(key, url, response, body)

    def _interpret(
        self, key: ChannelKey, url: str, response: httpx.Response, body: bytes
    ) -> Fetched:
        now = int(self._wall_clock())
        etag = response.headers.get("etag")
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            return Fetched("not_modified", None, etag)
        if response.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            absent = ChannelAbsent(f"{url}: {response.status_code}", now, Source.UPGRADE_HOST)
            return Fetched("absent", absent, None)
        if response.status_code != HTTPStatus.OK:
            raise FetchFailedError(f"{url}: status {response.status_code}", "failed")
        try:
            version, released = parse_channel_file(body, key.major)
        except WrongMajorError as error:
            absent = ChannelAbsent(f"{url}: {error}", now, Source.UPGRADE_HOST)
            return Fetched("wrong_major", absent, None)
        except MalformedChannelError as error:
            raise FetchFailedError(f"{url}: {error}", "malformed") from error
        return Fetched("fresh", ChannelRelease(version, released, now, Source.UPGRADE_HOST), etag)


async def _bounded_body(response: httpx.Response) -> bytes:
    """At most one byte more than a channel file may have, however much is sent."""
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_FILE_BYTES:
            return body[: MAX_FILE_BYTES + 1]
    return body
