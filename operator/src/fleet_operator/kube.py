"""The API server, as far as the operator writes to it; lightkube's only importer."""

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from lightkube import ApiError, AsyncClient
from lightkube.core.exceptions import ConfigError
from lightkube.generic_resource import (
    create_namespaced_resource,  # pyright: ignore[reportUnknownVariableType] - lightkube leaves one argument untyped
    get_generic_resource,  # pyright: ignore[reportUnknownVariableType] - and this one both
)
from lightkube.operators import not_equal
from lightkube.types import PatchType

from fleet_common.errors import ConfigurationError, TransientError
from fleet_operator.kinds import FIELD_MANAGER, Document, ObjectKey, ObjectKind

_NOT_FOUND: Final = 404
_FORBIDDEN: Final = 403
_REFUSED: Final = frozenset({400, 403, 405, 413, 422})
ALL_NAMESPACES: Final = "*"


class KubeError(TransientError):
    """The API server is away, busy or saw a conflict: the next look tries again."""


class KubeRefusedError(TransientError):
    """The API server will not do it: forbidden or invalid. Said, and tried again when it changes.

    `status` is its HTTP status.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Listing:
    """The resource versions that a kind was read at, by namespace; ALL_NAMESPACES stands for all.

    `forbidden`: why, by namespace that may not be read.
    """

    versions: Mapping[str, int]
    forbidden: Mapping[str, str]

    def version(self, namespace: str) -> int | None:
        """As of when all is known that there is in a namespace; None: it was not read."""
        return self.versions.get(namespace, self.versions.get(ALL_NAMESPACES))


class Kube:
    """Reads and writes objects as documents. Every call has the client's deadline of 10 s."""

    def __init__(self, namespaces: Sequence[str]) -> None:
        try:
            self._client: Any = AsyncClient(field_manager=FIELD_MANAGER, trust_env=True)
        except ConfigError as error:
            raise ConfigurationError(f"Kubernetes: {error}") from error
        self.namespaces = tuple(namespaces) or (ALL_NAMESPACES,)
        self._classes: dict[ObjectKind, Any] = {}

    async def list(self, kind: ObjectKind, take: Callable[[Document], None]) -> Listing:
        """Give `take` every object of the kind in the namespaces looked after, one by one.

        A namespace that may not be read leaves the others as they are. Raises KubeError.
        """
        versions: dict[str, int] = {}
        forbidden: dict[str, str] = {}
        for namespace in self.namespaces:
            try:
                with _translated(f"list {kind.plural}"):
                    found = self._client.list(
                        self._class(kind),
                        namespace=namespace,
                        labels={kind.labelled: None} if kind.labelled else None,
                        fields={kind.unlike[0]: not_equal(kind.unlike[1])} if kind.unlike else None,
                        chunk_size=kind.chunk,
                    )
                    async for document in found:
                        take(dict(document))
                    versions[namespace] = int(found.resourceVersion)
            except KubeRefusedError as error:
                if error.status != _FORBIDDEN:
                    raise
                forbidden[namespace] = str(error)
        return Listing(versions, forbidden)

    async def get(self, key: ObjectKey) -> Document | None:
        """The object; None when it does not exist. Raises KubeError."""
        try:
            with _translated(f"get {key}"):
                return dict(
                    await self._client.get(self._class(key.kind), key.name, namespace=key.namespace)
                )
        except KubeRefusedError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    async def apply(self, key: ObjectKey, document: Document) -> Document:
        """Server-side apply as the fields' owner; the object as it is then."""
        return await self._patch(key, document, PatchType.APPLY, force=True)

    async def merge(self, key: ObjectKey, patch: Document) -> Document:
        """Merge patch; with `metadata.resourceVersion` in it, only onto that version."""
        return await self._patch(key, patch, PatchType.MERGE)

    async def merge_status(self, key: ObjectKey, status: Document) -> Document:
        """Merge patch of the status subresource."""
        return await self._patch(key, {"status": status}, PatchType.MERGE, status=True)

    async def create(self, kind: ObjectKind, document: Document) -> None:
        """Create an object; Events only. Raises KubeError."""
        name = document["metadata"]["name"]
        body = self._class(kind)({"apiVersion": kind.api_version, "kind": kind.kind, **document})
        with _translated(f"create {kind.kind} {name}"):
            await self._client.create(body, namespace=document["metadata"]["namespace"])

    async def delete(self, key: ObjectKey, *, grace_seconds: int | None = None) -> bool:
        """Delete it; False when it does not exist."""
        try:
            with _translated(f"delete {key}"):
                await self._client.delete(
                    self._class(key.kind),
                    key.name,
                    namespace=key.namespace,
                    grace_period=grace_seconds,
                )
        except KubeRefusedError as error:
            if error.status == _NOT_FOUND:
                return False
            raise
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _patch(
        self,
        key: ObjectKey,
        document: Document,
        patch_type: PatchType,
        *,
        force: bool = False,
        status: bool = False,
    ) -> Document:
        resource = self._class(key.kind)
        with _translated(f"{patch_type.name.lower()} {key}"):
            return dict(
                await self._client.patch(
                    resource.Status if status else resource,
                    key.name,
                    document,
                    namespace=key.namespace,
                    patch_type=patch_type,
                    force=force,
                )
            )

    def _class(self, kind: ObjectKind) -> Any:  # noqa: ANN401 - lightkube's dynamic classes
        known = self._classes.get(kind)
        if known is None:
            # lightkube keeps one class a kind for the whole process.
            known = get_generic_resource(kind.api_version, kind.kind) or create_namespaced_resource(
                kind.group, kind.version, kind.kind, kind.plural
            )
            self._classes[kind] = known
        return known


@contextlib.contextmanager
def _translated(what: str) -> Generator[None]:
    try:
        yield
    except ApiError as error:
        status = error.status.code or 0
        text = f"{what}: {error.status.message or status}"
        if status in _REFUSED or status == _NOT_FOUND:
            raise KubeRefusedError(text, status) from error
        raise KubeError(text) from error
    except httpx2.HTTPError as error:
        raise KubeError(f"{what}: {type(error).__name__}: {error}") from error
