"""Where a client stands: the ids of SSE events and the vectors they form.

An id is `<tenant>:<stream sequence>:<epoch>`, one for each tenant the connection covers,
joined by commas and sorted by tenant: `north:123:1k9f2a,south:456:0zz81b`. The epoch tells a
stream from one of the same name made anew, whose sequences begin at 1 again; without it a
client could resume on the wrong stream and never know. An id written by hand may leave the
epoch out, and where the connection covers one tenant the tenant too (`123`).
"""

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from fleet_contracts.subjects import BadNameError, TenantId, tenant_id

ANY_EPOCH: Final = ""
"""The epoch of an id that does not tell it."""

_EPOCH_DIGITS: Final = 7
_BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_EPOCH: Final = re.compile(r"[0-9a-z]{1,8}")
_MAX_SEQ_DIGITS: Final = 20
_MAX_TEXT: Final = 64 * 1024


class BadPositionError(ValueError):
    """An id that no gateway sent; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in one tenant's stream: the last sequence seen, and in which incarnation."""

    seq: int
    epoch: str


def epoch_of(created: str) -> str:
    """A short name for a stream's incarnation, from its creation time as the broker tells it."""
    number = zlib.crc32(created.encode())
    digits = ""
    for _ in range(_EPOCH_DIGITS):
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits


def render_mark(tenant: TenantId, mark: Mark) -> bytes:
    """One tenant's part of an id."""
    return f"{tenant}:{mark.seq}:{mark.epoch}".encode()


def parse_position(text: str, covered: Iterable[TenantId]) -> dict[TenantId, Mark]:
    """The marks in an id; raises BadPositionError when it is not one.

    `covered` are the connection's tenants, which give a bare sequence its tenant. Marks of
    other tenants are returned as well.
    """
    if len(text) > _MAX_TEXT:
        raise BadPositionError(f"{len(text)} characters (at most {_MAX_TEXT})")
    tenants = tuple(covered)
    if text.isascii() and text.isdigit():
        if len(tenants) != 1:
            raise BadPositionError(
                f"{text!r} names no tenant and the connection covers {len(tenants)}"
            )
        return {tenants[0]: Mark(_sequence(text), ANY_EPOCH)}
    marks: dict[TenantId, Mark] = {}
    for part in text.split(","):
        tenant, mark = _parse_part(part.strip())
        if tenant in marks:
            raise BadPositionError(f"tenant {tenant!r} stands in it twice")
        marks[tenant] = mark
    return marks


def _parse_part(part: str) -> tuple[TenantId, Mark]:
    fields = part.split(":")
    if len(fields) not in {2, 3}:
        raise BadPositionError(f"{part!r} is not <tenant>:<sequence>:<epoch>")
    epoch = fields[2] if len(fields) == 3 else ANY_EPOCH  # noqa: PLR2004 - tenant, sequence, epoch
    if epoch != ANY_EPOCH and _EPOCH.fullmatch(epoch) is None:
        raise BadPositionError(f"{epoch!r} is not an epoch")
    try:
        tenant = tenant_id(fields[0])
    except BadNameError as error:
        raise BadPositionError(str(error)) from error
    return tenant, Mark(_sequence(fields[1]), epoch)


def _sequence(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_SEQ_DIGITS):
        raise BadPositionError(f"{text!r} is not a stream sequence")
    return int(text)


class Vector:
    """The position of one channel or one client, rendered anew only where it moved."""

    def __init__(self, marks: Mapping[TenantId, Mark]) -> None:
        self._parts = {tenant: render_mark(tenant, marks[tenant]) for tenant in sorted(marks)}

    def advance(self, tenant: TenantId, mark: bytes) -> None:
        """Move one tenant of the vector; `mark` as rendered by `render_mark`."""
        self._parts[tenant] = mark

    def id_line(self) -> bytes:
        """`id: …` with its line end; empty when no tenant is covered."""
        if not self._parts:
            return b""
        return b"id: " + b",".join(self._parts.values()) + b"\n"
