"""The operator as a process against a real API server and a real nats-server.

Fixtures: `operator_site` (one a module). They need the fixture `namespace` of tests/cluster.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext
from nats.js.errors import BucketNotFoundError, NoKeysError, NotFoundError

from e2e.commands import apply, find, get, kubectl
from support.nats import NatsServer, connected
from support.processes import ServiceProcess
from support.waiting import eventually

type Document = dict[str, Any]

FAST = {
    "FLEET_OPERATOR__RESYNC_SECONDS": "5",
    "FLEET_OPERATOR__LOOK_SECONDS": "1",
    "FLEET_OPERATOR__STATUS_SECONDS": "5",
    "FLEET_OPERATOR__CLEANUP_SECONDS": "8",
    "FLEET_OPERATOR__BUDGET_BYTES": "512Mi",
}
AS_INSTALLED = {
    # As the chart has them.
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "FLEET_OPERATOR__RESYNC_SECONDS": "60",
    "FLEET_OPERATOR__LOOK_SECONDS": "10",
    "FLEET_OPERATOR__STATUS_SECONDS": "30",
}
"""For figures: `FAST` looks far more often."""
_SECONDS = 45.0


@dataclass
class OperatorSite:
    """A namespace with an operator that looks after it, and its NATS."""

    namespaces: tuple[str, ...]
    nats: NatsServer
    directory: Path
    settings: dict[str, str] = field(default_factory=dict[str, str])
    service: ServiceProcess = field(init=False)

    def __post_init__(self) -> None:
        self.service = ServiceProcess(
            "fleet_operator",
            {
                **FAST,
                "FLEET_OPERATOR__NAMESPACES": ",".join(self.namespaces),
                "FLEET_NATS__URL": self.nats.url,
                "FLEET_NATS__REQUEST_TIMEOUT_SECONDS": "2",
                **self.settings,
            },
            self.directory / "operator.log",
        )

    @property
    def namespace(self) -> str:
        return self.namespaces[0]

    # --- what is asked ---------------------------------------------------------------

    def apply(self, *documents: Document, namespace: str | None = None) -> None:
        apply(documents, namespace or self.namespace)

    def patch(self, kind: str, name: str, patch: Document, namespace: str | None = None) -> None:
        kubectl(
            *("-n", namespace or self.namespace, "patch", kind, name),
            *("--type=merge", "-p", json.dumps(patch)),
        )

    def delete(self, kind: str, name: str, *, wait: bool = False) -> None:
        kubectl("-n", self.namespace, "delete", kind, name, f"--wait={str(wait).lower()}")

    # --- what is there ---------------------------------------------------------------

    def get(self, kind: str, name: str, namespace: str | None = None) -> Document:
        return get(kind, name, namespace or self.namespace)

    def find(self, kind: str, name: str) -> Document | None:
        return find(kind, name, self.namespace)

    def condition(self, fleet: str, kind: str, namespace: str | None = None) -> Document:
        status: Document = self.get("rf", fleet, namespace).get("status", {})
        conditions: list[Document] = status.get("conditions", [])
        found = [one for one in conditions if one["type"] == kind]
        return found[0] if found else {}

    def events(self, fleet: str, reason: str) -> list[Document]:
        """Events about a RouterFleet, with this reason."""
        chosen = f"involvedObject.kind=RouterFleet,involvedObject.name={fleet},reason={reason}"
        said = kubectl(
            *("-n", self.namespace, "get", "events", "-o", "json", "--field-selector", chosen)
        )
        return json.loads(said)["items"]

    async def until_condition(
        self,
        fleet: str,
        kind: str,
        status: str,
        *,
        reason: str | None = None,
        text: str = "",
        namespace: str | None = None,
        seconds: float = _SECONDS,
    ) -> Document:
        """Wait for a condition; fails with what it was and the operator's log."""

        def holds(one: Document) -> bool:
            return (
                one.get("status") == status
                and (reason is None or one["reason"] == reason)
                and text in one["message"]
            )

        return await self.until(
            lambda: self.condition(fleet, kind, namespace),
            holds,
            what=f"{fleet}: {kind}={status} {reason or ''}",
            seconds=seconds,
        )

    async def until[ValueT](
        self,
        read: Callable[[], ValueT],
        holds: Callable[[ValueT], bool],
        *,
        what: str,
        seconds: float = _SECONDS,
    ) -> ValueT:
        """`eventually`, at kubectl's pace; a failure shows the operator's log."""

        async def read_async() -> ValueT:
            return await asyncio.to_thread(read)

        try:
            return await eventually(
                read_async, holds, deadline_seconds=seconds, every_seconds=0.3, what=what
            )
        except AssertionError as error:
            tail = self.service.log_text()[-4000:]
            raise AssertionError(f"{error}\noperator's log:\n{tail}") from None

    @asynccontextmanager
    async def jetstream(self) -> AsyncGenerator[JetStreamContext]:
        """A client of one's own."""
        async with connected(self.nats.url) as client:
            yield client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely

    async def keys(self, bucket: str, tenant: str) -> list[str]:
        """Keys of a tenant in a bucket, without the tenant."""
        async with self.jetstream() as js:
            try:
                store = await js.key_value(bucket)
                found = await store.keys()  # pyright: ignore[reportUnknownMemberType] - nats-py types its filters loosely
            except (NoKeysError, BucketNotFoundError):
                return []
        return sorted(one.partition(".")[2] for one in found if one.startswith(f"{tenant}."))

    async def stream_max_bytes(self, tenant: str) -> int | None:
        async with self.jetstream() as js:
            try:
                return (await js.stream_info(f"FLEET_{tenant}")).config.max_bytes
            except NotFoundError:
                return None

    def ready_fleets(self) -> int:
        """How many RouterFleets of the first namespace are ready."""
        path = "{.items[*].status.conditions[?(@.type=='Ready')].status}"
        said = kubectl("-n", self.namespace, "get", "rf", "-o", f"jsonpath={path}")
        return said.split().count("True")

    async def passed(self) -> float:
        """How many passes over all fleets there were."""
        return await self.service.metric("fleet_operator_reconciles_total")

    async def passes(self, count: int) -> None:
        """Wait for so many more passes over all fleets."""
        before = await self.passed()
        await eventually(
            self.passed,
            lambda now: now >= before + count,
            # As seldom as every ten seconds where nothing has shards.
            deadline_seconds=10.0 + 11 * count,
            every_seconds=1.0,
            what=f"{count} passes",
        )

    async def passes_for(self, seconds: float) -> None:
        """Wait while it passes over all fleets."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self.passes(1)

    # --- life ------------------------------------------------------------------------

    def delete_fleets(self) -> None:
        """Delete every RouterFleet and wait for the operator to let them go."""
        for namespace in self.namespaces:
            with contextlib.suppress(AssertionError):
                kubectl("-n", namespace, "delete", "rf", "--all", "--timeout=20s", seconds=30)

    def close(self) -> None:
        """Delete every RouterFleet while the operator lives, then end everything."""
        self.nats.resume()
        try:
            self.delete_fleets()
        finally:
            self.service.kill()
            self.nats.stop()
            for namespace in self.namespaces:
                _release(namespace)


def _release(namespace: str) -> None:
    """No finalizer of a test keeps the namespace."""
    names = kubectl("-n", namespace, "get", "rf", "-o", "name").split()
    for name in names:
        with contextlib.suppress(AssertionError):
            kubectl(
                *("-n", namespace, "patch", name, "--type=merge"),
                *("-p", '{"metadata":{"finalizers":null}}'),
            )


@contextlib.contextmanager
def operator_at(
    namespaces: Sequence[str], directory: Path, settings: Mapping[str, str] | None = None
) -> Generator[OperatorSite]:
    """Start NATS and the operator; end both, and the RouterFleets, in any case."""
    server = NatsServer(directory / "nats")
    server.start()
    site = OperatorSite(tuple(namespaces), server, directory, dict(settings or {}))
    site.service.start()
    try:
        yield site
    finally:
        site.close()


@pytest.fixture(scope="module")
def operator_site(
    namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[OperatorSite]:
    """One operator for a module's tests; each uses tenants of its own."""
    with operator_at([namespace], tmp_path_factory.mktemp("operator")) as site:
        yield site
