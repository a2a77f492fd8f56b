"""Commands that change a router: seen at once, refused in RouterOS's words."""

from collections.abc import Sequence

import pytest

from fleet_simulator.tables import Menu, Row, TrapError
from fleet_simulator.world import SimulatedRouter, build_router

NOW = 1_795_000_000.0


@pytest.fixture
def router() -> SimulatedRouter:
    return build_router(5, "r", interfaces=None)


def menu_of(router: SimulatedRouter, path: str) -> Menu:
    menu = router.menu(path)
    assert menu is not None
    return menu


def row_of(rows: Sequence[Row], identity: bytes) -> Row | None:
    return next((row for row in rows if row[b".id"] == identity), None)


def refused(menu: Menu, command: str, **arguments: bytes) -> tuple[str, int | None]:
    words = {name.strip("_").replace("_", "-").encode(): arguments[name] for name in arguments}
    if "_id" in arguments:
        words[b".id"] = words.pop(b"id")
    with pytest.raises(TrapError) as caught:
        menu.run(command, words, NOW)
    return caught.value.message, caught.value.category


def test_an_added_address_is_seen_changed_and_removed(router: SimulatedRouter) -> None:
    menu = menu_of(router, "/ip/address")
    before = menu.rows(NOW)
    added = menu.run("add", {b"address": b"10.9.8.7/24", b"interface": b"bridge1"}, NOW).ret
    assert added is not None
    row = row_of(menu.rows(NOW), added)
    assert row is not None
    assert row[b"network"] == b"10.9.8.0"
    assert row[b"disabled"] == b"false"
    menu.run("set", {b".id": added, b"comment": b"caf\xe9", b"disabled": b"yes"}, NOW)
    row = row_of(menu.rows(NOW), added)
    assert row is not None
    assert (row[b"comment"], row[b"disabled"]) == (b"caf\xe9", b"true")
    menu.run("enable", {b"numbers": added}, NOW)
    menu.run("unset", {b"numbers": added, b"value-name": b"comment"}, NOW)
    row = row_of(menu.rows(NOW), added)
    assert row is not None
    assert row[b"disabled"] == b"false"
    assert b"comment" not in row
    menu.run("remove", {b".id": added}, NOW)
    assert menu.rows(NOW) == before


def test_an_id_is_not_given_twice(router: SimulatedRouter) -> None:
    menu = menu_of(router, "/ip/address")
    values = {b"address": b"10.9.8.7/24", b"interface": b"bridge1"}
    first = menu.run("add", values, NOW).ret
    assert first is not None
    menu.run("remove", {b".id": first}, NOW)
    assert menu.run("add", values, NOW).ret != first


def test_a_wrong_address_is_refused(router: SimulatedRouter) -> None:
    menu = menu_of(router, "/ip/address")
    good = {"address": b"10.9.8.7/24", "interface": b"bridge1"}
    menu.run("add", {b"address": b"10.9.8.7/24", b"interface": b"bridge1"}, NOW)
    assert refused(menu, "add", **good) == ("failure: already have such address", None)
    for wrong in (b"10.9.8.300/24", b"10.9.8.7/33", b"x", b"", b"\xff"):
        message = refused(menu, "add", **{**good, "address": wrong})
        assert message == ("invalid value for argument address", 1)
    message = refused(menu, "add", address=b"10.9.8.8/24", interface=b"nowhere")
    assert message == ("input does not match any value of interface", 1)
    assert refused(menu, "add", **good, colour=b"red") == ("unknown parameter colour", None)
    message = refused(menu, "add", address=b"10.9.8.8/24")
    assert message == ("missing value(s) of argument(s) interface", 1)
    assert refused(menu, "set", _id=b"*FF", comment=b"x") == ("no such item", 0)
    assert refused(menu, "remove", _id=b"*FF") == ("no such item", 0)
    assert refused(menu, "set", comment=b"x")[0].startswith("missing value(s)")
    message = refused(menu, "set", _id=b"*1", disabled=b"maybe")
    assert message == ("invalid value for argument disabled", 1)


def test_a_refused_command_changes_nothing(router: SimulatedRouter) -> None:
    menu = menu_of(router, "/ip/address")
    menu.run("add", {b"address": b"10.9.8.7/24", b"interface": b"bridge1"}, NOW)
    before = [dict(row) for row in menu.rows(NOW)]
    refused(menu, "set", _id=b"*1", address=b"10.9.8.7/24", interface=b"bridge1", comment=b"z")
    refused(menu, "remove", _id=b"*1,*FF")
    refused(menu, "set", _id=b"*1,*FF", comment=b"z")
    assert [dict(row) for row in menu.rows(NOW)] == before


def test_a_static_name_is_added_once(router: SimulatedRouter) -> None:
    menu = menu_of(router, "/ip/dns/static")
    added = menu.run("add", {b"name": b"a.lan", b"address": b"10.0.0.1"}, NOW).ret
    assert added is not None
    row = row_of(menu.rows(NOW), added)
    assert row is not None
    assert row[b"ttl"] == b"1d"
    message = refused(menu, "add", name=b"a.lan", address=b"10.0.0.1")
    assert message == ("failure: entry already exists", None)
    message = refused(menu, "add", name=b"b.lan", address=b"10.0.0.1/8")
    assert message == ("invalid value for argument address", 1)
    message = refused(menu, "add", name=b"b.lan", address=b"10.0.0.1", ttl=b"soon")
    assert message == ("invalid value for argument ttl", 1)


def test_a_list_entry_with_a_timeout_runs_out(router: SimulatedRouter) -> None:
    menu = menu_of(router, "/ip/firewall/address-list")
    kept = len(menu.rows(NOW))
    added = menu.run(
        "add", {b"list": b"bad", b"address": b"203.0.113.9", b"timeout": b"1h30m"}, NOW
    ).ret
    assert added is not None
    row = row_of(menu.rows(NOW + 60), added)
    assert row is not None
    assert (row[b"timeout"], row[b"dynamic"]) == (b"1h29m", b"true")
    assert len(menu.rows(NOW + 5399)) == kept + 1
    assert len(menu.rows(NOW + 5400)) == kept
    with pytest.raises(TrapError, match="no such item"):
        menu.run("remove", {b".id": added}, NOW + 5400)


def test_list_entries_are_kept_as_prefixes_and_ranges(router: SimulatedRouter) -> None:
    menu = menu_of(router, "/ip/firewall/address-list")
    for given, kept in (
        (b"10.1.2.3/8", b"10.0.0.0/8"),
        (b"10.1.2.3/32", b"10.1.2.3"),
        (b"10.0.0.1-10.0.0.9", b"10.0.0.1-10.0.0.9"),
        (b"example.net", b"example.net"),
    ):
        menu.run("add", {b"list": b"l", b"address": given}, NOW)
        assert menu.rows(NOW)[-1][b"address"] == kept
    message = refused(menu, "add", list=b"l", address=b"10.0.0.0/8")
    assert message == ("failure: already have such entry", None)
    message = refused(menu, "add", list=b"l", address=b"10.0.0.0/99")
    assert message == ("invalid value for argument address", 1)


def test_a_disabled_interface_goes_down_and_says_so(router: SimulatedRouter) -> None:
    menu = menu_of(router, "/interface")
    before = menu.rows(NOW)[0]
    assert before[b"running"] == b"true"
    menu.run("disable", {b".id": before[b".id"]}, NOW)
    after = menu.rows(NOW)[0]
    assert (after[b"running"], after[b"disabled"]) == (b"false", b"true")
    assert int(after[b"link-downs"]) == int(before[b"link-downs"]) + 1
    ports = menu_of(router, "/interface/ethernet")
    assert ports.rows(NOW)[0][b"disabled"] == b"true"
    ports.run("enable", {b"numbers": before[b"name"]}, NOW + 5)
    assert menu.rows(NOW + 5)[0][b"running"] == b"true"
    assert menu.rows(NOW + 5)[0][b"last-link-up-time"] != before[b"last-link-up-time"]


def test_a_renamed_interface_takes_its_addresses_along(router: SimulatedRouter) -> None:
    addresses = menu_of(router, "/ip/address")
    addresses.run("add", {b"address": b"10.9.8.7/24", b"interface": b"ether2"}, NOW)
    menu = menu_of(router, "/interface")
    menu.run("set", {b"numbers": b"ether2", b"name": b"no", b"comment": "Büro".encode()}, NOW)
    row = menu.rows(NOW)[1]
    assert (row[b"name"], row[b"default-name"]) == (b"no", b"ether2")
    assert addresses.rows(NOW)[-1][b"interface"] == b"no"
    message = refused(menu, "set", numbers=b"no", name=b"ether1")
    assert message == ("failure: already have interface with such name", None)
    assert refused(menu, "set", numbers=b"ether2", comment=b"x") == ("no such item", 0)
    assert refused(menu, "set", numbers=b"no", speed=b"1") == ("unknown parameter speed", None)


def test_the_identity_can_be_set(router: SimulatedRouter) -> None:
    menu = menu_of(router, "/system/identity")
    menu.run("set", {b"name": b"k\xe1va"}, NOW)
    assert menu.rows(NOW) == [{b"name": b"k\xe1va"}]
    assert refused(menu, "set", name=b"x" * 65)[1] == 1
    assert refused(menu, "set", colour=b"red") == ("unknown parameter colour", None)


def test_a_table_is_not_shared_between_routers() -> None:
    one, other = build_router(5, "r"), build_router(5, "r")
    before = list(menu_of(other, "/ip/address").rows(NOW))
    menu_of(one, "/ip/address").run("remove", {b".id": b"*1"}, NOW)
    assert list(menu_of(other, "/ip/address").rows(NOW)) == before


def test_a_command_the_menu_does_not_have_is_refused(router: SimulatedRouter) -> None:
    menu = menu_of(router, "/system/resource")
    assert "add" not in menu.commands
    with pytest.raises(TrapError, match="no such command"):
        menu.run("add", {}, NOW)
