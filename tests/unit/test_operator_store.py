"""Watches and full lists in any order leave the newest state."""

import base64
from pathlib import Path

from fleet_operator.kinds import (
    CONFIG_MAP,
    FIELD_MANAGER,
    ROUTER_FLEET,
    SECRET,
    Document,
    ObjectKey,
    key_of,
)
from fleet_operator.packing import unpacked
from fleet_operator.resolve import CA_KEY
from fleet_operator.store import Store, trimmed
from support.certificates import Authority
from support.operator_fleets import config_map, fleet_document, secret

KEY = ObjectKey(CONFIG_MAP, "one", "a")


def make() -> tuple[Store, list[None]]:
    rings: list[None] = []
    return Store(lambda: rings.append(None)), rings


def listing(store: Store, documents: list[Document], version: int) -> int:
    """A full list of ConfigMaps as of a version; returns how many objects it had news of."""
    news = sum(store.put(CONFIG_MAP, one) for one in documents)
    keys = {key_of(CONFIG_MAP, one) for one in documents}
    return news + store.settle(CONFIG_MAP, keys, lambda _: version)


def test_an_older_version_changes_nothing() -> None:
    store, rings = make()
    assert store.put(CONFIG_MAP, config_map("a", {"x": "new"}, version=5))
    assert not store.put(CONFIG_MAP, config_map("a", {"x": "old"}, version=4))
    assert (store.get(KEY) or {})["data"] == {"x": "new"}
    assert len(rings) == 1


def test_a_list_does_not_bring_back_what_was_deleted_after_it_was_read() -> None:
    store, _ = make()
    store.put(CONFIG_MAP, config_map("a", {}, version=5))
    store.drop(CONFIG_MAP, config_map("a", {}, version=9))
    listing(store, [config_map("a", {}, version=5)], version=7)
    assert store.get(KEY) is None


def test_a_list_removes_what_is_gone_and_keeps_what_is_newer() -> None:
    store, _ = make()
    store.put(CONFIG_MAP, config_map("a", {}, version=5))
    store.put(CONFIG_MAP, config_map("b", {}, version=8))
    assert listing(store, [], version=7) == 1
    assert store.get(KEY) is None
    assert store.get(ObjectKey(CONFIG_MAP, "one", "b")) is not None


def test_a_list_without_news_wakes_nobody_but_the_first_time() -> None:
    store, rings = make()
    listed = [config_map("a", {}, version=5)]
    listing(store, listed, version=6)
    before = len(rings)
    assert store.complete(CONFIG_MAP)
    assert listing(store, listed, version=7) == 0
    assert len(rings) == before


def test_an_object_made_again_after_its_deletion_is_taken() -> None:
    store, _ = make()
    store.drop(CONFIG_MAP, config_map("a", {}, version=5))
    assert not store.put(CONFIG_MAP, config_map("a", {}, version=5))
    assert store.put(CONFIG_MAP, config_map("a", {}, version=6))


def test_of_a_foreign_secret_only_the_names_of_its_keys_are_kept() -> None:
    document = secret("routers", "username", "password")
    document["data"]["empty"] = ""
    kept = trimmed(SECRET, document)
    assert sorted(kept["keys"]) == ["password", "username"]
    assert "eA==" not in str(kept)


def test_of_a_foreign_secrets_ca_only_whether_it_is_one_is_kept(tmp_path: Path) -> None:
    document = secret("routers", CA_KEY)
    for text in ("", "x", "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n", "\xff"):
        document["data"][CA_KEY] = base64.b64encode(text.encode("latin-1")).decode()
        assert trimmed(SECRET, document).get("badCa", False) is bool(text), text
    whole = Authority(tmp_path).ca_file.read_bytes()
    # As in a file, anything may stand around the blocks, and nothing in them.
    for comment in (b"", "# Ő\n".encode(), "# é\n".encode("latin-1")):
        document["data"][CA_KEY] = base64.b64encode(comment + whole).decode()
        kept = trimmed(SECRET, document)
        assert (kept["keys"], kept.get("badCa")) == ([CA_KEY], None)
    document["data"][CA_KEY] = base64.b64encode(whole.replace(b"\nMII", "\nŐMII".encode())).decode()
    assert trimmed(SECRET, document).get("badCa")


def test_a_secret_of_our_own_is_kept_whole() -> None:
    document = secret("alpha-shard-nats", "FLEET_NATS__USER")
    document["metadata"]["labels"] = {"app.kubernetes.io/managed-by": FIELD_MANAGER}
    assert trimmed(SECRET, document)["data"] == {"FLEET_NATS__USER": "eA=="}


def test_lists_of_devices_are_kept_packed_and_read_the_same() -> None:
    fleet, listed = fleet_document(devices=100), config_map("rows", {"a.yaml": "- {name: r1}"})
    kept = trimmed(ROUTER_FLEET, fleet)
    assert unpacked(kept["spec"]["devices"]) == fleet["spec"]["devices"]
    assert unpacked(trimmed(CONFIG_MAP, listed)["data"]) == listed["data"]
    assert "10.0.0.7" not in str(kept)


def test_of_a_config_maps_bytes_only_the_key_is_kept() -> None:
    document = config_map("rows", {"a": "[]"}) | {"binaryData": {"latin-1.yaml": "/w=="}}
    assert unpacked(trimmed(CONFIG_MAP, document)["data"]) == {"a": "[]", "latin-1.yaml": None}


def test_what_is_known_is_no_news() -> None:
    store, _ = make()
    store.put(CONFIG_MAP, config_map("a", {}, version=5))
    assert store.knows(CONFIG_MAP, config_map("a", {}, version=5))
    assert not store.knows(CONFIG_MAP, config_map("a", {}, version=6))
    assert not store.knows(CONFIG_MAP, config_map("b", {}, version=1))
