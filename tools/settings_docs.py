"""docs/settings.md: every environment variable of every service, from the settings classes."""

import inspect
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from fleet_common.settings import ServiceSettings
from pages import page_command, write_page
from service_modules import SERVICES, Service, classes_of, module_of

_ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = _ROOT / "docs/settings.md"
_INTRODUCTION: Final = """\
<!-- Made by tools/settings_docs.py (`make generate`). Do not edit. -->
# Settings

Every service reads its settings from environment variables named
`FLEET_<SECTION>__<FIELD>`, checks them at start, prints them once with secrets hidden,
and refuses to start on a wrong one, naming the variable, its value and what is allowed.
A variable of another service is ignored, so one environment may serve several.
Lists and maps are written as JSON.
"""

_WORDS: Final[dict[object, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    SecretStr: "secret text",
    SecretBytes: "secret text",
    tuple: "list",
    list: "list",
    dict: "map",
}


def render() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, "## All services", *_sections(ServiceSettings, skip=frozenset())]
    shared = frozenset(ServiceSettings.model_fields)
    for service in SERVICES:
        for settings_class in _settings_classes(service):
            parts.append(f"## {service.name}")
            parts.append(f"`python -m {service.package}`")
            parts.extend(_sections(settings_class, skip=shared))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def write() -> None:
    """Write the page."""
    write_page(PAGE, render())


def _settings_classes(service: Service) -> Iterator[type[ServiceSettings]]:
    module = module_of(service, "settings")
    if module is not None:
        yield from classes_of(module, ServiceSettings)


def _sections(settings_class: type[ServiceSettings], skip: frozenset[str]) -> Iterator[str]:
    for name, field in settings_class.model_fields.items():
        section = field.annotation
        changed = name in skip and field.default != ServiceSettings.model_fields[name].default
        if name in skip and not changed:
            continue
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield _section(name, section, field)
        else:
            yield _table([_row(f"FLEET_{name.upper()}", field, field.default)])


def _section(name: str, section: type[BaseModel], field: FieldInfo) -> str:
    rows: list[str] = []
    for field_name, inner in section.model_fields.items():
        default = inner.get_default(call_default_factory=True) if not inner.is_required() else ...
        if isinstance(field.default, BaseModel):
            default = getattr(field.default, field_name, default)
        rows.append(_row(f"FLEET_{name.upper()}__{field_name.upper()}", inner, default))
    text = inspect.cleandoc(section.__doc__ or "")
    return f"{text}\n\n{_table(rows)}"


def _table(rows: list[str]) -> str:
    return "\n".join(["| Variable | Type | Default | Meaning |", "|---|---|---|---|", *rows])


def _row(variable: str, field: FieldInfo, default: object) -> str:
    meaning = " ".join((field.description or "").split())
    cells = (f"`{variable}`", _type_text(field), _default_text(default), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type_text(field: FieldInfo) -> str:
    text = _plain_type(field.annotation)
    limits: list[str] = []
    for item in field.metadata:
        match item:
            case Gt(gt=limit):
                limits.append(f"above {_number(limit)}")
            case Ge(ge=limit):
                limits.append(f"at least {_number(limit)}")
            case Lt(lt=limit):
                limits.append(f"below {_number(limit)}")
            case Le(le=limit):
                limits.append(f"at most {_number(limit)}")
            case _:
                limits.extend(_pattern_text(getattr(item, "pattern", None)))
    return ", ".join([text, *limits])


def _number(value: object) -> str:
    """Without an exponent and without a useless `.0`."""
    return f"{value:.10g}" if isinstance(value, float) and abs(value) < 1e10 else str(value)  # noqa: PLR2004


def _pattern_text(pattern: str | None) -> Iterator[str]:
    if pattern is None:
        return
    choices = re.fullmatch(r"\^\(([A-Za-z|_-]+)\)\$", pattern)
    if choices:
        yield "one of " + ", ".join(f"`{choice}`" for choice in choices[1].split("|"))
    else:
        yield f"matching `{pattern}`"


def _plain_type(annotation: Any) -> str:  # noqa: ANN401 - any type expression
    if isinstance(annotation, typing.TypeAliasType):
        return _plain_type(annotation.__value__)
    origin = get_origin(annotation)
    if origin is typing.Annotated:
        return _plain_type(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        inner = [arg for arg in get_args(annotation) if arg is not type(None)]
        return " or ".join(_plain_type(arg) for arg in inner)
    if origin is typing.Literal:
        return "one of " + ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin is not None:
        inner = [_plain_type(arg) for arg in get_args(annotation) if arg is not ...]
        return f"{_WORDS.get(origin, origin.__name__)} of " + ", ".join(inner)
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default_text(default: object) -> str:
    match default:
        case None:
            return "not set"
        case _ if default is ...:
            return "**required**"
        case bool():
            return f"`{str(default).lower()}`"
        case float():
            return f"`{_number(default)}`"
        case SecretStr() | SecretBytes():
            return "(hidden)"
        case "" | ():
            return "empty"
        case Path() if default.is_relative_to(_ROOT):
            return f"`{default.name}` in the package"
        case _:
            return f"`{default}`"


if __name__ == "__main__":
    page_command(PAGE, render)
