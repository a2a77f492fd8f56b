"""`GET /api/v1/events`: the event stream, as a raw ASGI application."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from fleet_gateway.auth import Authenticator, Visitor
from fleet_gateway.client import Client
from fleet_gateway.client_context import ClientContext, Resume, Send
from fleet_gateway.errors import ApiError
from fleet_gateway.outlet import EXTENSION, Outlet
from fleet_gateway.positions import BadPositionError, parse_position
from fleet_gateway.query import Query, parse_query, parse_selection, parse_window
from fleet_gateway.selection import ChannelKey, Selection

PARAMETERS: Final = ("tenant", "kind", "device", "coalesce", "last_event_id")
_READY_SECONDS: Final = 5.0
_MAX_CARRIED: Final = 100
"""Positions in unknown streams that a client may bring."""
_RETRY_AFTER_BUSY: Final = {"Retry-After": "5"}
_RETRY_AFTER_STARTING: Final = {"Retry-After": "2"}
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    # nginx would hold events back until its buffer is full.
    (b"x-accel-buffering", b"no"),
)


class EventStream:
    """Turns a request into a client of the hub."""

    def __init__(
        self,
        context: ClientContext,
        authenticator: Authenticator,
        max_clients: int,
    ) -> None:
        self._context = context
        self._hub = context.hub
        self._authenticator = authenticator
        self._max_clients = max_clients

    async def open(
        self,
        scope: Mapping[str, Any],
        headers: Mapping[str, str],
        extra: Iterable[tuple[bytes, bytes]],
        send: Send,
    ) -> Client:
        """Check the request and start the response; the caller then awaits `client.serve`.

        Two steps, because whatever frame waits for a client's whole life costs memory for each
        client. Raises ApiError before the first byte.
        """
        visitor = self._authenticator.visitor(headers)
        self._refuse_when_full()
        await self._wait_until_ready()
        # Again: everybody who came meanwhile waits here, and none of them is a client yet.
        self._refuse_when_full()
        query = parse_query(scope["query_string"].decode("latin-1"), PARAMETERS)
        asked = _last_event_id(headers, query)
        selection = parse_selection(query, visitor.grant, self._hub, resuming=bool(asked))
        key = ChannelKey(selection, parse_window(query))
        outlet = cast("Outlet", scope["extensions"][EXTENSION])
        client = Client(
            self._context,
            key,
            self._resume(asked, selection),
            outlet,
            lambda: self._authenticator.why_over(visitor.grant),
        )
        outlet.on_lost = client.gone
        outlet.bound_kernel_buffer()
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [*_HEADERS, *self._renewed(visitor, scope["scheme"]), *extra],
            }
        )
        return client

    def _refuse_when_full(self) -> None:
        if self._hub.closing:
            raise ApiError(
                503, "stopping", "the gateway is stopping; connect again in a moment",
                headers=_RETRY_AFTER_STARTING,
            )  # fmt: skip
        if len(self._hub.clients) >= self._max_clients:
            raise ApiError(
                503, "too_many_clients",
                f"all {self._max_clients} places (FLEET_GATEWAY__MAX_CLIENTS) are taken",
                headers=_RETRY_AFTER_BUSY,
            )  # fmt: skip

    async def _wait_until_ready(self) -> None:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await self._hub.ready.wait()
        except TimeoutError as error:
            raise ApiError(
                503, "starting", "the streams are still being read; try again in a moment",
                headers=_RETRY_AFTER_STARTING,
            ) from error  # fmt: skip

    def _resume(self, asked: str | None, selection: Selection) -> Resume:
        if not asked:
            return Resume({})
        covered = [log.tenant for log in self._hub.covered(selection)]
        try:
            marks = parse_position(asked, covered)
        except BadPositionError:
            return Resume({}, unreadable=True)
        resumed = {t: mark for t, mark in marks.items() if selection.covers(t)}
        # Each such client costs a channel of its own, and every id it is sent is that long.
        if len(resumed.keys() - self._hub.logs.keys()) > _MAX_CARRIED:
            return Resume({}, unreadable=True)
        return Resume(resumed)

    def _renewed(self, visitor: Visitor, scheme: str) -> list[tuple[bytes, bytes]]:
        cookie = self._authenticator.renewed_cookie(visitor, scheme)
        return [(b"set-cookie", cookie.encode())] if cookie is not None else []


def _last_event_id(headers: Mapping[str, str], query: Query) -> str | None:
    """The header wins: a browser sends it on its own reconnects, with an older query string."""
    header = headers.get("last-event-id")
    if header:
        return header
    values = query.get("last_event_id")
    return values[-1] if values else None
