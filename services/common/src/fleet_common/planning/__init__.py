"""How large each tenant's stream must be: a pure function of fleet, measurements, budget.

`plan_streams` is the whole planner; `plan` the same for streams that are not there yet.
"""

from fleet_common.planning.budget import (
    AccountLimits,
    Reservation,
    ServerBudget,
    StreamBudget,
    account_budget,
    bucket_reservations,
    server_memory_needed,
    single_budget,
)
from fleet_common.planning.checks import (
    MINIMUM_SERVER,
    ExistingStream,
    Overlap,
    check_server_version,
    check_subjects,
    find_overlaps,
    subjects_overlap,
)
from fleet_common.planning.demand import (
    Implausible,
    Sizes,
    bytes_per_second,
    cadence_seconds,
    messages_per_second,
    plausible_sizes,
)
from fleet_common.planning.errors import (
    BudgetTooSmallError,
    PlanningError,
    ServerTooOldError,
    SubjectsTakenError,
    UnlimitedAccountError,
)
from fleet_common.planning.model import (
    DEAD_BAND,
    FLOOR_BYTES,
    HEADROOM,
    Condition,
    ConditionType,
    PlanRequest,
    Reason,
    StreamPlan,
    UnstoredLoss,
)
from fleet_common.planning.planner import plan, plan_streams
from fleet_common.planning.stream_state import (
    StreamState,
    TrimEstimate,
    estimate_trim,
    seconds_until_loss,
)

__all__ = [
    "DEAD_BAND",
    "FLOOR_BYTES",
    "HEADROOM",
    "MINIMUM_SERVER",
    "AccountLimits",
    "BudgetTooSmallError",
    "Condition",
    "ConditionType",
    "ExistingStream",
    "Implausible",
    "Overlap",
    "PlanRequest",
    "PlanningError",
    "Reason",
    "Reservation",
    "ServerBudget",
    "ServerTooOldError",
    "Sizes",
    "StreamBudget",
    "StreamPlan",
    "StreamState",
    "SubjectsTakenError",
    "TrimEstimate",
    "UnlimitedAccountError",
    "UnstoredLoss",
    "account_budget",
    "bucket_reservations",
    "bytes_per_second",
    "cadence_seconds",
    "check_server_version",
    "check_subjects",
    "estimate_trim",
    "find_overlaps",
    "messages_per_second",
    "plan",
    "plan_streams",
    "plausible_sizes",
    "seconds_until_loss",
    "server_memory_needed",
    "single_budget",
    "subjects_overlap",
]
