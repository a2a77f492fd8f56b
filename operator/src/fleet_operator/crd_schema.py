"""Pydantic's JSON schema of a model, made structural for a custom resource definition."""

from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic import BaseModel

from fleet_common.units import format_duration
from fleet_operator.crd_units import duration_schema, size_schema

type Json = dict[str, Any]
"""A JSON object."""

_KEPT: Final = (
    "description",
    "type",
    "format",
    "enum",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "required",
    "x-kubernetes-validations",
)
_BOUNDS: Final = ("gt", "ge", "lt", "le")
_LISTS: Final = {"devices": "name", "conditions": "type"}
"""Lists whose entries are told apart by a field; all others are replaced whole."""


class UnstructuralSchemaError(ValueError):
    """A model has something that a custom resource definition cannot say."""


def structural_schema(model: type[BaseModel], *, defaults: bool = True) -> Json:
    """The structural schema of a model, with or without defaults.

    Raises UnstructuralSchemaError naming the field.
    """
    source = model.model_json_schema(by_alias=True, mode="validation")
    return _Builder(source.get("$defs", {}), defaults).build(source, model.__name__)


class _Builder:
    def __init__(self, definitions: Mapping[str, Json], defaults: bool) -> None:  # noqa: FBT001 - private
        self._definitions = definitions
        self._defaults = defaults

    def build(self, node: Json, path: str) -> Json:
        """The structural form of one node; `path` is for errors."""
        node = _without_null(node, path)
        reference = node.get("$ref")
        if reference is not None:
            return self._referred(node, reference.rpartition("/")[2], path)
        unknown = {"anyOf", "oneOf", "allOf", "not", "patternProperties", "prefixItems"} & set(node)
        if unknown:
            raise UnstructuralSchemaError(f"{path}: {', '.join(sorted(unknown))} is not structural")
        result = {key: node[key] for key in _KEPT if key in node}
        if "description" in result:
            result["description"] = " ".join(result["description"].split())
        self._add_children(result, node, path)
        if self._defaults and node.get("default") is not None:
            result["default"] = _default(node["default"], result)
            _say_default(result)
        if "type" not in result:
            raise UnstructuralSchemaError(f"{path}: has no type")
        return result

    def _referred(self, node: Json, name: str, path: str) -> Json:
        description = " ".join(node.get("description", "").split())
        bounds = {key: node[key] for key in _BOUNDS if key in node}
        match name:
            case "Seconds":
                result = duration_schema(bounds)
                if node.get("default") is not None:
                    result["default"] = format_duration(node["default"])
            case "Bytes":
                result = size_schema(bounds)
            case _:
                siblings = {key: node[key] for key in node if key not in {"$ref", *_BOUNDS}}
                rules = [
                    *self._definitions[name].get("x-kubernetes-validations", []),
                    *node.get("x-kubernetes-validations", []),
                ]
                merged = self._definitions[name] | siblings
                if rules:
                    merged["x-kubernetes-validations"] = rules
                return self.build(merged, path)
        result["description"] = f"{description} {result['description']}".strip()
        _say_default(result)
        return result

    def _add_children(self, result: Json, node: Json, path: str) -> None:
        if "properties" in node:
            result["properties"] = {
                name: self.build(child, f"{path}.{name}")
                for name, child in node["properties"].items()
            }
        elif isinstance(node.get("additionalProperties"), dict):
            result["additionalProperties"] = self.build(node["additionalProperties"], f"{path}.*")
        if "items" in node:
            result["items"] = self.build(node["items"], f"{path}[]")
            key = _LISTS.get(path.rpartition(".")[2])
            if key is None:
                result["x-kubernetes-list-type"] = "atomic"
            else:
                result["x-kubernetes-list-type"] = "map"
                result["x-kubernetes-list-map-keys"] = [key]


def _without_null(node: Json, path: str) -> Json:
    """An optional field is one that may be absent: `X or null` becomes X."""
    if "anyOf" not in node:
        return node
    choices = [one for one in node["anyOf"] if one.get("type") != "null"]
    if len(choices) != 1:
        raise UnstructuralSchemaError(f"{path}: a choice of {len(choices)} types")
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    return choices[0] | rest


def _default(value: object, schema: Json) -> object:
    """An object's default is that of its fields: the API server checks rules on it as it is."""
    if not isinstance(value, dict):
        return value
    children = cast("Json", schema.get("properties", {}))
    return {name: child["default"] for name, child in children.items() if "default" in child}


def _say_default(schema: Json) -> None:
    """`kubectl explain` shows no defaults: the description names them."""
    value = schema.get("default")
    if not isinstance(value, bool | int | str):
        return
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    schema["description"] = f"{schema.get('description', '')} Default: {shown}.".strip()
