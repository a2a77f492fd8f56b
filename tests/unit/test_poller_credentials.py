import os
from pathlib import Path

import pytest

from fleet_common.fleet_spec import CadenceSpec, SecretReference, TlsMode, TlsSpec
from fleet_common.inventory import DeviceRecord
from fleet_poller.credentials import SecretStore
from fleet_poller.routeros.errors import CredentialsMissingError, UnusableCaError

FINGERPRINT = "ab" * 32


def record(tls: TlsSpec | None = None, folder: str = "site-a") -> DeviceRecord:
    return DeviceRecord(
        tenant="alpha",
        device="core-1",
        address="192.0.2.1",
        port=8728,
        credentials_secret=folder,
        tls=tls or TlsSpec(),
        cadence=CadenceSpec(),
    )


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    folder = tmp_path / "site-a"
    folder.mkdir()
    (folder / "username").write_text("fleet\n")
    (folder / "password").write_text("hunter two \r\n")
    return tmp_path


def test_credentials_come_from_the_mounted_files(mounted: Path) -> None:
    access = SecretStore(mounted).access(record())

    assert access.credentials.username == "fleet"
    assert access.credentials.password == "hunter two "
    assert access.context is None
    assert "hunter" not in repr(access)


def test_changed_files_are_read_again(mounted: Path) -> None:
    store = SecretStore(mounted)
    store.access(record())
    replacement = mounted / "site-a" / "new"
    replacement.write_text("changed")
    os.replace(replacement, mounted / "site-a" / "password")  # noqa: PTH105 - as a kubelet swaps it

    assert store.access(record()).credentials.password == "changed"


def test_a_missing_secret_is_named(mounted: Path) -> None:
    with pytest.raises(CredentialsMissingError, match="site-b/username: No such file"):
        SecretStore(mounted).access(record(folder="site-b"))


def test_a_missing_key_is_named_and_mended_when_it_appears(mounted: Path) -> None:
    store = SecretStore(mounted)
    password = mounted / "site-a" / "password"
    password.unlink()
    with pytest.raises(CredentialsMissingError, match="site-a/password"):
        store.access(record())

    password.write_text("there")
    assert store.access(record()).credentials.password == "there"


def test_a_missing_ca_is_a_missing_secret_and_a_wrong_one_a_tls_error(mounted: Path) -> None:
    tls = TlsSpec(mode=TlsMode.VERIFY, ca_secret_ref=SecretReference(name="ca"))
    store = SecretStore(mounted)
    with pytest.raises(CredentialsMissingError, match=r"ca/ca\.crt"):
        store.access(record(tls))

    (mounted / "ca").mkdir()
    (mounted / "ca" / "ca.crt").write_text("not a certificate")
    with pytest.raises(UnusableCaError, match="unusable CA file"):
        store.access(record(tls))


def test_devices_of_one_mode_share_a_context(mounted: Path) -> None:
    store = SecretStore(mounted)
    pinned = TlsSpec(mode=TlsMode.PINNED, fingerprint_sha256=FINGERPRINT)
    other_pin = TlsSpec(mode=TlsMode.PINNED, fingerprint_sha256="cd" * 32)
    first, second = store.access(record(pinned)), store.access(record(other_pin))

    assert first.context is second.context is not None
    assert (first.tls.pin_sha256, second.tls.pin_sha256) == (FINGERPRINT, "cd" * 32)
