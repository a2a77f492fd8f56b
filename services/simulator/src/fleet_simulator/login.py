"""Both logins of the RouterOS API: name and password, and the older MD5 challenge.

Sources: MikroTik's manual, "API", "Initial login" (plain since 6.43; the challenge's vector);
6.45.1 no longer takes the challenge (seen in the field by other clients).
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fleet_simulator.tables import TrapError

_PLAIN_SINCE: Final = (6, 43, 0)
_CHALLENGE_UNTIL: Final = (6, 45, 1)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The client is who it says."""


@dataclass(frozen=True, slots=True)
class Challenged:
    """The client has to answer this challenge (16 bytes), sent as hexadecimal `=ret=`."""

    challenge: bytes


def challenge_response(password: bytes, challenge: bytes) -> bytes:
    """What a client answers: `00` and the MD5 of a zero byte, the password and the challenge."""
    digest = hashlib.md5(b"\x00" + password + challenge, usedforsecurity=False)
    return b"00" + digest.hexdigest().encode("ascii")


@dataclass(frozen=True, slots=True)
class Credentials:
    """One user of a router."""

    username: bytes
    password: bytes


def answer(
    arguments: Mapping[bytes, bytes],
    users: Sequence[Credentials],
    version: tuple[int, int, int],
    challenge: bytes | None,
    new_challenge: Callable[[], bytes],
) -> Accepted | Challenged:
    """Decide on one `/login` sentence; `challenge` is the one given before, if any.

    `users` are all that there are. Before 6.43 a name with a password is answered with a
    challenge, as the router did.
    Raises TrapError with the version's own words when the login is refused.
    """
    response = arguments.get(b"response")
    if response is not None:
        if challenge is not None and any(
            hmac.compare_digest(response.lower(), challenge_response(user.password, challenge))
            for user in users
            if user.username == arguments.get(b"name")
        ):
            return Accepted()
        raise refusal(version)
    if version < _PLAIN_SINCE:
        return Challenged(new_challenge())
    if b"name" not in arguments and version < _CHALLENGE_UNTIL:
        return Challenged(new_challenge())
    if any(
        hmac.compare_digest(arguments.get(b"password", b""), user.password)
        for user in users
        if user.username == arguments.get(b"name")
    ):
        return Accepted()
    raise refusal(version)


def refusal(version: tuple[int, int, int]) -> TrapError:
    """The trap that a wrong name or password gets."""
    if version[0] >= 7:  # noqa: PLR2004 - the major version that changed the text
        return TrapError("invalid user name or password (6)")
    return TrapError("cannot log in")
