"""A small HTTP server that plays MikroTik's upgrade host, good files and stale ones alike.

As a library, and from the command line for as long as the simulator runs
(`--upgrade-host-port PORT`, off without it):

    async with running_upgrade_host(port) as host:
        host.base_url                                   # http://127.0.0.1:PORT/routeros
        host.offer("NEWESTa7.stable", "7.25")           # change a channel
        host.answers["NEWESTa7.testing"] = Answer(status=500)
        host.answers["NEWESTa6.stable"] = Answer(body=b"...", delay_seconds=3)
        host.counts["NEWESTa7.stable"], host.requests   # what was asked

Facts (two surveys of the real host, 2026-09-21 and 2026-09-26): a channel file is
`/routeros/NEWESTa<major>.<channel>`, `<version> <unix build time>` and a newline as
text/plain; `?version=` is ignored; an unknown file is 404. The files without `a` and the
LATEST ones are left over from years ago, and `NEWESTa6.testing` names a version 7.
`/routeros/<version>/CHANGELOG` tells what is new. ETag and Last-Modified are honoured.
"""

import asyncio
import contextlib
import hashlib
from collections import Counter, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urlsplit

_ROOT: Final = "/routeros/"
_HEAD_BYTES_MOST: Final = 16_384
_REQUESTS_KEPT: Final = 1000
_CONNECTIONS_MOST: Final = 128
_IDLE_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 5.0
_STALL_SECONDS: Final = 300.0
_OTHER: Final = "other"
_METHODS: Final = frozenset({"GET", "HEAD"})

_CHANNELS: Final = {
    "NEWESTa7.stable": ("7.24.4", 1_789_558_341),
    "NEWESTa7.long-term": ("7.23.7", 1_789_561_155),
    "NEWESTa7.testing": ("7.24.4", 1_789_558_341),
    "NEWESTa7.development": ("7.25beta5", 1_789_640_112),
    "NEWESTa6.stable": ("6.49.22", 1_789_563_951),
    "NEWESTa6.long-term": ("6.49.22", 1_789_563_951),
    "NEWESTa6.testing": ("7.23.7", 1_789_561_155),
    "NEWESTa6.development": ("7.23.7", 1_789_561_155),
    "NEWEST7.stable": ("7.12.1", 1_700_221_125),
    "NEWEST7.testing": ("7.12.1", 1_700_221_125),
    "NEWEST7.development": ("7.12.1", 1_700_221_125),
    "NEWEST6.testing": ("7.12.1", 1_700_221_125),
    "NEWEST6.development": ("7.12.1", 1_700_221_125),
    "NEWEST6.upgrade": ("7.12.1", 1_700_221_125),
    "LATEST.7": ("7.12.1", 1_700_221_125),
    "LATEST.6": ("6.49.22", 1_789_563_951),
    "LATEST.6fix": ("6.49.22", 1_789_563_951),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send for one file, and how badly.

    `modified` is Unix seconds for Last-Modified. `delay_seconds` passes before the answer;
    `stall` never answers and keeps the connection; `raw` is sent instead of an HTTP answer.
    """

    status: int = 200
    body: bytes = b""
    modified: int | None = None
    delay_seconds: float = 0.0
    stall: bool = False
    raw: bytes | None = None

    @property
    def etag(self) -> str:
        """Changes when the body does."""
        return f'"{hashlib.blake2b(self.body, digest_size=8).hexdigest()}"'


@dataclass(frozen=True, slots=True)
class Request:
    """One request: method, path below /routeros/, query text, headers in lower case."""

    method: str
    name: str
    query: str
    headers: dict[str, str]


class UpgradeHost:
    """Answers by file name and the log of requests; change `answers` while it runs.

    `requests` keeps the last 1,000; `counts` counts all, those for unknown files as `other`.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.answers: dict[str, Answer] = {"NEWEST7.long-term": Answer(body=b"0.00\n")}
        self.requests: deque[Request] = deque(maxlen=_REQUESTS_KEPT)
        self.counts: Counter[str] = Counter()
        for name, (version, built) in _CHANNELS.items():
            self.offer(name, version, built)

    def offer(self, name: str, version: str, built: int = 1_789_558_341) -> None:
        """Let channel file `name` offer `version`, built at Unix second `built`."""
        self.answers[name] = Answer(body=f"{version} {built}\n".encode(), modified=built)
        changelog = Answer(body=_changelog(version, built), modified=built)
        self.answers.setdefault(f"{version}/CHANGELOG", changelog)

    def answer(self, request: Request) -> Answer:
        """The answer to `request`, which is counted."""
        self.requests.append(request)
        found = self.answers.get(request.name)
        self.counts[request.name if found else _OTHER] += 1
        if found is not None:
            return found
        listing = not request.name or request.name.endswith("/")
        return Answer(status=HTTPStatus.FORBIDDEN if listing else HTTPStatus.NOT_FOUND)


@asynccontextmanager
async def running_upgrade_host(port: int, host: str = "127.0.0.1") -> AsyncGenerator[UpgradeHost]:
    """An upgrade host listening on `port` until the block is left. OSError: port in use."""
    upgrade_host = UpgradeHost(f"http://{host}:{port}{_ROOT.rstrip('/')}")
    listener = _Listener(upgrade_host)
    server = await asyncio.start_server(listener.serve, host, port, limit=_HEAD_BYTES_MOST)
    try:
        yield upgrade_host
    finally:
        server.close()
        await listener.close()
        async with asyncio.timeout(_CLOSE_SECONDS):
            await server.wait_closed()


class _Listener:
    """Serves connections with keep-alive; at most 128 of them at a time."""

    def __init__(self, upgrade_host: UpgradeHost) -> None:
        self._upgrade_host = upgrade_host
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= _CONNECTIONS_MOST:
            writer.close()
            return
        self._connections.add(task)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (
            asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, TimeoutError,
            ValueError,
        ):  # fmt: skip
            pass  # the client left, said nothing for long, or does not speak HTTP
        finally:
            self._connections.discard(task)
            writer.close()

    async def close(self) -> None:
        """Cut all connections."""
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        async with asyncio.timeout(_IDLE_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        request = _parse(head)
        answer = self._upgrade_host.answer(request)
        if answer.stall:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STALL_SECONDS):
                    await reader.read()
            return False
        if answer.delay_seconds:
            await asyncio.sleep(answer.delay_seconds)
        if answer.raw is not None:
            writer.write(answer.raw)
            await writer.drain()
            return False
        writer.write(_response(request, answer))
        async with asyncio.timeout(_IDLE_SECONDS):
            await writer.drain()
        # A body that came with another method was not read: nothing can follow it.
        readable = request.method in _METHODS
        return readable and request.headers.get("connection", "").lower() != "close"


def _parse(head: bytes) -> Request:
    """The request of an HTTP head. Raises ValueError when it is none."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"not HTTP/1: {version!r}")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    if version == "HTTP/1.0":
        headers.setdefault("connection", "close")
    url = urlsplit(target)
    path = unquote(url.path)
    # A path outside /routeros/ keeps its slash, so that it can name no file.
    name = path.removeprefix(_ROOT) if path.startswith(_ROOT) else path
    return Request(method, name, url.query, headers)


def _response(request: Request, answer: Answer) -> bytes:
    status, body = answer.status, answer.body
    headers = [f"Date: {formatdate(usegmt=True)}", "Server: nginx"]
    if request.method not in _METHODS:
        status, body = HTTPStatus.METHOD_NOT_ALLOWED, b""
    elif status == HTTPStatus.OK:
        headers.append(f"ETag: {answer.etag}")
        if answer.modified is not None:
            headers.append(f"Last-Modified: {formatdate(answer.modified, usegmt=True)}")
        if _is_known(request, answer):
            status, body = HTTPStatus.NOT_MODIFIED, b""
        else:
            headers.append("Content-Type: text/plain")
    if status != HTTPStatus.NOT_MODIFIED:
        headers.append(f"Content-Length: {len(body)}")
    reason = HTTPStatus(status).phrase
    head = "\r\n".join([f"HTTP/1.1 {int(status)} {reason}", *headers, "", ""])
    return head.encode("ascii") + (b"" if request.method == "HEAD" else body)


def _is_known(request: Request, answer: Answer) -> bool:
    """Whether the client has this body already (RFC 9110, section 13.1: If-None-Match first)."""
    known = request.headers.get("if-none-match")
    if known is not None:
        return known == "*" or answer.etag in {tag.strip() for tag in known.split(",")}
    since = request.headers.get("if-modified-since")
    if since is None or answer.modified is None:
        return False
    try:
        return parsedate_to_datetime(since).timestamp() >= answer.modified
    except ValueError:
        return False


def _changelog(version: str, built: int) -> bytes:
    day = formatdate(built, usegmt=True)
    lines = (
        f"What's new in {version} ({day}):",
        "",
        "*) bridge - improved stability;",
        "*) console - improved stability and responsiveness;",
        "*) wifi - improved stability when clients roam;",
        "",
    )
    return "\n".join(lines).encode()
