"""The chart's values.yaml as a closed JSON schema and as the README's table.

The comment above a key is its description; a last line `# @schema {…}` adds to what follows
from the default. A map whose schema says what may be in it is not looked into.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
CHART: Final = ROOT / "charts/routerfleet"
VALUES: Final = CHART / "values.yaml"
SCHEMA: Final = CHART / "values.schema.json"
README: Final = CHART / "README.md"
_BEGIN: Final = "<!-- values: made by tools/chart_values.py (`make generate`) -->"
_END: Final = "<!-- end of values -->"
_HINT: Final = "@schema "
_SCALAR: Final = {"type": ["string", "number", "boolean"]}
_QUANTITIES: Final = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
_KUBERNETES_LIST: Final = {"type": "array", "items": {"type": "object"}}

type Schema = dict[str, Any]

DEFINITIONS: Final[Schema] = {
    "quantity": {
        "description": "Bytes: a whole number, with Ki, Mi, Gi or Ti.",
        "type": ["string", "integer"],
        "pattern": "^[0-9]+(Ki|Mi|Gi|Ti)?$",
        "minimum": 0,
    },
    "strings": {"type": "object", "additionalProperties": {"type": "string"}},
    "scalars": {"type": "object", "additionalProperties": _SCALAR},
    "env": {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Z_][A-Z0-9_]*$"},
        "additionalProperties": _SCALAR,
    },
    "localReference": {
        "type": "object",
        "properties": {"name": {"type": "string", "minLength": 1}},
        "required": ["name"],
        "additionalProperties": False,
    },
    "resources": {
        "description": "As in a container: requests and limits.",
        "type": "object",
        "properties": {
            "requests": _QUANTITIES,
            "limits": _QUANTITIES,
            "claims": _KUBERNETES_LIST,
        },
        "additionalProperties": False,
    },
    "pod": {
        "description": "What a pod may have besides; Kubernetes' own shapes.",
        "type": "object",
        "properties": {
            "annotations": {"$ref": "#/$defs/strings"},
            "labels": {"$ref": "#/$defs/strings"},
            "nodeSelector": {"$ref": "#/$defs/strings"},
            "tolerations": _KUBERNETES_LIST,
            "affinity": {"type": "object"},
            "priorityClassName": {"type": "string"},
            "topologySpread": {
                "description": "Spread replicas over nodes and zones: where possible, or required.",
                "enum": [True, False, "required"],
            },
        },
        "additionalProperties": False,
    },
}


class ValuesError(Exception):
    """values.yaml cannot be documented; the message names line and value."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value. `path` from the top; `inside` is empty for what is a value as a whole."""

    path: tuple[str, ...]
    default: object
    description: str
    hint: Schema
    inside: list["Value"]

    @property
    def name(self) -> str:
        """As on helm's command line."""
        return ".".join(self.path)


def made() -> dict[Path, str]:
    """The files that follow from values.yaml, with their text."""
    values = read_values(VALUES.read_text(encoding="utf-8"))
    return {
        SCHEMA: json.dumps(schema(values), indent=2) + "\n",
        README: with_table(README.read_text(encoding="utf-8"), values),
    }


def write() -> None:
    """Write the schema and the table in the README."""
    for path, text in made().items():
        path.write_text(text, encoding="utf-8")
        print(f"generated {path.relative_to(ROOT)}")


def check() -> None:
    """Exit with 1 when a committed file is not what values.yaml makes."""
    stale = [
        str(path.relative_to(ROOT))
        for path, text in made().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if stale:
        sys.exit(f"not current, `make generate`: {', '.join(stale)}")


def read_values(text: str) -> list[Value]:
    """The values with their comments. Raises ValuesError for one without a comment."""
    node = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(node, yaml.MappingNode):
        raise ValuesError("values.yaml: not a map")
    defaults = cast("dict[str, object]", yaml.safe_load(text))
    return list(_values(node, defaults, text.splitlines(), ()))


def schema(values: list[Value]) -> Schema:
    """The whole schema. `global` is what Helm gives a chart that is part of another."""
    top = _object(values)
    top["properties"]["global"] = {"type": "object"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Made from values.yaml by tools/chart_values.py (`make generate`).",
        "title": "Values of the chart routerfleet",
        **top,
        "$defs": DEFINITIONS,
    }


def with_table(page: str, values: list[Value]) -> str:
    """The page with a new table between its two marks."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValuesError(f"{README}: the marks of the values' table are missing")
    return f"{before}{begin}\n\n{table(values)}\n{end}{after}"


def table(values: list[Value]) -> str:
    """A Markdown table of all values, with a heading for each part."""
    lines = ["| Value | Default | Meaning |", "|---|---|---|"]
    for value in _walk(values):
        shown = "" if value.inside else f"`{json.dumps(value.default, ensure_ascii=False)}`"
        name = f"**`{value.name}`**" if value.inside else f"`{value.name}`"
        meaning = value.description.replace("|", "\\|")
        lines.append(f"| {name} | {shown} | {meaning}{_allowed(value.hint)} |")
    return "\n".join(lines) + "\n"


def _allowed(hint: Schema) -> str:
    if "enum" in hint:
        return " One of " + ", ".join(f"`{one}`" for one in hint["enum"]) + "."
    if "minimum" in hint or "maximum" in hint:
        bounds = [f"at least {hint['minimum']}"] if "minimum" in hint else []
        bounds += [f"at most {hint['maximum']}"] if "maximum" in hint else []
        return f" A number, {', '.join(bounds)}."
    return ""


def _walk(values: list[Value]) -> Iterator[Value]:
    for value in values:
        yield value
        yield from _walk(value.inside)


def _values(
    node: yaml.MappingNode, defaults: dict[str, object], lines: list[str], path: tuple[str, ...]
) -> Iterator[Value]:
    for key, content in cast("list[tuple[yaml.ScalarNode, yaml.Node]]", node.value):
        own = (*path, str(key.value))
        default = defaults[own[-1]]
        description, hint = _comment(lines, key.start_mark.line, own)
        inside: list[Value] = []
        if isinstance(content, yaml.MappingNode) and "$ref" not in hint:
            inside = list(_values(content, cast("dict[str, object]", default), lines, own))
        yield Value(own, default, description, hint, inside)


def _comment(lines: list[str], line: int, path: tuple[str, ...]) -> tuple[str, Schema]:
    above: list[str] = []
    for text in reversed(lines[:line]):
        if not text.lstrip().startswith("#"):
            break
        above.insert(0, re.sub(r"^\s*# ?", "", text))
    hints = [text for text in above if text.startswith(_HINT)]
    words = " ".join(text for text in above if not text.startswith(_HINT)).strip()
    if not words:
        raise ValuesError(f"values.yaml, line {line + 1}: {'.'.join(path)} has no comment")
    hint = cast("Schema", yaml.safe_load(hints[0].removeprefix(_HINT))) if hints else {}
    return words, hint


def _object(values: list[Value]) -> Schema:
    return {
        "type": "object",
        "properties": {value.path[-1]: _one(value) for value in values},
        "additionalProperties": False,
    }


def _one(value: Value) -> Schema:
    described: Schema = {"description": value.description}
    if value.inside:
        return described | _object(value.inside)
    if not {"$ref", "anyOf", "enum"} & value.hint.keys():
        described["type"] = _type_of(value)
    return described | value.hint | {"default": value.default}


def _type_of(value: Value) -> str:
    match value.default:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list() if "items" in value.hint:
            return "array"
        case _:
            raise ValuesError(f"values.yaml: {value.name}: say with @schema what may be in it")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    check() if parser.parse_args().check else write()
