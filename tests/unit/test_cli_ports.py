"""Ports stay the same, stay below the ephemeral range, and nobody gets another's."""

import json
import socket
from pathlib import Path

import pytest

from fleet_cli.folder import load_kept, open_folder
from fleet_cli.foundation import PortBook
from fleet_cli.nats_process import NatsPlan, nats_config
from fleet_cli.ports import FIRST_PORT, LAST_PORT, choose_port, choose_range
from fleet_common.errors import ConfigurationError


def test_the_same_folder_and_name_give_the_same_port() -> None:
    first = choose_port("nats", "/a", {}, ())
    assert choose_port("nats", "/a", {}, ()) == first
    assert choose_port("nats", "/b", {}, ()) != first
    assert FIRST_PORT <= first <= LAST_PORT


def test_a_kept_port_is_used_again_unless_it_is_taken() -> None:
    free = choose_port("x", "/a", {}, ())
    assert choose_port("nats", "/a", {"nats": free}, ()) == free
    with socket.socket() as other:
        other.bind(("127.0.0.1", free))
        other.listen()
        assert choose_port("nats", "/a", {"nats": free}, ()) != free


def test_a_row_of_ports_overlaps_nothing_that_was_given_before() -> None:
    first = choose_range("routers", "/a", 50, {}, ())
    taken = {first + 49}
    other = choose_range("routers", "/a", 50, {"routers": first}, taken)
    assert not taken & set(range(other, other + 50))


def test_a_port_given_after_a_row_is_not_inside_it(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "demo")
    book = PortBook(folder, load_kept(folder))
    first = book.give_range("routers", 200)
    given = {book.give(f"thing-{number}") for number in range(50)}
    assert len(given) == 50
    assert not given & set(range(first, first + 200))


def test_ports_are_kept_from_run_to_run(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "demo")
    book = PortBook(folder, load_kept(folder))
    ports = (book.give("nats"), book.give_range("routers", 10))
    book.keep()
    again = PortBook(folder, load_kept(folder))
    assert (again.give("nats"), again.give_range("routers", 10)) == ports
    assert (folder / "kept.json").stat().st_mode & 0o077 == 0


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "demo")
    book = PortBook(folder, load_kept(folder))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigurationError, match="taken"):
            book.give("page", other.getsockname()[1])


def test_damaged_secrets_are_not_replaced_silently(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "demo")
    (folder / "kept.json").write_text("{")
    with pytest.raises(ConfigurationError, match="begin anew"):
        load_kept(folder)


def test_a_folder_s_name_cannot_break_the_broker_s_configuration() -> None:
    store = Path('/data/with "quotes"')
    config = nats_config(NatsPlan(14222, "token", 1000), store)
    (line,) = [line for line in config.splitlines() if "store_dir" in line]
    assert json.loads(line.partition(":")[2]) == str(store)
