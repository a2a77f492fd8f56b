"""Credentials and CA certificates from mounted Secrets: `<directory>/<secret>/<key>`.

Read when a connection is opened and again when a file has changed (a kubelet swaps the
whole folder on an update); nothing of them is logged or leaves this process.
"""

import ssl
from pathlib import Path

from fleet_common.fleet_spec import TlsMode, TlsSpec
from fleet_common.inventory import DeviceRecord
from fleet_poller.routeros.errors import CredentialsMissingError
from fleet_poller.routeros.session import Access, Credentials
from fleet_poller.routeros.tls import Tls

type _Stamp = tuple[int, int, int]


class SecretStore:
    """The mounted Secrets. A lookup is a few `stat` calls while nothing changes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[Path, tuple[_Stamp, str]] = {}
        self._contexts: dict[tuple[Tls, _Stamp | None], ssl.SSLContext | None] = {}

    def access(self, record: DeviceRecord) -> Access:
        """Everything for one device.

        Raises CredentialsMissingError that names the missing file, UnusableCaError when the
        CA file is not one.
        """
        folder = self._directory / record.credentials_secret
        credentials = Credentials(self._text(folder / "username"), self._text(folder / "password"))
        tls = self._tls(record.tls)
        return Access(credentials, tls, self._context(tls))

    def _tls(self, spec: TlsSpec) -> Tls:
        ca_file: Path | None = None
        if spec.mode is TlsMode.VERIFY and spec.ca_secret_ref is not None:
            ca_file = self._directory / spec.ca_secret_ref.name / "ca.crt"
        return Tls(spec.mode, ca_file, spec.server_name, spec.fingerprint_sha256)

    def _context(self, tls: Tls) -> ssl.SSLContext | None:
        # Server name and pin are checked per connection; the context does not hold them.
        shared = Tls(tls.mode, tls.ca_file)
        stamp = _stamp(tls.ca_file) if tls.ca_file is not None else None
        key = (shared, stamp)
        if key not in self._contexts:
            for old in [known for known in self._contexts if known[0] == shared]:
                del self._contexts[old]
            self._contexts[key] = shared.context()
        return self._contexts[key]

    def _text(self, file: Path) -> str:
        stamp = _stamp(file)
        known = self._files.get(file)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            value = file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialsMissingError(f"cannot read {_named(file)}: {error}") from error
        self._files[file] = (stamp, value)
        return value


def _stamp(file: Path) -> _Stamp:
    try:
        status = file.stat()
    except OSError as error:
        reason = error.strerror or "not readable"
        raise CredentialsMissingError(f"secret file {_named(file)}: {reason}") from error
    return status.st_mtime_ns, status.st_ino, status.st_size


def _named(file: Path) -> str:
    """`<secret>/<key>`: what an operator has to create."""
    return f"{file.parent.name}/{file.name}"
