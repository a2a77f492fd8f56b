"""HTTP errors, always `{"error": {"code", "message", "field"?, "allowed"?}}`."""

from collections.abc import Mapping, Sequence
from typing import Any

from fleet_common.errors import FleetError


class ApiError(FleetError):
    """A request that is refused; the message says what to do about it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        allowed: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.allowed = allowed
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.field is not None:
            error["field"] = self.field
        if self.allowed is not None:
            error["allowed"] = list(self.allowed)
        return {"error": error}


def bad_value(field: str, value: str, what: str, allowed: Sequence[str]) -> ApiError:
    """A query parameter with a value that cannot be."""
    return ApiError(400, "bad_value", f"{field}: {value!r} {what}", field=field, allowed=allowed)
