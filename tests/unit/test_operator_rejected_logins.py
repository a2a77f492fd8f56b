"""Rejected logins are told while somebody polls, and their counts only now and then."""

from fleet_common.assigner import Step
from fleet_common.liveness import RejectedLogins
from fleet_contracts.subjects import DeviceId
from fleet_operator.assigning import Ask, Found
from fleet_operator.rejected_logins import TellingLogins

ONE = (RejectedLogins(secret="routers", devices=1, first="r0"),)
TWO = (RejectedLogins(secret="routers", devices=2, first="r0"),)
DEVICES = (DeviceId("r0"), DeviceId("r1"))


def polled(rejected: tuple[RejectedLogins, ...]) -> Found:
    shares = {"shard-0": DEVICES}
    return Found(Ask(DEVICES, ("shard-0",)), Step({}, shares, 0), 0.0, rejected=rejected)


def test_a_suspended_fleet_rejects_no_login() -> None:
    logins = TellingLogins(30.0)
    assert logins.tell("uid", polled(ONE)) == ONE
    assert logins.tell("uid", Found(Ask((), ()), Step({}, {}, 0), 0.0)) == ()
    # Nor when it goes on, until its shards say so.
    assert logins.tell("uid", None) == ()


def test_what_was_told_stays_while_nobody_knows() -> None:
    logins = TellingLogins(30.0)
    logins.tell("uid", polled(ONE))
    assert logins.tell("uid", None) == ONE
    assert logins.tell("uid", Found(Ask(DEVICES, ("shard-0",)), Step({}, {}, 0), 0.0)) == ONE


def test_counts_alone_are_told_after_a_while_and_another_secret_at_once() -> None:
    now = 100.0
    logins = TellingLogins(30.0, lambda: now)
    logins.tell("uid", polled(ONE))
    now += 29
    assert logins.tell("uid", polled(TWO)) == ONE
    assert logins.tell("uid", polled(())) == ()
    logins.tell("uid", polled(ONE))
    now += 30
    assert logins.tell("uid", polled(TWO)) == TWO
