"""What an alert goes by is there before it counts anything."""

import pytest

from fleet_operator.metrics import OperatorMetrics


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("fleet_operator_reconciles_total", {"outcome": "done"}),
        ("fleet_operator_reconciles_total", {"outcome": "failed"}),
        ("fleet_operator_failures_total", {"party": "kubernetes"}),
        ("fleet_operator_failures_total", {"party": "broker"}),
    ],
)
def test_a_counter_begins_at_nought(name: str, labels: dict[str, str]) -> None:
    assert OperatorMetrics().registry.get_sample_value(name, labels) == 0
