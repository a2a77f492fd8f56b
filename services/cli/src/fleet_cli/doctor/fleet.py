"""Checks of a fleet file."""

from pathlib import Path

from fleet_cli.doctor.result import Result, fail, ok, warn
from fleet_cli.fleets import active_devices, missing_secrets
from fleet_cli.words import counted
from fleet_common.errors import ConfigurationError
from fleet_common.fleet_spec import load_fleet_file
from fleet_common.planning import PlanningError, plan
from fleet_common.units import format_duration, format_size


def check_fleet(file: Path, credentials: Path, budget_bytes: int) -> list[Result]:
    """Valid, with all secrets, and what its streams would need."""
    try:
        fleets = load_fleet_file(file)
    except ConfigurationError as error:
        what = str(error).removeprefix("fleet file ")
        return [fail("fleet file", what, "correct what is named, or give another file")]
    devices = counted(len(active_devices(fleets)), "device")
    results = [ok("fleet file", f"{counted(len(fleets), 'fleet')}, {devices} to poll")]
    missing = missing_secrets(fleets, credentials)
    results += [
        fail("secrets", line, "create it, readable by you alone (chmod 600)") for line in missing
    ]
    if not missing:
        results.append(ok("secrets", f"all there, in {credentials}"))
    try:
        plans = plan(fleets, budget_bytes)
    except PlanningError as error:
        return [*results, fail("streams", str(error), "give a larger --budget to the demo")]
    for one in plans:
        title = f"stream of {one.tenant}"
        window = format_duration(one.resulting_window_seconds)
        seen = f"{format_size(one.max_bytes)} hold the last {window}"
        if one.shortened:
            wanted = format_duration(one.wanted_window_seconds)
            advice = f"{wanted} were wanted and need {format_size(one.wanted_bytes)}: --budget"
            results.append(warn(title, seen, advice))
        else:
            results.append(ok(title, seen))
    return results
