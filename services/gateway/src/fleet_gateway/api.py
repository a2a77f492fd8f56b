"""The REST API besides the stream: session, tenants, devices."""

import json
from collections.abc import Iterable
from typing import Any, Final, cast

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fleet_contracts.subjects import BadNameError, device_id, tenant_id
from fleet_gateway.auth import Authenticator, Visitor
from fleet_gateway.errors import ApiError, bad_value
from fleet_gateway.hub import Hub
from fleet_gateway.positions import render_mark
from fleet_gateway.query import (
    forbidden_tenant,
    nearest,
    parse_count,
    parse_query,
    parse_selection,
    refuse_unread,
)
from fleet_gateway.selection import Selection
from fleet_gateway.tokens import OPEN_GRANT, Grant

_DEFAULT_LIMIT: Final = 1000
_MAX_LIMIT: Final = 10_000
_MAX_BODY_BYTES: Final = 8 * 1024
_NO_STORE: Final = {"Cache-Control": "no-store"}


class Api:
    """Handlers over the hub's state; all answers are JSON."""

    def __init__(self, hub: Hub, authenticator: Authenticator) -> None:
        self._hub = hub
        self._authenticator = authenticator

    def routes(self) -> list[Route]:
        """The routes, to be mounted in a Starlette app."""
        return [
            Route("/api/v1/session", self.session, methods=["GET", "POST", "DELETE"]),
            Route("/api/v1/tenants", self.tenants, methods=["GET"]),
            Route("/api/v1/devices", self.devices, methods=["GET"]),
            Route("/api/v1/devices/{tenant}/{device}", self.device, methods=["GET"]),
        ]

    async def session(self, request: Request) -> Response:
        """GET: who I am. POST {"token"}: log in. DELETE: log out."""
        match request.method:
            case "POST":
                return await self._log_in(request)
            case "DELETE":
                _refuse_other_origin(request)
                response = Response(status_code=204, headers=_NO_STORE)
                response.headers.append(
                    "set-cookie", self._authenticator.logout_cookie(request.url.scheme)
                )
                return response
            case _:
                visitor = self._visitor(request)
                body = _session_body(visitor.grant, visitor.session_expires_unix)
                return self._answer(request, visitor, orjson.dumps(body))

    async def _log_in(self, request: Request) -> Response:
        # A form of another site cannot send this content type without a preflight.
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise ApiError(
                415, "unsupported_media_type", "send JSON", field="content-type",
                allowed=["application/json"],
            )  # fmt: skip
        _refuse_other_origin(request)
        if self._authenticator.open:
            return _json(orjson.dumps(_session_body(OPEN_GRANT, None)))
        grant = self._authenticator.login(await _token(request))
        header, expires = self._authenticator.cookie(grant, request.url.scheme)
        response = _json(orjson.dumps(_session_body(grant, expires)))
        response.headers.append("set-cookie", header)
        return response

    async def tenants(self, request: Request) -> Response:
        """Every tenant the visitor may see, with its device count and position."""
        visitor = self._visitor(request)
        selection = Selection(visitor.grant.tenants)
        refuse_unread(selection, self._hub)
        tenants = [
            {
                "tenant": log.tenant,
                "devices": len(log.state),
                "position": render_mark(log.tenant, log.mark).decode(),
            }
            for log in self._hub.covered(selection)
        ]
        return self._answer(request, visitor, orjson.dumps({"tenants": tenants}))

    async def devices(self, request: Request) -> Response:
        """Devices with their latest events, by tenant and name; `next` continues a long list."""
        visitor = self._visitor(request)
        known = ("tenant", "kind", "device", "limit", "after")
        query = parse_query(request.url.query, known)
        selection = parse_selection(query, visitor.grant, self._hub)
        limit = parse_count(query, "limit", _DEFAULT_LIMIT, _MAX_LIMIT)
        after = query.get("after", [""])[-1]
        if after and after.count("/") != 1:
            raise bad_value("after", after, "is no place in the list", ["<tenant>/<device>"])
        tenant, _, device = after.partition("/")
        start = (tenant, device)
        found: list[bytes] = []
        last = ""
        more = False
        for log in self._hub.covered(selection):
            for name, state in log.state:
                if (str(log.tenant), str(name)) <= start:
                    continue
                if selection.devices is not None and name not in selection.devices:
                    continue
                if len(found) == limit:
                    more = True
                    break
                found.append(state.data(selection.kinds))
                last = f"{log.tenant}/{name}"
        return self._answer(request, visitor, _device_list(found, last if more else None))

    async def device(self, request: Request) -> Response:
        """One device with its latest events."""
        visitor = self._visitor(request)
        params = cast("dict[str, str]", request.path_params)
        try:
            tenant, device = tenant_id(params["tenant"]), device_id(params["device"])
        except BadNameError as error:
            raise ApiError(400, "bad_name", str(error)) from error
        if not visitor.grant.allows(tenant):
            raise forbidden_tenant(tenant, visitor.grant)
        refuse_unread(Selection(frozenset({tenant})), self._hub)
        log = self._hub.logs.get(tenant)
        if log is None:
            raise ApiError(
                404, "unknown_tenant", f"tenant {tenant!r} has no fleet here", field="tenant",
                allowed=[t for t in sorted(self._hub.logs) if visitor.grant.allows(t)],
            )  # fmt: skip
        state = log.state.device(device)
        if state is None:
            raise ApiError(
                404, "unknown_device", f"tenant {tenant!r} has no device {device!r}",
                field="device", allowed=nearest(device, (name for name, _ in log.state)),
            )  # fmt: skip
        return self._answer(request, visitor, state.data())

    def _visitor(self, request: Request) -> Visitor:
        return self._authenticator.visitor(dict(request.headers))

    def _answer(self, request: Request, visitor: Visitor, body: bytes) -> Response:
        response = _json(body)
        cookie = self._authenticator.renewed_cookie(visitor, request.url.scheme)
        if cookie is not None:
            response.headers.append("set-cookie", cookie)
        return response


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers=_NO_STORE)


def _device_list(devices: Iterable[bytes], following: str | None) -> bytes:
    return b'{"devices":[' + b",".join(devices) + b'],"next":' + orjson.dumps(following) + b"}"


def _session_body(grant: Grant, expires_unix: int | None) -> dict[str, Any]:
    return {
        "name": grant.name,
        "open": grant is OPEN_GRANT,
        "tenants": ["*"] if grant.tenants is None else sorted(grant.tenants),
        "session_expires_unix": expires_unix,
    }


async def _token(request: Request) -> str:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY_BYTES:
            raise ApiError(413, "too_large", f"the body has more than {_MAX_BODY_BYTES} bytes")
    try:
        document = json.loads(body)
    except ValueError as error:
        raise ApiError(400, "bad_json", "the body is not JSON") from error
    token: object = None
    if isinstance(document, dict):
        token = cast("dict[str, object]", document).get("token")
    if not isinstance(token, str) or not token:
        raise ApiError(400, "bad_value", 'the body must be {"token": "<token>"}', field="token")
    return token


def _refuse_other_origin(request: Request) -> None:
    """A request that changes the session must come from the gateway's own page or no page."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise ApiError(403, "other_origin", f"not for scripts of {origin}", field="origin")
