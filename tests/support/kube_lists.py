"""An API server that only lists, on loopback: what is in which namespace, and what is refused."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from support.ports import free_port

type Document = dict[str, Any]


@dataclass
class KubeLists:
    """`objects` by namespace and plural; `forbidden` pairs are refused with 403.

    Every list is of the revision after the last one's. `listed` is called after each.
    """

    kubeconfig: Path
    revision: int = 100
    objects: dict[tuple[str, str], list[Document]] = field(
        default_factory=dict[tuple[str, str], "list[Document]"]
    )
    forbidden: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    listed: Callable[[str, str], None] = lambda _namespace, _plural: None

    def answer(self, namespace: str, plural: str) -> web.Response:
        if (namespace, plural) in self.forbidden:
            message = f"{plural} is forbidden in {namespace}"
            status = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}
            return _json(status, 403)
        self.revision += 1
        metadata = {"resourceVersion": str(self.revision)}
        items = list(self.objects.get((namespace, plural), ()))
        self.listed(namespace, plural)
        return _json({"kind": "List", "metadata": metadata, "items": items}, 200)


def _json(document: Document, status: int) -> web.Response:
    """As the API server sends it: clients know its errors by the bare content type."""
    return web.Response(
        body=json.dumps(document).encode(), status=status, content_type="application/json"
    )


@asynccontextmanager
async def kube_lists(directory: Path) -> AsyncGenerator[KubeLists]:
    """Serve; point a client's KUBECONFIG at `kubeconfig` of what is given."""
    port = free_port()
    config: Document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lists",
        "clusters": [{"name": "one", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "one", "user": {}}],
        "contexts": [{"name": "lists", "context": {"cluster": "one", "user": "one"}}],
    }
    lists = KubeLists(directory / "lists.kubeconfig")
    lists.kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")

    async def handle(request: web.Request) -> web.Response:
        _, _, namespace, plural = request.path.rsplit("/", 3)
        return lists.answer(namespace, plural)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield lists
    finally:
        await runner.cleanup()
