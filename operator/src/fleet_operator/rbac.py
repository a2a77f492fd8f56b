"""What the operator may do in the cluster, as data.

`make generate` writes it to charts/routerfleet/files/operator-rules.yaml; the chart's
ClusterRole has exactly these rules. With a Role for each namespace instead, a ClusterRole has
the first one alone: a namespace that is deleted loses its Role before its RouterFleets, whose
finalizers would hold it for ever. tests/cluster compares the rules with the requests that the
operator really makes, both ways.
"""

from dataclasses import dataclass
from typing import Final

from fleet_operator.kinds import Document

_READ: Final = ("list", "watch")
# Server-side apply asks for both: `create` when the object does not exist yet.
_APPLY: Final = ("create", "patch")
# Of these only the operator's own are listed: whether there is a foreign one is asked.
_OWN: Final = ("get", *_READ, *_APPLY)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, and what it is for."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    purpose: str

    def document(self) -> Document:
        """As in a Role."""
        return {
            "apiGroups": [self.group],
            "resources": [self.resource],
            "verbs": list(self.verbs),
        }


FLEETS: Final = Rule(
    "routerfleet.io", "routerfleets", (*_READ, "patch"), "fleets, and their finalizer"
)
RULES: Final = (
    FLEETS,
    Rule("routerfleet.io", "routerfleets/status", ("patch",), "conditions and figures"),
    Rule("", "configmaps", (*_READ, *_APPLY), "device lists; the pollers' environment"),
    Rule(
        "",
        "secrets",
        (*_READ, *_APPLY, "delete"),
        "whether a fleet's Secrets have their keys; the pollers' NATS user",
    ),
    Rule("", "services", _OWN, "the shards' names"),
    Rule("apps", "statefulsets", _OWN, "the shards"),
    Rule("policy", "poddisruptionbudgets", _OWN, "one shard at a time is drained"),
    Rule(
        "",
        "pods",
        ("get", "delete", "patch"),
        "ending a shard that hangs; having changed Secrets mounted at once",
    ),
    Rule("", "events", ("create",), "what was done and why"),
)


def documents() -> list[Document]:
    """All rules as in a Role."""
    return [rule.document() for rule in RULES]
