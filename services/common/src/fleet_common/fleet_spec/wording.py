"""What is wrong with a document, for people: field, value, what is allowed."""

from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


def explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """A line for each wrong field of a document of `model`, in the document's order."""
    return [_line(item, model) for item in error.errors(include_url=False)]


def _line(item: ErrorDetails, model: type[BaseModel]) -> str:
    where = _location(item["loc"])
    if item["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(_allowed_fields(item["loc"][:-1], model)))
        return f"{where}: no such field; allowed here: {allowed}"
    if item["type"] == "missing":
        return f"{where}: is missing and must be given"
    message = item["msg"].removeprefix("Value error, ")
    value = item["input"]
    plain = isinstance(value, str | int | float | bool)
    if item["type"] in {"model_type", "dict_type"}:
        message = "must be a mapping, with a name and a value for each field"
    elif item["type"] == "string_type":
        message = f"must be text{': put it in quotes' if plain else ''}"
    shown = f" (it is {value!r})" if plain and repr(value) not in message else ""
    return f"{where}: {message}{shown}"


def _allowed_fields(parts: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """The YAML names of the fields of the model at a location of the document."""
    for part in parts:
        for name, field in model.model_fields.items():
            if part in {name, field.alias}:
                model = next(_models_in(field.annotation), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _location(parts: tuple[int | str, ...]) -> str:
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "[" not in part and "(" not in part:  # not pydantic's own validator names
            text += f".{part}" if text else part
    return text or "document"
