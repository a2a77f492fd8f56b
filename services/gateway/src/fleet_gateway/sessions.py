"""The session cookie: a browser's stand-in for a token, because EventSource sets no headers.

`<name>.<expiry>.<signature>`, signed with a key made from the token's own digest. So nothing
is stored, any replica and a restarted gateway know it, and it dies with its token. Scripts
cannot read it (HttpOnly) and no other site can cause it to be sent (SameSite=Strict).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from fleet_gateway.tokens import Grant

COOKIE_NAME: Final = "routerfleet_session"
_PURPOSE: Final = b"routerfleet session cookie v1"
_EXPIRY_DIGITS: Final = 12


def issue(grant: Grant, expires_unix: int) -> str:
    """A cookie value for a grant, good until then."""
    name = base64.urlsafe_b64encode(grant.name.encode()).decode().rstrip("=")
    body = f"{name}.{expires_unix}"
    return f"{body}.{_signature(grant, body)}"


def verify(value: str, grants: Sequence[Grant], now_unix: float) -> tuple[Grant, int] | None:
    """The grant and the expiry of a cookie, or None when it is not, or no longer, good."""
    parts = value.split(".")
    if len(parts) != 3 or not _is_time(parts[1]):  # noqa: PLR2004 - see above
        return None
    try:
        name = base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    expires = int(parts[1])
    for grant in grants:
        if grant.name == name:
            expected = _signature(grant, f"{parts[0]}.{parts[1]}")
            good = hmac.compare_digest(expected.encode(), parts[2].encode())
            return (grant, expires) if good and now_unix < expires else None
    return None


def _is_time(text: str) -> bool:
    # Bounded: int() refuses text of some thousand digits.
    return text.isascii() and text.isdigit() and len(text) <= _EXPIRY_DIGITS


def _signature(grant: Grant, body: str) -> str:
    key = hmac.digest(grant.digest, _PURPOSE, hashlib.sha256)
    signature = hmac.digest(key, body.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(signature).decode().rstrip("=")


def set_cookie(value: str, max_age_seconds: int, *, secure: bool) -> str:
    """The Set-Cookie header that stores a session; an empty value with age 0 deletes it."""
    cookie = f"{COOKIE_NAME}={value}; Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Strict"
    return f"{cookie}; Secure" if secure else cookie
