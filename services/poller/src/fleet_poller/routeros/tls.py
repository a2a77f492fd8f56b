"""TLS towards routers: what a device's record asks for, as an `ssl.SSLContext`."""

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from fleet_common.fleet_spec import TlsMode
from fleet_poller.routeros.errors import TlsError, UnusableCaError


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS of one device.

    `ca_file` belongs to VERIFY (None: the system's CAs), `pin_sha256` (hexadecimal, colons
    allowed) to PINNED. ANONYMOUS is what RouterOS offers on api-ssl without a certificate.
    """

    mode: TlsMode = TlsMode.PLAIN
    ca_file: Path | None = None
    server_name: str | None = None
    pin_sha256: str | None = None

    def context(self) -> ssl.SSLContext | None:
        """A context for this mode, None for PLAIN. Raises UnusableCaError."""
        if self.mode is TlsMode.PLAIN:
            return None
        if self.mode is TlsMode.VERIFY:
            try:
                return ssl.create_default_context(cafile=self.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise UnusableCaError(f"unusable CA file {self.ca_file}: {error}") from error
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if self.mode is TlsMode.ANONYMOUS:
            # RouterOS has ADH up to TLS 1.2 only; OpenSSL 3 has it below security level 1.
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("ADH:@SECLEVEL=0")
        return context

    def check_certificate(self, certificate: bytes | None) -> None:
        """Compare the peer's certificate (DER) with the pin. Raises TlsError."""
        if self.mode is not TlsMode.PINNED:
            return
        found = hashlib.sha256(certificate or b"").hexdigest()
        wanted = (self.pin_sha256 or "").replace(":", "").lower()
        if certificate is None or found != wanted:
            raise TlsError(f"the certificate's SHA-256 is {found}, pinned is {wanted}")
