"""kopf watches the cluster and tells the store; what it misses a full list finds.

kopf has a thread and an event loop of its own: it takes signals and tasks for itself, and
a handler of the operator can neither be held up by it nor hold it up.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, cast

import kopf

from fleet_common.runtime import unless_stopped
from fleet_operator.kinds import WATCHED, Document, ObjectKind
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.store import Store, trimmed

_log = logging.getLogger(__name__)

_SERVER_SECONDS: Final = 240
"""A watch is asked to end after so long; the client gives up a little later by itself."""
_CLIENT_SECONDS: Final = 260
_INACTIVITY_SECONDS: Final = 75
_STOP_SECONDS: Final = 5.0
_MOST_WORKERS: Final = 20
_IDLE_SECONDS: Final = 0.05
"""How long a worker waits for more of its object. While it does nobody else has its place, and it
holds the whole object: with kopf's 5 s, of a burst four objects a second were told."""
_AGAIN_SECONDS: Final = 5.0

type Tell = Callable[[ObjectKind, str | None, Document], None]


class _NoDifferences(kopf.DiffBaseStorage):
    """kopf compares each object with its last state, of which it makes several deep copies.

    Nothing here is handled by differences: there is no state, and nothing to compare.
    """

    def build(
        self,
        *,
        body: kopf.Body,
        extra_fields: Iterable[Any] | None = None,
    ) -> kopf.BodyEssence:
        """Nothing of the object."""
        del body, extra_fields
        return cast("kopf.BodyEssence", {})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """There is no last state."""
        del body

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is written to the objects."""


def kopf_settings() -> kopf.OperatorSettings:
    """Watches that cannot stay deaf, and nothing that writes to the objects watched."""
    settings = kopf.OperatorSettings()
    settings.watching.server_timeout = _SERVER_SECONDS
    settings.watching.client_timeout = _CLIENT_SECONDS
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = _INACTIVITY_SECONDS
    settings.watching.chunk_size = min(kind.chunk for kind in WATCHED)
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.queueing.worker_limit = _MOST_WORKERS
    settings.queueing.idle_timeout = _IDLE_SECONDS
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoDifferences()
    # The CRD is there before: the operator waits for it. So neither CRDs nor namespaces
    # need to be watched, and no right to it is needed.
    settings.scanning.disabled = True
    for kind in WATCHED:
        selector = (kind.group, kind.version, kind.plural)
        if kind.labelled is not None:
            settings.watching.label_selectors[selector] = kind.labelled
        if kind.unlike is not None:
            settings.watching.field_selectors[selector] = "!=".join(kind.unlike)
    return settings


def register(tell: Tell) -> kopf.OperatorRegistry:
    """All handlers: one a kind, and it only tells."""
    registry = kopf.OperatorRegistry()

    def login(**arguments: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 - kopf's contract
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(
            **arguments
        )

    kopf.on.login(registry=registry)(login)
    for kind in WATCHED:
        _on_event(registry, kind, tell)
    return registry


def _on_event(registry: kopf.OperatorRegistry, kind: ObjectKind, tell: Tell) -> None:
    async def told(event: Any, **_: Any) -> None:  # noqa: ANN401 - kopf's contract
        document = trimmed(kind, dict(event["object"]))
        tell(kind, event["type"], document)

    kopf.on.event(
        kind.group, kind.version, kind.plural, id=f"tell-{kind.plural}", registry=registry
    )(told)


class Watching:
    """kopf's thread, begun anew when it ends by itself or tells nothing any more."""

    def __init__(
        self,
        store: Store,
        namespaces: Callable[[], Sequence[str] | None],
        metrics: OperatorMetrics,
    ) -> None:
        """`namespaces` gives those to watch from now on, None for all."""
        self._store = store
        self._namespaces = namespaces
        self._metrics = metrics
        self._again = asyncio.Event()
        self._reason = ""

    def again(self, reason: str) -> None:
        """The watches do not do any more: begin them anew."""
        self._reason = reason
        self._again.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until told to stop."""
        while not stop.is_set():
            reason = await self._watch(stop)
            if stop.is_set():
                return
            self._metrics.watch_restarts.inc()
            _log.warning("watching begins anew", extra={"reason": reason})
            await unless_stopped(stop, asyncio.sleep(_AGAIN_SECONDS))

    async def _watch(self, stop: asyncio.Event) -> str:
        """One life of kopf, and why it ended."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        halt = threading.Event()
        self._again.clear()
        namespaces = self._namespaces()

        def tell(kind: ObjectKind, event_type: str | None, document: Document) -> None:
            loop.call_soon_threadsafe(self._take, kind, event_type, document)

        def watch() -> None:
            try:
                asyncio.run(_operate(register(tell), namespaces, halt))
            except Exception:  # noqa: BLE001 - the operator's own loop is told below
                _log.exception("watching failed")
            finally:
                loop.call_soon_threadsafe(ended.set)

        nothing = namespaces is not None and not namespaces
        if not nothing:
            threading.Thread(target=watch, name="kopf", daemon=True).start()
        waiting = [asyncio.create_task(one.wait()) for one in (stop, ended, self._again)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            reason = "kopf ended by itself" if ended.is_set() else self._reason
        finally:
            halt.set()
            for task in waiting:
                task.cancel()
        if nothing:
            return reason
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await ended.wait()
        return reason

    def _take(self, kind: ObjectKind, event_type: str | None, document: Document) -> None:
        if event_type == "DELETED":
            self._store.drop(kind, document)
        else:
            self._store.put(kind, document)


async def _operate(
    registry: kopf.OperatorRegistry, namespaces: Sequence[str] | None, halt: threading.Event
) -> None:
    await kopf.operator(
        registry=registry,
        settings=kopf_settings(),
        standalone=True,
        clusterwide=namespaces is None,
        namespaces=tuple(namespaces or ()),
        stop_flag=halt,
    )
