"""`make chaos`: strike, check, and print one JSON object as the last line."""

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from chaos.disk import Disk
from chaos.options import Options, parse
from chaos.plan import COMPONENTS
from chaos.run import Outcome, Run
from chaos.site import site


def main() -> int:
    """0 when nothing was lost, doubled or leaked, and everything recovered."""
    options = parse()
    if options.folder is not None:
        options.folder.mkdir(parents=True)
        return asyncio.run(_run_all(options, options.folder.absolute()))
    with tempfile.TemporaryDirectory(prefix="routerfleet-chaos-") as path:
        Path(path).chmod(0o711)
        return asyncio.run(_run_all(options, Path(path)))


async def _run_all(options: Options, path: Path) -> int:
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {line}", flush=True)

    outcomes: list[Outcome] = []
    async with site(options, path) as made:
        if isinstance(made.disk, str):
            say(f"the full disk is left out: {made.disk}")
        for number in range(options.runs):
            say(f"run {number + 1} of {options.runs}, seed {options.seed}")
            run = Run(options, made, number, say)
            outcomes.append(run.outcome)
            try:
                await run.go()
            except AssertionError as error:
                run.outcome.leaks.append(str(error))
            outcome = run.outcome
            for line in (*outcome.problems, *outcome.leaks):
                say(f"PROBLEM {line}")
        disk = "filled" if isinstance(made.disk, Disk) else made.disk
    result = _result(options, outcomes) | {
        "disk": disk,
        "seconds": round(time.monotonic() - began, 1),
    }
    text = json.dumps(result)
    if options.json_file is not None:
        options.json_file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(text, flush=True)
    return 0 if result["ok"] else 1


def _result(options: Options, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    by_component = _sum(one.kills for one in outcomes)
    leaks = [line for one in outcomes for line in one.leaks]
    problems = [line for one in outcomes for line in one.problems]
    lost = sum(one.lost for one in outcomes)
    duplicates = sum(one.duplicates for one in outcomes)
    recoveries = [one.slowest_recovery for one in outcomes]
    return {
        "ok": not (lost or duplicates or leaks or problems),
        "kills": sum(by_component.values()),
        "lost": lost,
        "duplicates": duplicates,
        "leaks": len(leaks),
        "kills_by_component": {name: by_component[name] for name in COMPONENTS},
        "kills_asked": options.kills,
        "restarts_by_component": dict(_sum(one.restarts for one in outcomes)),
        "disturbances": dict(_sum(one.disturbances for one in outcomes)),
        "slowest_recovery_seconds": {
            name: max(one.get(name, 0.0) for one in recoveries) for name in COMPONENTS
        },
        "runs_verified": sum(one.verified for one in outcomes),
        "events": sum(one.events for one in outcomes),
        "sse_events": sum(one.sse_events for one in outcomes),
        "sse_connects": sum(one.sse_connects for one in outcomes),
        "sse_resets": sum(one.sse_resets for one in outcomes),
        "sse_told": sum(one.sse_told for one in outcomes),
        "leaked": leaks,
        "problems": problems,
        "runs": options.runs,
        "seed": options.seed,
        "devices": options.devices,
        "tenants": options.tenants,
    }


def _sum(counters: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counters:
        total.update(one)
    return total


if __name__ == "__main__":
    sys.exit(main())
