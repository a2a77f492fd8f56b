"""The API server's own schemas, in the form that kubeconform reads: no download."""

import json
from pathlib import Path
from typing import Any, cast

_GROUPED = "{{.ResourceKind}}{{.KindSuffix}}.json"


def write_schemas(openapi: str, directory: Path) -> str:
    """Write a closed schema for each kind of `/openapi/v2`; the location for kubeconform."""
    definitions = cast("dict[str, dict[str, Any]]", json.loads(openapi)["definitions"])
    for definition in definitions.values():
        if "properties" in definition:
            definition.setdefault("additionalProperties", False)
    # What is written as a number or as text, and in the server's description as text alone.
    for name in ("io.k8s.apimachinery.pkg.api.resource.Quantity",):
        definitions[name] = {"type": ["string", "number"]}
    definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = {"type": ["string", "integer"]}
    whole = json.dumps({"definitions": definitions}).replace(
        '"#/definitions/', '"_definitions.json#/definitions/'
    )
    (directory / "_definitions.json").write_text(whole, encoding="utf-8")
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            parts = [kind["kind"], kind["group"].split(".")[0], kind["version"]]
            file = "-".join(part.lower() for part in parts if part) + ".json"
            reference = {"$ref": f"_definitions.json#/definitions/{name}"}
            (directory / file).write_text(json.dumps(reference), encoding="utf-8")
    return str(directory / _GROUPED)
