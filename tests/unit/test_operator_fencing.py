"""Which pods may poll: those must be seen to end before their devices are given away."""

from typing import Any

import pytest

from fleet_operator.fencing import may_poll

RUNNING = {"running": {"startedAt": "2026-03-01T10:00:05Z"}}


def pod(state: dict[str, Any], ready: str, since: str) -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": since}
    return {"status": {"containerStatuses": [{"state": state}], "conditions": [condition]}}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (pod(RUNNING, "True", "2026-03-01T10:00:07Z"), True),
        (pod(RUNNING, "False", "2026-03-01T10:20:00Z"), True),
        (pod(RUNNING, "False", "2026-03-01T10:00:02Z"), False),
        (pod(RUNNING, "False", "2026-03-01T10:00:05Z"), False),
        (pod({"waiting": {}}, "False", "2026-03-01T10:00:02Z"), False),
        (pod({"terminated": {}}, "False", "2026-03-01T10:00:02Z"), False),
        ({"status": {"containerStatuses": [{"state": RUNNING}]}}, True),
        ({"status": {"phase": "Running"}}, True),
        ({"status": {"phase": "Pending"}}, False),
        ({}, True),
    ],
    ids=[
        "ready", "was ready, hangs", "starts", "starts after a crash", "waits", "ended",
        "nobody says whether ready", "no containers said", "pending", "nothing said",
    ],
)  # fmt: skip
def test_a_pod_may_poll_once_it_was_ready(document: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a test's parameter
    assert may_poll(document) is expected
