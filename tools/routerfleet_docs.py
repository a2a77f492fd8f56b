"""docs/routerfleet.md: every field of the RouterFleet resource, from the schema in the chart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fleet_operator.crd import CRD_NAME, VERSION, columns, resource_schema
from pages import page_command, write_page

_ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = _ROOT / "docs/routerfleet.md"
_SAMPLE: Final = _ROOT / "operator/samples/valid/config-maps.yaml"
_INTRODUCTION: Final = """\
<!-- Made by tools/routerfleet_docs.py (`make generate`). Do not edit. -->
# The RouterFleet resource

`{name}`, version `{version}`, short name `rf`. One RouterFleet is one tenant; its
name is the tenant id. `kubectl explain rf.spec` says the same as this page. The local runner
takes the same documents: `routerfleet demo --fleet FILE`, with ConfigMaps as documents of the
same file and Secrets as folders. More samples, and what is refused with which words, are in
[operator/samples](../operator/samples).

```yaml
{sample}```

## What kubectl shows

`kubectl get rf`; the last {wide} with `-o wide`.

{columns}

`kubectl scale rf/NAME --replicas=N` sets `spec.shards.replicas`.
"""


def render() -> str:
    """The whole page."""
    schema = resource_schema()
    properties = schema["properties"]
    parts = [
        _INTRODUCTION.format(
            name=CRD_NAME,
            version=VERSION,
            sample=_SAMPLE.read_text(encoding="utf-8"),
            wide=sum("priority" in one for one in columns()),
            columns=_columns(),
        ),
        "## Rules\n\nBeyond types and bounds, the API server refuses with these words:\n\n"
        + "\n".join(_rules(schema, "")),
        "## spec",
        *_tables(properties["spec"], "spec"),
        "## status\n\nWritten by the operator.",
        *_tables(properties["status"], "status"),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def write() -> None:
    """Write the page."""
    write_page(PAGE, render())


def _columns() -> str:
    rows = [
        f"| {one['name']} | {one.get('description', 'Since it was created.')} |"
        for one in columns()
    ]
    return "\n".join(["| Column | Meaning |", "|---|---|", *rows])


def _rules(schema: dict[str, Any], path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", []):
        if not schema.get("x-kubernetes-int-or-string"):  # their descriptions say it
            yield f"- `{path or 'metadata.name'}`: {rule['message']}"
    for name, child in schema.get("properties", {}).items():
        yield from _rules(child, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from _rules(schema["items"], f"{path}[]")


def _tables(schema: dict[str, Any], path: str) -> Iterator[str]:
    """A table for each object, the outer before the inner."""
    required = schema.get("required", [])
    rows = [
        f"| `{name}` | {_type(child)} | {_default(child, needed=name in required)} "
        f"| {_meaning(child)} |"
        for name, child in schema["properties"].items()
    ]
    heading = f"### {path}\n\n" if "." in path else ""
    yield heading + "\n".join(["| Field | Type | Default | Meaning |", "|---|---|---|---|", *rows])
    for name, child in schema["properties"].items():
        inner = child.get("items", child)
        if "properties" in inner:
            yield from _tables(inner, f"{path}.{name}" + ("[]" if "items" in child else ""))


def _meaning(schema: dict[str, Any]) -> str:
    text = schema["description"]
    default = schema.get("default")
    if isinstance(default, bool | int | str):
        text = text.removesuffix(text[text.rindex(" Default: ") :])
    return text.replace("|", "\\|")


def _type(schema: dict[str, Any]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "whole number or text"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{one}`" for one in schema["enum"])
    match schema["type"]:
        case "array":
            return f"list, at most {schema['maxItems']}" if "maxItems" in schema else "list"
        case "object" if "additionalProperties" in schema:
            return "map of text"
        case "object":
            return "object"
        case "integer":
            bounds = [schema.get("minimum"), schema.get("maximum")]
            if bounds[1] is None:
                return "whole number" if bounds[0] is None else f"whole number, from {bounds[0]}"
            return f"whole number, {bounds[0]} to {bounds[1]}"
        case "boolean":
            return "true or false"
        case _:
            limit = f", at most {schema['maxLength']} characters" if "maxLength" in schema else ""
            return f"text{limit}"


def _default(schema: dict[str, Any], *, needed: bool) -> str:
    if needed:
        return "**required**"
    value = schema.get("default")
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if isinstance(value, int | str) else ""


if __name__ == "__main__":
    page_command(PAGE, render)
