"""HTTP on the side: /healthz, /metrics, the ledger, and faults and time at run time.

For tests and for showing a fault to people; it has no login and belongs on loopback.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, fields
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fleet_common.admin import admin_routes
from fleet_common.health import Health
from fleet_simulator.device import Device
from fleet_simulator.faults import FaultError, FaultRule, parse_kind, parse_plan, parse_rule
from fleet_simulator.login import Credentials
from fleet_simulator.metrics import SimulatorMetrics
from fleet_simulator.server import Simulator

_MAX_BODY_BYTES = 1 << 20
_MAX_ADVANCE_SECONDS = 400 * 86400.0
_USER_FIELDS = 2


def admin_app(simulator: Simulator, health: Health, metrics: SimulatorMetrics) -> Starlette:
    """The application; every answer is JSON, errors as `{"error": …}` with a 4xx status."""
    admin = _Admin(simulator)
    routes = [
        *admin_routes(health, metrics),
        Route("/ledger", admin.ledger, methods=["GET"]),
        Route("/ledger", admin.forget, methods=["DELETE"]),
        Route("/ledger/{tenant}/{device}", admin.device_ledger, methods=["GET"]),
        Route("/devices", admin.devices, methods=["GET"]),
        Route("/devices/{tenant}/{device}/reboot", admin.reboot, methods=["POST"]),
        Route("/users/{tenant}", admin.set_users, methods=["PUT"]),
        Route("/faults", admin.faults, methods=["GET"]),
        Route("/faults", admin.add_fault, methods=["POST"]),
        Route("/faults", admin.replace_faults, methods=["PUT"]),
        Route("/faults", admin.remove_faults, methods=["DELETE"]),
        Route("/faults/{kind}", admin.remove_faults, methods=["DELETE"]),
        Route("/clock", admin.clock, methods=["GET"]),
        Route("/clock", admin.set_clock, methods=["POST"]),
    ]
    handlers: Mapping[int | type[Exception], Callable[[Request, Exception], Awaitable[Response]]]
    handlers = {
        HTTPException: _http_error,
        FaultError: _bad_request,
        _BadRequestError: _bad_request,
    }
    return Starlette(routes=routes, exception_handlers=dict(handlers))


class _BadRequestError(Exception):
    """The caller's fault; the message says what is wrong."""


class _Admin:
    """The handlers. They run in the simulator's own event loop and never block."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def ledger(self, _request: Request) -> Response:
        """All devices' counts, and the totals of logins, polls and commands."""
        devices = {
            key: _counts(listener.device) for key, listener in self._simulator.listeners.items()
        }
        totals = {
            name: sum(cast("int", counts[name]) for counts in devices.values())
            for name in ("sessions", "connections", "logins", "logins_refused", "polls", "reboots")
        }
        return JSONResponse(
            {"virtual_time": self._simulator.clock.now(), "totals": totals, "devices": devices}
        )

    async def forget(self, _request: Request) -> Response:
        """Begin the ledgers anew."""
        for device in self._simulator.devices:
            device.forget()
        return JSONResponse({})

    async def device_ledger(self, request: Request) -> Response:
        """One device's counts."""
        device = self._device(request)
        return JSONResponse({"virtual_time": self._simulator.clock.now(), **_counts(device)})

    async def devices(self, _request: Request) -> Response:
        """Where each device listens; no credentials."""
        return JSONResponse(
            [
                {
                    "tenant": endpoint.tenant,
                    "device": endpoint.device,
                    "address": endpoint.address,
                    "port": endpoint.port,
                    "tls": endpoint.tls,
                    "listening": listener.listening,
                    "version": ".".join(map(str, listener.device.router.version)),
                }
                for endpoint, listener in zip(
                    self._simulator.endpoints, self._simulator.listeners.values(), strict=True
                )
            ]
        )

    async def reboot(self, request: Request) -> Response:
        """Restart a device; `{"seconds": 5}` is how long it is away."""
        body = await _body(request)
        self._device(request).reboot(_number(body, "seconds", 2.0, 0.0, 3600.0))
        return JSONResponse({})

    async def set_users(self, request: Request) -> Response:
        """Who may log in to a tenant's devices from now on, as an administrator would change it.

        `{"users": [{"username": …, "password": …}], "hang_up": true}`: with `hang_up` the
        sessions that are open end as well; RouterOS lets them go on.
        """
        tenant: str = request.path_params["tenant"]
        devices = [one for one in self._simulator.devices if one.tenant == tenant]
        if not devices:
            raise HTTPException(404, f"there is no device of {tenant}")
        body = await _body(request)
        users = _users(body.get("users"))
        hang_up = body.get("hang_up", False)
        if not isinstance(hang_up, bool):
            raise _BadRequestError("hang_up must be true or false")
        for device in devices:
            device.users = users
            if hang_up:
                device.cut()
        return JSONResponse({"devices": len(devices)})

    async def faults(self, _request: Request) -> Response:
        """The rules in force."""
        return JSONResponse({"faults": [_rule(rule) for rule in self._simulator.faults.rules]})

    async def add_fault(self, request: Request) -> Response:
        """One rule more; its window begins now."""
        rule = parse_rule({**await _body(request)})
        self._simulator.faults.add(self._simulator.from_now(rule))
        return JSONResponse({"faults": len(self._simulator.faults.rules)}, status_code=201)

    async def replace_faults(self, request: Request) -> Response:
        """These rules and no others; their windows begin now."""
        rules = parse_plan(await _body(request))
        self._simulator.faults.replace([self._simulator.from_now(rule) for rule in rules])
        return JSONResponse({"faults": len(rules)})

    async def remove_faults(self, request: Request) -> Response:
        """Drop all rules, those of one kind, or those about `?device=` exactly."""
        kind = request.path_params.get("kind")
        removed = self._simulator.faults.remove(
            None if kind is None else parse_kind(kind), request.query_params.get("device")
        )
        return JSONResponse({"removed": removed})

    async def clock(self, _request: Request) -> Response:
        """The virtual time and its speed."""
        clock = self._simulator.clock
        return JSONResponse({"virtual_time": clock.now(), "scale": clock.scale})

    async def set_clock(self, request: Request) -> Response:
        """`{"advance_seconds": …}` jumps forward, `{"scale": …}` changes the speed."""
        body = await _body(request)
        clock = self._simulator.clock
        if "advance_seconds" in body:
            clock.advance(_number(body, "advance_seconds", 0.0, 0.0, _MAX_ADVANCE_SECONDS))
        if "scale" in body:
            clock.set_scale(_number(body, "scale", 1.0, 0.001, 100_000.0))
        return await self.clock(request)

    def _device(self, request: Request) -> Device:
        key = "{tenant}/{device}".format_map(request.path_params)
        listener = self._simulator.listeners.get(key)
        if listener is None:
            raise HTTPException(404, f"there is no device {key}")
        return listener.device


def _counts(device: Device) -> dict[str, object]:
    # Not asdict: it makes a Counter anew from pairs, whose counts are then of the pairs.
    counts = {field.name: getattr(device.ledger, field.name) for field in fields(device.ledger)}
    return {"sessions": len(device.sessions), **counts}


def _rule(rule: FaultRule) -> dict[str, object]:
    return asdict(rule)


async def _body(request: Request) -> Mapping[str, object]:
    """The JSON object in the request; an empty body is an empty object."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MAX_BODY_BYTES:
            raise _BadRequestError(f"a body of more than {_MAX_BODY_BYTES} bytes")
    try:
        value: object = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        raise _BadRequestError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise _BadRequestError("the body must be a JSON object")
    return cast("Mapping[str, object]", value)


def _number(
    body: Mapping[str, object], name: str, default: float, lowest: float, highest: float
) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _BadRequestError(f"{name} must be a number")
    if not lowest <= value <= highest:
        raise _BadRequestError(f"{name} must be between {lowest:g} and {highest:g}")
    return float(value)


def _users(value: object) -> tuple[Credentials, ...]:
    if not isinstance(value, list):
        raise _BadRequestError("users must be a list of objects with username and password")
    users: list[Credentials] = []
    for one in cast("list[object]", value):
        given: Mapping[str, object] = {}
        if isinstance(one, dict):
            given = cast("Mapping[str, object]", one)
        name, password = given.get("username"), given.get("password")
        if not isinstance(name, str) or not isinstance(password, str) or len(given) != _USER_FIELDS:
            raise _BadRequestError("a user is an object with username and password, both text")
        users.append(Credentials(name.encode(), password.encode()))
    return tuple(users)


async def _http_error(_request: Request, error: Exception) -> Response:
    failure = cast("HTTPException", error)
    return JSONResponse({"error": failure.detail}, status_code=failure.status_code)


async def _bad_request(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)
