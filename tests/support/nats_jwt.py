"""A NATS operator of one account and one user, as `nsc` would make it.

site = JwtSite.make(tmp_path / "user.creds")
NatsServer(directory, extra_config=site.server_config)
"""

import base64
import binascii
import json
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SEED = 18 << 3
_KINDS = {"O": 14 << 3, "A": 0, "U": 20 << 3}


def _text(body: bytes) -> str:
    checked = body + binascii.crc_hqx(body, 0).to_bytes(2, "little")
    return base64.b32encode(checked).decode().rstrip("=")


class Identity:
    """A key of an operator (O), an account (A) or a user (U)."""

    def __init__(self, kind: str) -> None:
        self._key = Ed25519PrivateKey.generate()
        self._kind = _KINDS[kind]

    @property
    def public(self) -> str:
        return _text(bytes([self._kind]) + self._key.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        first = bytes([_SEED | self._kind >> 5, self._kind << 3 & 0xFF])
        return _text(first + self._key.private_bytes_raw())

    def signed(self, subject: "Identity", claims: dict[str, object]) -> str:
        """A JWT about `subject`."""
        parts = (
            {"typ": "JWT", "alg": "ed25519-nkey"},
            {
                "jti": "test",
                "iat": int(time.time()),
                "iss": self.public,
                "name": "test",
                "sub": subject.public,
                "nats": {"version": 2, **claims},
            },
        )
        body = ".".join(_coded(json.dumps(part).encode()) for part in parts)
        return f"{body}.{_coded(self._key.sign(body.encode()))}"


def _coded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class JwtSite:
    """What the server is configured with, and the user's file."""

    server_config: str
    credentials_file: Path

    @classmethod
    def make(cls, credentials_file: Path) -> "JwtSite":
        operator, account, system, user = (Identity(kind) for kind in "OAAU")
        unlimited: dict[str, object] = {"subs": -1, "data": -1, "payload": -1}
        shared = unlimited | {"imports": -1, "exports": -1, "wildcards": True}
        limits = shared | {"conn": -1, "leaf": -1, "streams": -1, "consumer": -1}
        stored = limits | {"mem_storage": 1 << 20, "disk_storage": 1 << 24}
        own = operator.signed(operator, {"type": "operator"})
        accounts = operator.signed(account, {"type": "account", "limits": stored})
        systems = operator.signed(system, {"type": "account", "limits": limits})
        users = account.signed(user, {"type": "user", **unlimited})
        credentials_file.write_text(
            f"-----BEGIN NATS USER JWT-----\n{users}\n------END NATS USER JWT------\n\n"
            "***** IMPORTANT *****\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )
        return cls(
            f"operator: {own}\nresolver: MEMORY\n"
            f"system_account: {system.public}\nresolver_preload: {{\n"
            f"{account.public}: {accounts}\n{system.public}: {systems}\n}}\n",
            credentials_file,
        )
