"""The custom resource definition, made from the models of the resource and its status.

A structural schema (Kubernetes' rules: no $ref, no type union but int-or-string, unknown
fields pruned) is derived from pydantic's JSON schema; rules between fields travel with the
models as CEL. `tools/crd_file.py` writes it to the chart.
"""

from typing import Any, Final

from fleet_common.fleet_spec import API_VERSION, KIND, RouterFleet
from fleet_operator.crd_schema import structural_schema
from fleet_operator.status import FleetStatus

GROUP: Final = API_VERSION.partition("/")[0]
VERSION: Final = API_VERSION.partition("/")[2]
PLURAL: Final = "routerfleets"
CRD_NAME: Final = f"{PLURAL}.{GROUP}"

type Json = dict[str, Any]
"""A JSON object."""

_READY: Final = '.status.conditions[?(@.type=="Ready")]'
_COLUMNS: Final[tuple[Json, ...]] = (
    {
        "name": "Devices",
        "type": "integer",
        "jsonPath": ".status.devices.total",
        "description": "Routers listed.",
    },
    {
        "name": "Up",
        "type": "integer",
        "jsonPath": ".status.devices.up",
        "description": "Routers whose last poll succeeded.",
    },
    {
        "name": "Shards",
        "type": "string",
        "jsonPath": ".status.shards.summary",
        "description": "Poller shards that poll, of those wanted.",
    },
    {
        "name": "Stream",
        "type": "string",
        "jsonPath": ".status.stream.summary",
        "description": "What the stream holds, of its limit.",
    },
    {
        "name": "Window",
        "type": "string",
        "jsonPath": ".status.stream.windowPlanned",
        "description": "How far back the stream reaches once it is full.",
    },
    {
        "name": "Ready",
        "type": "string",
        "jsonPath": f"{_READY}.status",
        "description": "Whether the fleet is polled and its stream is as planned.",
    },
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {
        "name": "Now",
        "type": "string",
        "jsonPath": ".status.stream.windowNow",
        "description": "How far back the stream reaches now.",
        "priority": 1,
    },
    {
        "name": "Reason",
        "type": "string",
        "jsonPath": f"{_READY}.reason",
        "description": "Why it is ready or not.",
        "priority": 1,
    },
    {
        "name": "Message",
        "type": "string",
        "jsonPath": f"{_READY}.message",
        "description": "Why, with figures.",
        "priority": 1,
    },
)


def definition() -> Json:
    """The CustomResourceDefinition document."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CRD_NAME, "labels": {"app.kubernetes.io/part-of": "routerfleet"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["rf"],
                "categories": ["routerfleet"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.shards.replicas",
                            "statusReplicasPath": ".status.shards.replicas",
                            "labelSelectorPath": ".status.shards.selector",
                        },
                    },
                    "additionalPrinterColumns": list(_COLUMNS),
                    "schema": {"openAPIV3Schema": resource_schema()},
                }
            ],
        },
    }


def columns() -> tuple[Json, ...]:
    """What `kubectl get` shows; those with a priority only with `-o wide`."""
    return _COLUMNS


def resource_schema() -> Json:
    """The schema of a RouterFleet with its status."""
    schema = structural_schema(RouterFleet)
    properties = schema["properties"]
    properties["apiVersion"] = {"type": "string", "description": f"{API_VERSION}."}
    properties["kind"] = {"type": "string", "description": f"{KIND}."}
    # The API server has a schema of its own for metadata.
    properties["metadata"] = {"type": "object"}
    properties["status"] = structural_schema(FleetStatus, defaults=False)
    schema["required"] = ["spec"]
    return schema
