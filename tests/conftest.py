"""Fixtures every test may use; each lives in tests/support with its own docstring."""

pytest_plugins = [
    "support.nats",
    "support.simulator",
    "support.postgres",
    "support.writer_fleet",
    "support.operator_cluster",
]
