"""The fleet as others read it: RouterFleet resources in YAML, credentials in files beside it.

The same form that `kubectl apply` takes; user names and passwords are never in it, only the
name of the secret, which here is a folder with the files `username`, `password` and `ca.crt`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from fleet_simulator.device import TlsMode
from fleet_simulator.server import Endpoint

API_VERSION: Final = "routerfleet.io/v1alpha1"
KIND: Final = "RouterFleet"
CA_SECRET: Final = "simulator-ca"  # noqa: S105 - the name of a secret

type Document = dict[str, object]
type _Login = tuple[str, str]


def secrets_of(tenant: str, endpoints: Iterable[Endpoint]) -> dict[_Login, str]:
    """The secrets a tenant's devices need: (user name, password) to the secret's name."""
    names: dict[_Login, str] = {}
    for endpoint in endpoints:
        login = (endpoint.username, endpoint.password)
        if login not in names:
            number = f"-{len(names) + 1}" if names else ""
            names[login] = f"{tenant}-routers{number}"
    return names


def fleet_documents(endpoints: Sequence[Endpoint]) -> list[Document]:
    """One RouterFleet per tenant. Every second device with a certificate is pinned to it."""
    return [_document(tenant, members) for tenant, members in _by_tenant(endpoints).items()]


def write_fleet_file(path: Path, endpoints: Sequence[Endpoint]) -> None:
    """Write all fleets; readers see the old file or the new one, never a part."""
    text = "# Written by fleet_simulator; credentials are in the secrets named here.\n"
    text += yaml.safe_dump_all(fleet_documents(endpoints), sort_keys=False, explicit_start=True)
    _replace(path, text, mode=0o644)


def manifest_documents(endpoints: Sequence[Endpoint], authority_pem: str) -> list[Document]:
    """The Secrets that the RouterFleets name, then the RouterFleets: all that a cluster needs."""
    secrets = [
        _secret(name, {"username": username, "password": password})
        for tenant, members in _by_tenant(endpoints).items()
        for (username, password), name in secrets_of(tenant, members).items()
    ]
    if _has_certificates(endpoints):
        secrets.append(_secret(CA_SECRET, {"ca.crt": authority_pem}))
    return [*secrets, *fleet_documents(endpoints)]


def write_manifests(path: Path, endpoints: Sequence[Endpoint], authority_pem: str) -> None:
    """Write `manifest_documents` as one file for `kubectl apply -f`; it holds passwords."""
    text = "# Written by fleet_simulator for kubectl apply.\n"
    text += yaml.safe_dump_all(
        manifest_documents(endpoints, authority_pem), sort_keys=False, explicit_start=True
    )
    _replace(path, text, mode=0o600)


def write_credentials(directory: Path, endpoints: Sequence[Endpoint], authority_pem: str) -> None:
    """Write `<secret>/username` and `password` per secret, and `ca.crt` in the CA's own."""
    for tenant, members in _by_tenant(endpoints).items():
        for (username, password), name in secrets_of(tenant, members).items():
            _replace(directory / name / "username", username, mode=0o600)
            _replace(directory / name / "password", password, mode=0o600)
    if _has_certificates(endpoints):
        _replace(directory / CA_SECRET / "ca.crt", authority_pem, mode=0o644)


def _by_tenant(endpoints: Iterable[Endpoint]) -> Mapping[str, list[Endpoint]]:
    tenants: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        tenants.setdefault(endpoint.tenant, []).append(endpoint)
    return tenants


def _has_certificates(endpoints: Iterable[Endpoint]) -> bool:
    return any(endpoint.tls is TlsMode.CERTIFICATE for endpoint in endpoints)


def _secret(name: str, values: Mapping[str, str]) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "Opaque",
        "stringData": dict(values),
    }


def _document(tenant: str, endpoints: Sequence[Endpoint]) -> Document:
    secrets = secrets_of(tenant, endpoints)
    fleet_secret = next(iter(secrets.values()))
    devices: list[Document] = []
    certified = 0
    for endpoint in endpoints:
        device: Document = {
            "name": endpoint.device,
            "address": endpoint.address,
            "port": endpoint.port,
        }
        secret = secrets[endpoint.username, endpoint.password]
        if secret != fleet_secret:
            device["credentials"] = _reference(secret)
        if endpoint.tls is TlsMode.CERTIFICATE:
            certified += 1
        tls = _tls(endpoint, pinned=certified % 2 == 0)
        if tls is not None:
            device["tls"] = tls
        devices.append(device)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": tenant},
        "spec": {"credentials": _reference(fleet_secret), "devices": devices},
    }


def _tls(endpoint: Endpoint, *, pinned: bool) -> Document | None:
    match endpoint.tls:
        case TlsMode.NONE:
            return None
        case TlsMode.ANONYMOUS:
            return {"mode": "anonymous"}
        case TlsMode.CERTIFICATE if pinned:
            return {"mode": "pinned", "fingerprintSha256": endpoint.fingerprint}
        case TlsMode.CERTIFICATE:
            return {"mode": "verify", "caSecretRef": {"name": CA_SECRET}}


def _reference(secret: str) -> Document:
    return {"secretRef": {"name": secret}}


def _replace(path: Path, text: str, *, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.touch(mode=mode)
    temporary.chmod(mode)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
