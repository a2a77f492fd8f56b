"""Where devices listen, and the fleet file that says so."""

import stat
from pathlib import Path

import pytest
import yaml

from fleet_common.fleet_spec import TlsMode as SpecTlsMode
from fleet_common.fleet_spec import load_fleet_file, parse_fleet
from fleet_common.inventory import device_records
from fleet_simulator.certificates import Authority
from fleet_simulator.device import TlsMode
from fleet_simulator.fleet_file import (
    CA_SECRET,
    write_credentials,
    write_fleet_file,
    write_manifests,
)
from fleet_simulator.places import AddressMode, FleetTls, PlaceError, PlacePlan, give_places
from fleet_simulator.server import Endpoint
from support.routers import FixedRouter


def routers(count: int) -> list[FixedRouter]:
    return [FixedRouter(f"r-{number}") for number in range(count)]


def test_ports_follow_one_another() -> None:
    places = give_places(routers(3), PlacePlan(base_port=21_000), Authority())

    assert [(p.address, p.port, p.tls) for p in places] == [
        ("127.0.0.1", 21_000 + index, TlsMode.NONE) for index in range(3)
    ]


@pytest.mark.parametrize("base", [0, 32_766, 40_000])
def test_ports_beyond_the_limit_are_refused(base: int) -> None:
    with pytest.raises(PlaceError, match=f"--base-port {base}.*below 32768"):
        give_places(routers(3), PlacePlan(base_port=base), Authority())


def test_the_last_port_below_the_limit_is_used() -> None:
    places = give_places(routers(3), PlacePlan(base_port=32_765), Authority())

    assert places[-1].port == 32_767


def test_addresses_of_their_own_with_routeros_ports() -> None:
    plan = PlacePlan(AddressMode.ADDRESS, FleetTls.MIXED)

    places = give_places(routers(300), plan, Authority())

    assert [(p.address, p.port) for p in places[:3]] == [
        ("127.1.0.1", 8728),
        ("127.1.0.2", 8729),
        ("127.1.0.3", 8729),
    ]
    assert len({p.address for p in places}) == 300


def endpoint(device: str, tls: TlsMode, *, password: str = "", tenant: str = "acme") -> Endpoint:
    fingerprint = "ab" * 32 if tls is TlsMode.CERTIFICATE else None
    return Endpoint(
        tenant, device, "127.0.0.1", 21_000, "fleet", password or "p1", tls, fingerprint
    )


ENDPOINTS = [
    endpoint("a", TlsMode.NONE),
    endpoint("b", TlsMode.CERTIFICATE),
    endpoint("c", TlsMode.ANONYMOUS),
    endpoint("d", TlsMode.CERTIFICATE),
    endpoint("e", TlsMode.NONE, password="p2"),
    endpoint("a", TlsMode.NONE, password="p3", tenant="other"),
]


def test_fleet_file_is_what_everyone_else_reads(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"

    write_fleet_file(path, ENDPOINTS)

    acme, other = load_fleet_file(path)
    assert (acme.tenant, other.tenant) == ("acme", "other")
    assert acme.spec.credentials.secret_ref.name == "acme-routers"
    modes = [device.tls and device.tls.mode for device in acme.spec.devices]
    assert modes == [
        None,
        SpecTlsMode.VERIFY,
        SpecTlsMode.ANONYMOUS,
        SpecTlsMode.PINNED,
        None,
    ]
    verified, pinned = acme.spec.devices[1].tls, acme.spec.devices[3].tls
    assert verified is not None
    assert verified.ca_secret_ref is not None
    assert verified.ca_secret_ref.name == CA_SECRET
    assert pinned is not None
    assert pinned.fingerprint_sha256 == "ab" * 32
    own = acme.spec.devices[4].credentials
    assert own is not None
    assert own.secret_ref.name == "acme-routers-2"


def test_credentials_are_beside_the_fleet_file_and_for_the_owner_only(tmp_path: Path) -> None:
    write_fleet_file(tmp_path / "fleet.yaml", ENDPOINTS)
    write_credentials(tmp_path / "secrets", ENDPOINTS, "the CA")

    assert not {"p1", "p2", "p3"} & set((tmp_path / "fleet.yaml").read_text().split())
    written = {
        str(file.relative_to(tmp_path / "secrets")): file.read_text()
        for file in (tmp_path / "secrets").rglob("*")
        if file.is_file()
    }
    assert written == {
        "acme-routers/username": "fleet",
        "acme-routers/password": "p1",
        "acme-routers-2/username": "fleet",
        "acme-routers-2/password": "p2",
        "other-routers/username": "fleet",
        "other-routers/password": "p3",
        "simulator-ca/ca.crt": "the CA",
    }
    mode = (tmp_path / "secrets" / "acme-routers" / "password").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_the_manifests_are_the_fleets_and_each_secret_they_name(tmp_path: Path) -> None:
    path = tmp_path / "manifests.yaml"

    write_manifests(path, ENDPOINTS, "the CA")

    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    secrets = {
        one["metadata"]["name"]: one["stringData"] for one in documents if one["kind"] == "Secret"
    }
    fleets = [parse_fleet(one, "manifests") for one in documents if one["kind"] == "RouterFleet"]
    named = {record.credentials_secret for fleet in fleets for record in device_records(fleet)}
    assert len(secrets) + len(fleets) == len(documents)
    assert named | {CA_SECRET} == set(secrets)
    assert secrets[CA_SECRET] == {"ca.crt": "the CA"}
    assert all(set(secrets[name]) == {"username", "password"} for name in named)
    assert path.stat().st_mode & 0o077 == 0
