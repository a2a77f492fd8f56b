"""Fixtures every test may use; each lives in tests/support with its own docstring."""

from hypothesis import settings

# How long an example takes says how busy the machine is, nothing about the property.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")

pytest_plugins = [
    "support.nats",
    "support.simulator",
    "support.upgrade_host",
    "support.postgres",
    "support.writer_fleet",
    "support.operator_cluster",
]
