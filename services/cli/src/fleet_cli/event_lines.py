"""Events as text for people and as JSON for programs. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from fleet_cli.stream_reader import StreamMessage
from fleet_contracts.codec import BODY_FIELD, RejectedEventError, decode
from fleet_contracts.subjects import BadNameError, Kind, parse_subject
from fleet_contracts.view import event_view

_SHOWN_FIELDS: Final = 8
_MAX_TEXT: Final = 60


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What `events tail` shows; empty sets mean everything."""

    tenants: frozenset[str] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    devices: frozenset[str] = frozenset()

    def covers(self, subject: str) -> bool:
        """Whether a message is wanted. One whose subject is none is shown unless filtered."""
        try:
            parsed = parse_subject(subject)
        except BadNameError:
            return not (self.kinds or self.devices)
        return (
            (not self.tenants or parsed.tenant in self.tenants)
            and (not self.kinds or parsed.kind in self.kinds)
            and (not self.devices or parsed.device in self.devices)
        )


def event_json(message: StreamMessage) -> dict[str, Any]:
    """The event's view with its place in the stream; for what is no event, why it is none."""
    place: dict[str, Any] = {
        "stream": message.stream,
        "sequence": message.sequence,
        "published": message.published.isoformat(),
    }
    try:
        return place | event_view(decode(message.subject, message.payload))
    except RejectedEventError as error:
        return place | {
            "subject": message.subject,
            "rejected": error.reason,
            "payload_bytes": len(message.payload),
        }


def event_text(message: StreamMessage) -> str:
    """One line: `12:00:05 tenant-1/core-1 status reachability=up uptime_seconds=93784`."""
    at = message.published.astimezone().strftime("%H:%M:%S")
    try:
        decoded = decode(message.subject, message.payload)
    except RejectedEventError as error:
        return (
            f"{at} {message.stream} #{message.sequence} {message.subject}: not a valid event: "
            f"{error.reason} ({len(message.payload)} bytes)"
        )
    view = event_view(decoded)
    body = cast("Mapping[str, Any]", view[BODY_FIELD[decoded.subject.kind]])
    fields = list(_fields(body))
    more = f" … {len(fields) - _SHOWN_FIELDS} more" if len(fields) > _SHOWN_FIELDS else ""
    shown = " ".join(fields[:_SHOWN_FIELDS])
    subject = decoded.subject
    return f"{at} {subject.tenant}/{subject.device} {subject.kind.value} {shown}{more}"


def _fields(body: Mapping[str, Any]) -> Iterator[str]:
    """`name=value`; of a list its length: `interfaces=[10]`."""
    for name, value in body.items():
        if isinstance(value, list):
            yield f"{name}=[{len(cast('list[object]', value))}]"
        elif isinstance(value, str) and (" " in value or not value):
            yield f'{name}="{value[:_MAX_TEXT]}"'
        else:
            yield f"{name}={value}"
