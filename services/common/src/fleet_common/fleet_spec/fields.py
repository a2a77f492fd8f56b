"""What all models of the RouterFleet resource share: names, rules, camelCase."""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict, JsonValue

from fleet_contracts.subjects import LABEL_MAX_LENGTH, check_label

LABEL_PATTERN: Final = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
SUBDOMAIN_PATTERN: Final = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
"""Names of most Kubernetes objects: labels joined by dots, 253 characters at most."""

type Label = Annotated[
    str,
    AfterValidator(lambda value: check_label(value, "name")),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": LABEL_PATTERN,
            "minLength": 1,
            "maxLength": LABEL_MAX_LENGTH,
        }
    ),
]
"""A DNS-1123 label."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that the API server evaluates: a CEL expression over `self` and what it says.

    `path` is the field that the message is shown at, e.g. `.min`; empty: the object itself.
    """

    cel: str
    message: str
    path: str = ""


def rules(*all_rules: Rule) -> JsonDict:
    """The JSON schema extra that carries rules into the custom resource definition."""
    entries: list[JsonValue] = []
    for rule in all_rules:
        entry: JsonDict = {"rule": rule.cel, "message": rule.message}
        if rule.path:
            entry["fieldPath"] = rule.path
        entries.append(entry)
    return {"x-kubernetes-validations": entries}


class SpecModel(BaseModel):
    """camelCase in YAML, snake_case here; an unknown field is an error."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )
