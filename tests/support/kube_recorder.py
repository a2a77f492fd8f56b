"""A proxy before the API server that writes down which rights each request needed.

Plain HTTP on loopback towards the client; towards the API server with the kubeconfig's own
credentials. Watches are passed on as they come.
"""

import base64
import ssl
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from support.ports import free_port

type Right = tuple[str, str, str]
"""Group, resource (with its subresource), verb."""


@dataclass
class KubeRecorder:
    """`rights` grows; `kubeconfig` is what the client is given.

    The others are troubles to be made: `away` refuses everything, `deaf` lets watches stand
    and tells nothing on them, `expired` and `conflicts` are how many of the next watches or
    patches are answered with 410 or 409.
    """

    kubeconfig: Path
    away: bool = False
    deaf: bool = False
    expired: int = 0
    conflicts: int = 0
    open_requests: list[web.Request] = field(default_factory=list[web.Request])
    rights: set[Right] = field(default_factory=set[Right])
    refused: list[str] = field(default_factory=list[str])

    def cut(self) -> None:
        """The API server goes: every connection ends, none is taken."""
        self.away = True
        for request in self.open_requests:
            _abort(request)


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def right_of(method: str, path: str, query: dict[str, str]) -> Right | None:
    """What a request needs; None for discovery, which everybody may do."""
    parts = path.strip("/").split("/")
    if parts[:1] == ["api"] and len(parts) > 2:
        group, rest = "", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return None
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    resource, named = rest[0], len(rest) > 1
    if len(rest) > 2:
        resource = f"{resource}/{rest[2]}"
    if method == "GET":
        watching = query.get("watch") in {"true", "1"}
        verb = "get" if named else "watch" if watching else "list"
    else:
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[method]
    return group, resource, verb


@asynccontextmanager
async def kube_recorder(kubeconfig: Path, directory: Path) -> AsyncGenerator[KubeRecorder]:
    """Run the proxy; point a client's KUBECONFIG at `kubeconfig` of what is given."""
    server, tls = _access(kubeconfig)
    port = free_port()
    own = directory / "recorded.kubeconfig"
    own.write_text(yaml.safe_dump(_config(port)), encoding="utf-8")
    recorder = KubeRecorder(own)
    connector = aiohttp.TCPConnector(ssl=tls)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            return await _pass_on(session, server, recorder, request)

        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield recorder
        finally:
            await runner.cleanup()


async def _pass_on(
    session: aiohttp.ClientSession, server: str, recorder: KubeRecorder, request: web.Request
) -> web.StreamResponse:
    if recorder.away:
        _abort(request)
        return web.Response(status=503)
    right = right_of(request.method, request.path, dict(request.query))
    made = _trouble(recorder, right)
    if made is not None:
        return made
    kept = ("Content-Type", "Accept")
    headers = {
        name: ", ".join(request.headers.getall(name)) for name in kept if name in request.headers
    }
    async with session.request(
        request.method,
        f"{server}{request.rel_url}",
        data=await request.read() or None,
        headers=headers,
    ) as answer:
        if right is not None:
            recorder.rights.add(right)
            # An apply that makes an object needs the right to create it as well.
            if right[2] == "patch" and answer.status == web.HTTPCreated.status_code:
                recorder.rights.add((*right[:2], "create"))
            if answer.status == web.HTTPForbidden.status_code:
                recorder.refused.append(f"{request.method} {request.path}")
        response = web.StreamResponse(
            status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]}
        )
        await response.prepare(request)
        recorder.open_requests.append(request)
        try:
            async for chunk in answer.content.iter_any():
                if not (recorder.deaf and right is not None and right[2] == "watch"):
                    await response.write(chunk)
        finally:
            recorder.open_requests.remove(request)
        return response


def _trouble(recorder: KubeRecorder, right: Right | None) -> web.Response | None:
    if right is None:
        return None
    if right[2] == "watch" and recorder.expired:
        recorder.expired -= 1
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        return web.json_response({"type": "ERROR", "object": status})
    if right[2] == "patch" and recorder.conflicts:
        recorder.conflicts -= 1
        status = {"kind": "Status", "code": 409, "reason": "Conflict", "message": "changed"}
        return web.json_response(status, status=409)
    return None


def _config(port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fleet-test",
        "clusters": [{"name": "one", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "one", "user": {}}],
        "contexts": [{"name": "fleet-test", "context": {"cluster": "one", "user": "one"}}],
    }


def _access(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(
        cafile=cluster.get("certificate-authority"),
        cadata=_decoded(cluster.get("certificate-authority-data")),
    )
    with tempfile.TemporaryDirectory() as folder:
        files = [_file(user, name, Path(folder)) for name in ("client-certificate", "client-key")]
        if all(files):
            context.load_cert_chain(*files)
    return cluster["server"], context


def _decoded(data: str | None) -> str | None:
    return None if data is None else base64.b64decode(data).decode()


def _file(user: dict[str, str], name: str, folder: Path) -> str:
    if name in user:
        return user[name]
    data = _decoded(user.get(f"{name}-data"))
    if data is None:
        return ""
    (folder / name).write_text(data, encoding="utf-8")
    return str(folder / name)
