"""The errors services share, and how each is met.

    FleetError
    ├── ConfigurationError   a setting or file is wrong: say which, refuse to start
    ├── TransientError       another party is away: wait, back off, try again
    └── PermanentError       this input will never work: set it aside, count it, go on

Anything else is a bug: let it end the process and its supervisor start it anew.
"""


class FleetError(Exception):
    """Root of all expected errors."""


class ConfigurationError(FleetError):
    """A setting, file or flag that cannot work; the message names field, value and what may be."""


class TransientError(FleetError):
    """Something outside is not there now; the same call may work later."""


class PermanentError(FleetError):
    """The input itself is wrong; the same call will fail again."""
