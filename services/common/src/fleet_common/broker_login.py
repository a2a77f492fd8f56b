"""How a client proves to NATS who it is: TLS files, and `.creds` files with a JWT and its key.

Files are read anew for every connection, so renewed certificates and credentials are taken up
without a restart.
"""

import base64
import binascii
import re
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from nats.errors import AuthorizationError
from nats.errors import Error as NatsError

from fleet_common.broker_client import PlainServerError
from fleet_common.errors import ConfigurationError
from fleet_common.settings import NatsSection

_BLOCK: Final = r"-----BEGIN {0}-----\s*(\S+)\s*-+END {0}-+"
_JWT: Final = re.compile(_BLOCK.format("NATS USER JWT"))
_SEED: Final = re.compile(_BLOCK.format("USER NKEY SEED"))
_SEED_LENGTH: Final = 36
"""Two bytes that say what it is, 32 of key, two of CRC; https://docs.nats.io, NKeys."""
_USER_SEED: Final = "SU"
"""How a user's seed begins in base 32."""

# OpenSSL's verify codes.
_EXPIRED: Final = 10
_NOT_THE_HOST: Final = (62, 64)
_UNKNOWN_CA: Final = (2, 18, 19, 20, 21, 27)


def wants_tls(settings: NatsSection) -> bool:
    """Whether nothing may be sent in the clear."""
    files = (settings.ca_file, settings.cert_file, settings.key_file)
    schemes = [url.strip().partition("://")[0] for url in settings.url.split(",")]
    return any(files) or any(scheme in {"tls", "wss"} for scheme in schemes)


def tls_context(settings: NatsSection) -> ssl.SSLContext:
    """Reads the files. Raises ConfigurationError that names the setting."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:  # ssl.SSLError too
        raise ConfigurationError(
            f"FLEET_NATS__CA_FILE: {settings.ca_file}: no certificates in PEM: {error}"
        ) from error
    if (settings.cert_file is None) != (settings.key_file is None):
        raise ConfigurationError("FLEET_NATS__CERT_FILE and FLEET_NATS__KEY_FILE go together")
    if settings.cert_file is not None and settings.key_file is not None:
        try:
            context.load_cert_chain(settings.cert_file, settings.key_file)
        except OSError as error:
            raise ConfigurationError(
                f"FLEET_NATS__CERT_FILE: {settings.cert_file} with {settings.key_file}: no "
                f"certificate in PEM with its key: {error}"
            ) from error
    return context


class CredentialsFile:
    """A `.creds` file: a user's JWT, and the key that signs what the server asks.

    nats-py would want the package nkeys for it, which comes without built wheels.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def jwt(self) -> bytes:
        """The JWT. Raises ConfigurationError."""
        return self._block(_JWT, "no NATS USER JWT in it").encode()

    def sign(self, nonce: str) -> bytes:
        """The signature in base 64. Raises ConfigurationError."""
        from nacl.signing import SigningKey  # noqa: PLC0415 - who has no such file needs no libsodium

        return base64.b64encode(SigningKey(self._seed()).sign(nonce.encode()).signature)

    def _seed(self) -> bytes:
        text = self._block(_SEED, "no USER NKEY SEED in it")
        try:
            raw = base64.b32decode(text + "=" * (-len(text) % 8))
        except binascii.Error:
            raw = b""
        body, check = raw[:-2], int.from_bytes(raw[-2:], "little")
        if (
            len(raw) != _SEED_LENGTH
            or not text.startswith(_USER_SEED)
            or binascii.crc_hqx(body, 0) != check
        ):
            raise self._wrong("its USER NKEY SEED is not a user's seed")
        return body[2:]

    def _block(self, pattern: re.Pattern[str], otherwise: str) -> str:
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._wrong(f"cannot be read: {error}") from error
        found = pattern.search(text)
        if found is None:
            raise self._wrong(otherwise)
        return found[1]

    def _wrong(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"FLEET_NATS__CREDENTIALS_FILE: {self._path}: {what}")


def login_options(settings: NatsSection) -> dict[str, Any]:
    """For `Client.connect`. Raises ConfigurationError naming what is wrong with which file."""
    options: dict[str, Any] = {}
    if settings.token is not None:
        options["token"] = settings.token.get_secret_value()
    if settings.user is not None:
        options["user"] = settings.user
        options["password"] = settings.password.get_secret_value() if settings.password else ""
    if settings.credentials_file is not None:
        credentials = CredentialsFile(settings.credentials_file)
        credentials.jwt()
        credentials.sign("")
        options["user_jwt_cb"] = partial(_at_connecting, credentials.jwt)
        options["signature_cb"] = partial(_sign, credentials)
    if wants_tls(settings):
        options["tls"] = tls_context(settings)
    if settings.server_name is not None:
        options["tls_hostname"] = settings.server_name
    return options


def _sign(credentials: CredentialsFile, nonce: str) -> bytes:
    return _at_connecting(partial(credentials.sign, nonce))


def _at_connecting(read: Callable[[], bytes]) -> bytes:
    """A file that is wrong later is tried again; nats-py ends for good with errors not its own."""
    try:
        return read()
    except ConfigurationError as error:
        raise NatsError(f"nats: {error}") from error


def advice(error: Exception, settings: NatsSection) -> str | None:
    """What to do about a connection that does not come about; None where the error says it all."""
    match error:
        case PlainServerError():
            return "give the server TLS, or ask for none: no tls:// and no FLEET_NATS__CA_FILE"
        case ssl.SSLCertVerificationError():
            return _about_certificate(error, settings)
        case ssl.SSLError() if "CERTIFICATE_REQUIRED" in str(error).upper().replace(" ", "_"):
            return "the server wants a client's certificate: FLEET_NATS__CERT_FILE and _KEY_FILE"
        case ssl.SSLError() if "ALERT" in str(error).upper():
            return "the server does not take the certificate of FLEET_NATS__CERT_FILE"
        case AuthorizationError():
            return "the server refuses the login: FLEET_NATS__USER, _TOKEN or _CREDENTIALS_FILE"
        case _ if "authorization violation" in str(error).lower():
            return "the server refuses the login: FLEET_NATS__USER, _TOKEN or _CREDENTIALS_FILE"
        case _:
            return None


def _about_certificate(error: ssl.SSLCertVerificationError, settings: NatsSection) -> str:
    if error.verify_code in _UNKNOWN_CA:
        if settings.ca_file is None:
            return "no CA known here made the server's certificate: give FLEET_NATS__CA_FILE its CA"
        return (
            f"the server's certificate was not made by the CA in {settings.ca_file}: "
            "give FLEET_NATS__CA_FILE the CA that made it"
        )
    if error.verify_code in _NOT_THE_HOST:
        return (
            "the server's certificate is for other names: use one of them in FLEET_NATS__URL, "
            "or name it in FLEET_NATS__SERVER_NAME"
        )
    if error.verify_code == _EXPIRED:
        return "the server's certificate, or its CA's, has expired: renew it"
    return "the server's certificate is not accepted"
