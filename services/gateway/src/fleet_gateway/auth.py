"""Who is asking: bearer token or session cookie to a grant, or a 401 that says what to do."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from fleet_common.errors import ConfigurationError
from fleet_gateway import sessions
from fleet_gateway.errors import ApiError
from fleet_gateway.settings import AuthSection
from fleet_gateway.telemetry import GatewayMetrics
from fleet_gateway.tokens import OPEN_GRANT, Grant, find_grant, read_tokens

_log = logging.getLogger(__name__)

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="routerfleet"'}


@dataclass(frozen=True, slots=True)
class Visitor:
    """A request's grant; `session_expires_unix` is set when it came with a cookie."""

    grant: Grant
    session_expires_unix: int | None = None


class Authenticator:
    """Holds the tokens; `refresh` reads the file again when it changed."""

    def __init__(self, settings: AuthSection, metrics: GatewayMetrics) -> None:
        """Raises ConfigurationError when the file is missing or wrong."""
        self._settings = settings
        self._metrics = metrics
        self._grants: Sequence[Grant] = ()
        self._seen: tuple[int, int, int] | None = None
        self._path: Path | None = None
        if settings.mode == "token":
            if settings.tokens_file is None:
                raise ConfigurationError(
                    "FLEET_GATEWAY__AUTH__TOKENS_FILE: needed with auth mode token; "
                    "FLEET_GATEWAY__AUTH__MODE=none runs open on a loopback address"
                )
            self._path = settings.tokens_file
            self._seen = _fingerprint(self._path)
            self._grants = read_tokens(self._path)

    @property
    def open(self) -> bool:
        """Whether everyone is let in."""
        return self._path is None

    def refresh(self) -> None:
        """Take a changed token file; a broken one is reported and the last good one kept."""
        if self._path is None:
            return
        seen = _fingerprint(self._path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._grants = read_tokens(self._path)
        except ConfigurationError as error:
            self._metrics.token_reloads.labels("failed").inc()
            _log.error(
                "the token file is wrong; the last good one stays in force",
                extra={"reason": str(error)},
            )
        else:
            self._metrics.token_reloads.labels("ok").inc()
            _log.info("token file read", extra={"tokens": len(self._grants)})

    def visitor(self, headers: Mapping[str, str]) -> Visitor:
        """The request's visitor; raises ApiError 401. `headers` have lower-case names."""
        if self.open:
            return Visitor(OPEN_GRANT)
        authorization = headers.get("authorization")
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise _unauthorized("Authorization: only the scheme Bearer is known here")
            return Visitor(self.login(token.strip()))
        value = _cookie(headers.get("cookie", ""))
        if value is None:
            raise _unauthorized(
                "send 'Authorization: Bearer <token>', or POST {\"token\": ...} to "
                "/api/v1/session for a cookie; tokens are in the gateway's token file"
            )
        session = sessions.verify(value, self._grants, time.time())
        if session is None or session[0].expired(time.time()):
            raise _unauthorized("the session is over; log in again", code="session_expired")
        return Visitor(*session)

    def login(self, token: str) -> Grant:
        """The token's grant; raises ApiError 401."""
        grant = find_grant(self._grants, token)
        if grant is None:
            raise _unauthorized("this token is not known here", code="bad_token")
        if grant.expired(time.time()):
            raise _unauthorized("this token has expired; ask for a new one", code="token_expired")
        return grant

    def why_over(self, grant: Grant) -> str | None:
        """None while a grant given earlier still holds: `expired` or `revoked` afterwards."""
        if self.open:
            return None
        if grant.expired(time.time()):
            return "expired"
        return None if grant in self._grants else "revoked"

    def cookie(self, grant: Grant, scheme: str) -> tuple[str, int]:
        """The Set-Cookie header of a fresh session and when it ends."""
        now = int(time.time())
        expires = now + self._settings.session_seconds
        if grant.expires_unix is not None:
            expires = min(expires, int(grant.expires_unix))
        header = sessions.set_cookie(
            sessions.issue(grant, expires), expires - now, secure=self._secure(scheme)
        )
        return header, expires

    def renewed_cookie(self, visitor: Visitor, scheme: str) -> str | None:
        """A fresh cookie for a session past half its life, else None."""
        expires = visitor.session_expires_unix
        if expires is None or expires - time.time() > self._settings.session_seconds / 2:
            return None
        return self.cookie(visitor.grant, scheme)[0]

    def logout_cookie(self, scheme: str) -> str:
        """The Set-Cookie header that ends the browser's session."""
        return sessions.set_cookie("", 0, secure=self._secure(scheme))

    def _secure(self, scheme: str) -> bool:
        return scheme == "https" or self._settings.secure_cookie


def _fingerprint(path: Path) -> tuple[int, int, int] | None:
    """Changes when the file does, also when a mounted secret's link is moved."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - follows the link, as reading does
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _cookie(header: str) -> str | None:
    try:
        jar = SimpleCookie(header)
    except CookieError:
        return None
    morsel = jar.get(sessions.COOKIE_NAME)
    return morsel.value if morsel is not None else None


def _unauthorized(message: str, code: str = "unauthorized") -> ApiError:
    return ApiError(401, code, message, headers=_CHALLENGE)
