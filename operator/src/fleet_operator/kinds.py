"""The kinds of objects that the operator reads or writes."""

from dataclasses import dataclass
from typing import Any, Final

type Document = dict[str, Any]
"""An object as the API server sends it: what JSON gives."""

FIELD_MANAGER: Final = "routerfleet-operator"
FINALIZER: Final = "routerfleet.io/cleanup"
TENANT_LABEL: Final = "routerfleet.io/tenant"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"


_CHUNK: Final = 25
"""Of kinds whose objects may be a megabyte each."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectKind:
    """One namespaced kind; each is there once, and is what it is by identity.

    Only objects that have the label `labelled`, and whose field is not `unlike`'s value, are
    asked for.
    """

    group: str
    version: str
    kind: str
    plural: str
    labelled: str | None = None
    unlike: tuple[str, str] | None = None
    chunk: int = 250
    """So many to an answer: all of it is in memory at once."""

    @property
    def api_version(self) -> str:
        """As objects say it."""
        return f"{self.group}/{self.version}" if self.group else self.version


ROUTER_FLEET: Final = ObjectKind(
    "routerfleet.io", "v1alpha1", "RouterFleet", "routerfleets", chunk=_CHUNK
)
STATEFUL_SET: Final = ObjectKind("apps", "v1", "StatefulSet", "statefulsets", TENANT_LABEL)
SERVICE: Final = ObjectKind("", "v1", "Service", "services", TENANT_LABEL)
DISRUPTION_BUDGET: Final = ObjectKind(
    "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", TENANT_LABEL
)
# ConfigMaps and Secrets of any name may be a fleet's; Helm keeps whole releases in Secrets.
CONFIG_MAP: Final = ObjectKind("", "v1", "ConfigMap", "configmaps", chunk=_CHUNK)
SECRET: Final = ObjectKind("", "v1", "Secret", "secrets", unlike=("type", "helm.sh/release.v1"))
POD: Final = ObjectKind("", "v1", "Pod", "pods")
EVENT: Final = ObjectKind("", "v1", "Event", "events")

OWNED: Final = (CONFIG_MAP, SECRET, SERVICE, DISRUPTION_BUDGET, STATEFUL_SET)
"""What a fleet has, in the order of applying: the pods come last."""
WATCHED: Final = (ROUTER_FLEET, *OWNED)


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """Which object."""

    kind: ObjectKind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.namespace}/{self.name}"


def key_of(kind: ObjectKind, document: Document) -> ObjectKey:
    """Of an object of that kind."""
    metadata = document["metadata"]
    return ObjectKey(kind, metadata["namespace"], metadata["name"])


def is_ours(document: Document) -> bool:
    """Whether the operator made it, by its label."""
    return part(document["metadata"], "labels").get(MANAGED_BY_LABEL) == FIELD_MANAGER


def part(document: Document | None, name: str) -> Document:
    """A map inside an object; empty when there is none, or no object."""
    found: Document | None = None if document is None else document.get(name)
    return found or {}


def annotation(document: Document, name: str) -> str | None:
    """One annotation of an object."""
    return part(document["metadata"], "annotations").get(name)
