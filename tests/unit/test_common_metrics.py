import pytest
from prometheus_client import generate_latest

from fleet_common.metrics import MetricRow, MetricSet


def test_the_table_follows_what_was_made() -> None:
    metrics = MetricSet()
    metrics.counter("fleet_x_polls_total", "Polls.", ["outcome"]).labels("ok").inc(2)
    metrics.gauge("fleet_x_lag_seconds", "Lag.").set(1.5)
    metrics.histogram("fleet_x_poll_duration_seconds", "Time.").observe(0.02)
    assert metrics.table == [
        MetricRow("fleet_x_polls_total", "counter", ("outcome",), "Polls."),
        MetricRow("fleet_x_lag_seconds", "gauge", (), "Lag."),
        MetricRow("fleet_x_poll_duration_seconds", "histogram", (), "Time."),
    ]
    text = generate_latest(metrics.registry).decode()
    assert 'fleet_x_polls_total{outcome="ok"} 2.0' in text
    assert "fleet_x_lag_seconds 1.5" in text
    assert 'fleet_x_poll_duration_seconds_bucket{le="0.025"} 1.0' in text


def test_two_sets_do_not_share_a_registry() -> None:
    one, other = MetricSet(), MetricSet()
    one.gauge("fleet_x_lag_seconds", "Lag.")
    other.gauge("fleet_x_lag_seconds", "Lag.")
    assert one.registry is not other.registry


def test_a_name_is_taken_once() -> None:
    metrics = MetricSet()
    metrics.gauge("fleet_x_lag_seconds", "Lag.")
    with pytest.raises(ValueError, match="Duplicated"):
        metrics.gauge("fleet_x_lag_seconds", "Lag.")
