"""Whose tenant is whose, and what a fleet asks while a part of it cannot be read."""

from fleet_operator.fleets import Fleets
from fleet_operator.kinds import CONFIG_MAP, ROUTER_FLEET, SECRET
from fleet_operator.store import Store, trimmed
from support.operator_fleets import Document, config_map, fleet_document, secret

FROM = {"devicesFrom": [{"configMapRef": {"name": "more"}}]}
ROWS = '[{"name": "m1", "address": "10.1.0.1"}, {"name": "m2", "address": "10.1.0.2"}]'


def make(*documents: Document) -> tuple[Store, Fleets]:
    store = Store(lambda: None)
    for document in documents:
        store.put(ROUTER_FLEET, document)
    return store, Fleets(store)


def names(fleets: Fleets) -> list[str]:
    (known,) = fleets.read()
    return sorted(known.devices)


def test_the_older_of_two_fleets_of_one_name_has_the_tenant() -> None:
    young = fleet_document(namespace="a", uid="1", created="2030-01-01T00:00:05Z")
    old = fleet_document(namespace="b", uid="2", created="2030-01-01T00:00:04Z")
    _, fleets = make(young, old)
    first, second = fleets.read()
    assert (first.owner.namespace, first.rival) == ("b", None)
    assert second.rival == first.owner
    assert not second.records


def test_nothing_is_read_anew_while_nothing_changed() -> None:
    store, fleets = make(fleet_document())
    first = fleets.read()
    assert fleets.read() is first
    store.put(ROUTER_FLEET, fleet_document(namespace="other", uid="9", version=7))
    assert len(fleets.read()) == 2
    store.drop(ROUTER_FLEET, fleet_document(namespace="other", uid="9", version=8))
    assert [one.owner for one in fleets.read()] == [one.owner for one in first]


def test_of_two_of_the_same_second_the_uid_decides() -> None:
    _, fleets = make(fleet_document(namespace="a", uid="2"), fleet_document(namespace="b", uid="1"))
    assert [one.owner.uid for one in fleets.read() if one.rival is None] == ["1"]


def test_the_tenant_goes_to_the_other_when_the_older_has_gone() -> None:
    old = fleet_document(namespace="b", uid="2", created="2030-01-01T00:00:04Z")
    young = fleet_document(namespace="a", uid="1", created="2030-01-01T00:00:05Z")
    store, fleets = make(young, old)
    fleets.read()
    store.drop(ROUTER_FLEET, fleet_document(namespace="b", uid="2", version=9))
    (known,) = fleets.read()
    assert known.rival is None
    assert known.records


def test_devices_of_a_config_map_that_vanished_go_on() -> None:
    store, fleets = make(fleet_document(spec=FROM))
    store.put(CONFIG_MAP, config_map("more", {"rows": ROWS}, version=2))
    assert names(fleets) == ["m1", "m2", "r0", "r1"]
    store.drop(CONFIG_MAP, config_map("more", {}, version=3))
    assert names(fleets) == ["m1", "m2", "r0", "r1"]
    (known,) = fleets.read()
    assert known.remembered == 2
    store.put(CONFIG_MAP, config_map("more", {"rows": "[]"}, version=4))
    assert names(fleets) == ["r0", "r1"]


def test_a_fleet_acted_on_before_a_restart_is_left_alone_while_its_devices_are_unknown() -> None:
    document = fleet_document(spec=FROM)
    document["status"] = {"devices": {"total": 4}}
    _, fleets = make(document)
    (known,) = fleets.read()
    assert known.fleet is None


def test_a_new_fleet_is_polled_without_the_config_map_that_is_missing() -> None:
    _, fleets = make(fleet_document(spec=FROM))
    assert names(fleets) == ["r0", "r1"]


def test_a_spec_that_became_invalid_does_not_end_what_ran_before() -> None:
    store, fleets = make(fleet_document())
    assert names(fleets) == ["r0", "r1"]
    store.put(
        ROUTER_FLEET,
        fleet_document(version=2, generation=2, spec={"cadence": {"interval": "nonsense"}}),
    )
    (known,) = fleets.read()
    assert sorted(known.devices) == ["r0", "r1"]
    assert known.resolution.fleet is None


def test_a_change_of_the_status_alone_resolves_nothing_anew() -> None:
    store, fleets = make(fleet_document())
    (before,) = fleets.read()
    changed = fleet_document(version=2)
    changed["status"] = {"observedGeneration": 1}
    store.put(ROUTER_FLEET, changed)
    (after,) = fleets.read()
    assert after.fleet is before.fleet
    assert after.records is before.records
    assert after.body["status"] == {"observedGeneration": 1}


def test_secret_keys_are_looked_up_in_the_fleets_own_namespace() -> None:
    store, fleets = make(fleet_document())
    (known,) = fleets.read()
    store.put(SECRET, trimmed(SECRET, secret("routers", "username", namespace="other")))
    assert fleets.secret_keys(known) == {"routers": None}
    store.put(SECRET, trimmed(SECRET, secret("routers", "username", "password", version=2)))
    assert fleets.secret_keys(known) == {"routers": frozenset({"username", "password"})}
