"""The outermost ASGI application: host check, security headers, CORS, errors as JSON."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fleet_gateway.client import Client
from fleet_gateway.client_context import Send
from fleet_gateway.errors import ApiError
from fleet_gateway.events import EventStream
from fleet_gateway.telemetry import GatewayMetrics

_log = logging.getLogger(__name__)

EVENTS_PATH: Final = "/api/v1/events"
LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")

_SECURITY_HEADERS: Final = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            b"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_SAME_ORIGIN: Final = (b"cross-origin-resource-policy", b"same-origin")

type Receive = Callable[[], Awaitable[dict[str, Any]]]
type Scope = dict[str, Any]


class GatewayServer:
    """Routes between the event stream and the rest."""

    def __init__(
        self,
        events: EventStream,
        routes: Sequence[Route],
        allowed_hosts: Iterable[str],
        allowed_origins: Iterable[str],
        metrics: GatewayMetrics,
    ) -> None:
        self._events = events
        self._hosts = frozenset(host.lower() for host in allowed_hosts)
        self._origins = frozenset(allowed_origins)
        self._metrics = metrics
        self._rest = Starlette(
            routes=list(routes),
            exception_handlers={
                ApiError: self._on_api_error,
                HTTPException: self._on_http_exception,
                500: self._on_bug,
            },
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        if scope["path"] == EVENTS_PATH and scope["method"] == "GET":
            client = await self._open_stream(scope, receive, send)
            if client is not None:
                await client.serve(send)
        else:
            await self._answer(scope, receive, send)

    async def _open_stream(self, scope: Scope, receive: Receive, send: Send) -> Client | None:
        headers = _headers(scope)
        extra = self._extra_headers(headers)
        try:
            self._check_host(headers)
            return await self._events.open(scope, headers, extra, send)
        except ApiError as error:
            await self._error_response(error)(scope, receive, _with_headers(send, extra))  # pyright: ignore[reportArgumentType] - Starlette's own ASGI types
        return None

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        guarded = _with_headers(send, self._extra_headers(headers))
        try:
            self._check_host(headers)
            if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                preflight = Response(status_code=204, headers={"Access-Control-Max-Age": "600"})
                await preflight(scope, receive, guarded)  # pyright: ignore[reportArgumentType] - Starlette's own ASGI types
            elif scope["path"] == EVENTS_PATH:
                raise _only_get(scope["method"])
            else:
                await self._rest(scope, receive, guarded)  # pyright: ignore[reportArgumentType] - Starlette's own ASGI types
        except ApiError as error:
            await self._error_response(error)(scope, receive, guarded)  # pyright: ignore[reportArgumentType] - Starlette's own ASGI types

    def _check_host(self, headers: Mapping[str, str]) -> None:
        """A page of a hostile site can point its own name at this address (DNS rebinding)."""
        if not self._hosts:
            return
        host = headers.get("host", "").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in self._hosts:
            raise ApiError(
                421, "unknown_host", f"this gateway does not answer to host {name!r}",
                field="host", allowed=sorted(self._hosts),
            )  # fmt: skip

    def _extra_headers(self, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        origin = headers.get("origin")
        if not self._origins:
            return [*_SECURITY_HEADERS, _SAME_ORIGIN]
        extra = [*_SECURITY_HEADERS, (b"vary", b"Origin")]
        if origin is not None and origin in self._origins:
            # No credentials: a session cookie is for the gateway's own page alone.
            extra += [
                (b"access-control-allow-origin", origin.encode()),
                (b"access-control-allow-headers", b"authorization, last-event-id, content-type"),
                (b"access-control-allow-methods", b"GET"),
                (b"cross-origin-resource-policy", b"cross-origin"),
            ]
        else:
            extra.append(_SAME_ORIGIN)
        return extra

    def _error_response(self, error: ApiError) -> Response:
        self._metrics.refused.labels(error.code).inc()
        return Response(
            orjson.dumps(error.body()),
            status_code=error.status,
            media_type="application/json",
            headers={"Cache-Control": "no-store", **error.headers},
        )

    async def _on_api_error(self, _request: Request, error: Exception) -> Response:
        if not isinstance(error, ApiError):
            raise TypeError(type(error)) from error
        return self._error_response(error)

    async def _on_http_exception(self, request: Request, error: Exception) -> Response:
        """Starlette's own 404 and 405."""
        if not isinstance(error, HTTPException):
            raise TypeError(type(error)) from error
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        message = f"{request.method} {request.url.path}: {error.detail.lower()}"
        allowed = (error.headers or {}).get("Allow")
        return self._error_response(
            ApiError(
                error.status_code, code, message, headers=error.headers,
                allowed=allowed.split(", ") if allowed else None,
            )
        )  # fmt: skip

    async def _on_bug(self, _request: Request, error: Exception) -> Response:
        _log.error("request failed", exc_info=error)
        return self._error_response(
            ApiError(500, "internal", "the gateway failed on this request; its log says why")
        )


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _only_get(method: str) -> ApiError:
    return ApiError(
        405,
        "method_not_allowed",
        f"{method} is not possible here",
        allowed=["GET"],
        headers={"Allow": "GET"},
    )


def _with_headers(send: Send, extra: Sequence[tuple[bytes, bytes]]) -> Send:
    async def guarded(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *extra]
        await send(message)

    return guarded
