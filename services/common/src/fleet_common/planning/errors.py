"""Why there is no plan. All are ConfigurationErrors: say so, keep what runs, wait for a change.

ConfigurationError
└── PlanningError
    ├── BudgetTooSmallError     less than the floors of the fleets' streams
    ├── UnlimitedAccountError   the broker sets no limit and nobody gave a budget
    ├── ServerTooOldError       the broker lacks what RouterFleet uses
    └── SubjectsTakenError      someone else's stream stands on our subjects
"""

from fleet_common.errors import ConfigurationError


class PlanningError(ConfigurationError):
    """No plan is possible; the message names the figures."""


class BudgetTooSmallError(PlanningError):
    """The budget is below the sum of the floors."""


class UnlimitedAccountError(PlanningError):
    """A storage type has neither a limit nor a budget."""


class ServerTooOldError(PlanningError):
    """The broker's version is below what is needed."""


class SubjectsTakenError(PlanningError):
    """Another stream stores the same subjects."""
