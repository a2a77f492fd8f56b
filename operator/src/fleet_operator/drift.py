"""Whether a live object is as it was asked for. Pure.

Only fields that were asked for count: what the API server or another owner adds is theirs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from fleet_operator.kinds import Document


def covers(live: object, wanted: object) -> bool:
    """Whether everything in `wanted` is in `live`: maps by key, lists by place."""
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            # An empty map that was asked for may come back as nothing.
            return not wanted and live is None
        pairs = cast("Mapping[str, object]", wanted)
        found = cast("Mapping[str, object]", live)
        return all(covers(found.get(name), value) for name, value in pairs.items())
    if isinstance(wanted, list):
        if not isinstance(live, list):
            return not wanted and live is None
        asked, there = cast("list[object]", wanted), cast("list[object]", live)
        return len(asked) == len(there) and all(map(covers, there, asked))
    return live == wanted


def projected(live: Any, wanted: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Of `live` only what `wanted` asks for, as it stands there."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        pairs = cast("Mapping[str, Any]", wanted)
        found = cast("Mapping[str, Any]", live)
        return {name: projected(found.get(name), value) for name, value in pairs.items()}
    if isinstance(wanted, list) and isinstance(live, list):
        asked, there = cast("list[Any]", wanted), cast("list[Any]", live)
        if len(asked) == len(there):
            return [projected(one, other) for one, other in zip(there, asked, strict=True)]
    return cast("Any", live)


def owner_uid(document: Document) -> str | None:
    """The uid of the object's controller; None when it has none."""
    references = cast(
        "Sequence[Mapping[str, Any]]", document["metadata"].get("ownerReferences") or ()
    )
    return next((str(one["uid"]) for one in references if one.get("controller")), None)
