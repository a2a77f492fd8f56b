"""RouterFleets as the API server has them, for tests of the operator without one."""

from collections.abc import Mapping
from typing import Any

type Document = dict[str, Any]


def fleet_document(
    name: str = "alpha",
    namespace: str = "one",
    *,
    devices: int = 2,
    uid: str = "uid-1",
    version: int = 1,
    generation: int = 1,
    created: str = "2030-01-01T00:00:00Z",
    spec: Mapping[str, object] | None = None,
) -> Document:
    """A valid RouterFleet; other fields of the spec as in YAML."""
    return {
        "apiVersion": "routerfleet.io/v1alpha1",
        "kind": "RouterFleet",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "resourceVersion": str(version),
            "generation": generation,
            "creationTimestamp": created,
        },
        "spec": {
            "credentials": {"secretRef": {"name": "routers"}},
            "devices": [{"name": f"r{n}", "address": f"10.0.0.{n}"} for n in range(devices)],
            **(spec or {}),
        },
    }


def config_map(
    name: str, data: dict[str, str], *, namespace: str = "one", version: int = 1
) -> Document:
    """A ConfigMap."""
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"{namespace}-{name}",
            "resourceVersion": str(version),
        },
        "data": data,
    }


def secret(name: str, *keys: str, namespace: str = "one", version: int = 1) -> Document:
    """A Secret with these keys."""
    return config_map(name, dict.fromkeys(keys, "eA=="), namespace=namespace, version=version)


def routers_secret(name: str = "routers", password: str = "secret") -> Document:  # noqa: S107 - of no router
    """The Secret that `fleet_document` names, for kubectl apply."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"username": "admin", "password": password},
    }


def applicable(name: str, **spec: object) -> Document:
    """A RouterFleet without pods, for kubectl apply; other fields of the spec as in YAML."""
    document = fleet_document(name, spec={"shards": {"replicas": 0}, **spec})
    document["metadata"] = {"name": name}
    return document
