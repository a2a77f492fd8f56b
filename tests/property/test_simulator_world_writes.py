"""A written table behaves as a plain list of values does, whatever the order of commands."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fleet_simulator.tables import TrapError
from fleet_simulator.world import build_router

NOW = 1_795_000_000.0
TAKEN = "failure: already have such address"
addresses = st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(24, 25)).map(
    lambda part: b"10.0.%d.%d/%d" % part
)
interfaces = st.sampled_from([b"ether2", b"ether3", b"bridge1"])
comments = st.binary(max_size=6)


class AddressTable(RuleBasedStateMachine):
    """Compares /ip/address with a dict of .id to (address, interface, comment, disabled)."""

    def __init__(self) -> None:
        super().__init__()
        router = build_router(5, "r", interfaces=None)
        menu = router.menu("/ip/address")
        assert menu is not None
        self.menu = menu
        self.model = {
            row[b".id"]: (
                row[b"address"], row[b"interface"], row.get(b"comment", b""),
                row[b"disabled"] == b"true",
            )
            for row in menu.rows(NOW)
        }  # fmt: skip
        self.ever = set(self.model)

    def taken(self, address: bytes, interface: bytes, but: bytes | None = None) -> bool:
        return any(
            (row[0], row[1]) == (address, interface)
            for identity, row in self.model.items()
            if identity != but
        )

    def refusal(self, command: str, words: dict[bytes, bytes]) -> str:
        with pytest.raises(TrapError) as refused:
            self.menu.run(command, words, NOW)
        return refused.value.message

    @rule(address=addresses, interface=interfaces, comment=comments)
    def add(self, address: bytes, interface: bytes, comment: bytes) -> None:
        words = {b"address": address, b"interface": interface, b"comment": comment}
        if self.taken(address, interface):
            assert self.refusal("add", words) == TAKEN
            return
        identity = self.menu.run("add", words, NOW).ret
        assert identity is not None
        assert identity not in self.ever
        self.ever.add(identity)
        self.model[identity] = (address, interface, comment, False)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), address=addresses, comment=comments)
    def change(self, data: st.DataObject, address: bytes, comment: bytes) -> None:
        identity = data.draw(st.sampled_from(sorted(self.model)))
        _, interface, _, disabled = self.model[identity]
        words = {b".id": identity, b"address": address, b"comment": comment}
        if self.taken(address, interface, but=identity):
            assert self.refusal("set", words) == TAKEN
            return
        self.menu.run("set", words, NOW)
        self.model[identity] = (address, interface, comment, disabled)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), disabled=st.booleans())
    def switch(self, data: st.DataObject, *, disabled: bool) -> None:
        chosen = data.draw(st.sets(st.sampled_from(sorted(self.model)), min_size=1))
        command = "disable" if disabled else "enable"
        self.menu.run(command, {b"numbers": b",".join(sorted(chosen))}, NOW)
        for identity in chosen:
            self.model[identity] = (*self.model[identity][:3], disabled)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        identity = data.draw(st.sampled_from(sorted(self.model)))
        self.menu.run("remove", {b".id": identity}, NOW)
        del self.model[identity]

    @rule(identity=st.sampled_from([b"*0", b"*FFFF", b"ether2", b"x"]))
    def remove_what_is_not_there(self, identity: bytes) -> None:
        assert self.refusal("remove", {b".id": identity}) == "no such item"

    @invariant()
    def rows_are_the_model(self) -> None:
        rows = {
            row[b".id"]: (
                row[b"address"], row[b"interface"], row.get(b"comment", b""),
                row[b"disabled"] == b"true",
            )
            for row in self.menu.rows(NOW)
        }  # fmt: skip
        assert rows == self.model


AddressTable.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=25)
TestAddressTable = AddressTable.TestCase
