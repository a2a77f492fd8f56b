"""What a resolution and a plan say as conditions."""

import pytest

from fleet_common.fleet_spec import Problem, ProblemKind
from fleet_common.liveness import RejectedLogins
from fleet_common.planning.model import Reason, StreamPlan
from fleet_common.planning.planner import plan
from fleet_common.planning.stream_state import StreamState
from fleet_operator.conditions import (
    credentials_verdict,
    inventory_verdict,
    reason_word,
    sized_verdict,
    stream_status,
    window_verdict,
)
from fleet_operator.resolve import Resolution
from fleet_operator.status import ConditionStatus
from support.fleets import fleet

MIB = 1024 * 1024


def planned(devices: int = 101, budget_mib: int = 1024, **spec: object) -> StreamPlan:
    (result,) = plan([fleet("north", devices, **spec)], budget_mib * MIB)
    return result


def problem(number: int) -> Problem:
    return Problem(ProblemKind.MALFORMED_DEVICE, f"row {number}", "wrong")


def test_an_inventory_with_wrong_rows_names_some_counts_the_rest_and_says_what_goes_on() -> None:
    resolution = Resolution(fleet("north", 3), tuple(problem(number) for number in range(9)))
    verdict = inventory_verdict(resolution)

    assert (verdict.status, verdict.reason) == (ConditionStatus.FALSE, "MalformedDevice")
    assert verdict.message.startswith("row 0: wrong; row 1: wrong; ")
    assert verdict.message.endswith("; and 4 more. The other 3 devices are polled")


@pytest.mark.parametrize(("devices", "end"), [(0, "wrong"), (1, "wrong. The other one is polled")])
def test_few_other_devices_are_spoken_of_as_such(devices: int, end: str) -> None:
    verdict = inventory_verdict(Resolution(fleet("north", devices), (problem(1),)))

    assert verdict.message == f"row 1: {end}"


@pytest.mark.parametrize(
    ("devices", "reason", "message"),
    [(0, "NoDevices", "no device is listed"), (1, "AllValid", "1 device listed")],
)
def test_a_valid_inventory_says_how_many(devices: int, reason: str, message: str) -> None:
    verdict = inventory_verdict(Resolution(fleet("north", devices)))
    assert (verdict.status, verdict.reason, verdict.message) == (
        ConditionStatus.TRUE,
        reason,
        message,
    )


def test_credentials_are_valid_when_no_secret_is_missing() -> None:
    assert credentials_verdict((), 2).message == "2 Secrets with all keys"
    missing = Problem(ProblemKind.SECRET_MISSING, "Secret login", "does not exist")
    rejected = (
        RejectedLogins(secret="one", devices=34, first="ap-001"),
        RejectedLogins(secret="two", devices=1, first="gw-001"),
    )
    verdict = credentials_verdict((), 2, rejected)
    assert (verdict.status, verdict.reason) == (ConditionStatus.FALSE, "LoginRejected")
    assert verdict.message.startswith(
        "34 devices reject the login of Secret one (e.g. ap-001); "
        "1 device rejects the login of Secret two (gw-001). "
    )
    verdict = credentials_verdict([missing], 2)
    assert (verdict.status, verdict.reason) == (ConditionStatus.FALSE, "SecretMissing")
    assert verdict.message == "Secret login: does not exist. Devices of other Secrets are polled"


def test_a_window_that_fits_is_not_reduced() -> None:
    verdict = window_verdict(planned())
    assert (verdict.status, verdict.reason) == (ConditionStatus.FALSE, "Fits")


def test_a_window_that_does_not_fit_says_what_is_left_and_why() -> None:
    one = planned(budget_mib=20)
    verdict = window_verdict(one)
    assert (verdict.status, verdict.reason) == (ConditionStatus.TRUE, "ShrunkToBudget")
    assert "of the wanted 6h" in verdict.message
    shown = stream_status(one, None, 0.0)
    assert shown.window_wanted == "6h"
    assert shown.window_planned in verdict.message
    assert shown.bytes is None
    assert shown.summary is None


def test_a_stream_is_sized_when_the_live_limit_is_the_planned_one() -> None:
    one = planned()
    assert sized_verdict(one, one.max_bytes).status is ConditionStatus.TRUE
    assert sized_verdict(one, one.max_bytes + 1).reason == "OtherSize"
    assert sized_verdict(one, None).reason == "NoStream"


def test_a_stream_s_figures_come_from_its_state() -> None:
    one = planned()
    state = StreamState(1, 1000, 1000, 8 * MIB, first_time=1000.0, last_time=4500.0)
    shown = stream_status(one, state, 4600.0)

    assert (shown.bytes, shown.messages, shown.window_now) == (8 * MIB, 1000, "1h")
    assert (shown.window_wanted, shown.window_planned) == ("6h", "6h")
    assert shown.summary is not None
    assert shown.summary.startswith("8.0MiB/")


def test_every_reason_of_the_planner_is_a_word_kubernetes_takes() -> None:
    assert reason_word(Reason.SHRUNK_TO_BUDGET) == "ShrunkToBudget"
    assert all(reason_word(reason).isalpha() for reason in Reason)
