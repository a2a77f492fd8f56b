"""`make bench`: run the benchmarks, print a table, write .bench/results.json.

Each part is a module with `run(runs: int) -> dict[str, float]` that gives the median of
at least five runs for each key. A part that fails fails the command; the figures of the other
parts are still written.
"""

import argparse
import importlib
import json
import platform
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import cast

from bench.figures import figure

PARTS = ("contracts", "simulator", "poller", "device_metrics", "writer", "gateway", "scale")
RESULTS = Path(".bench/results.json")
MINIMUM_RUNS = 5


def main() -> int:
    """Run the chosen parts; 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part only")
    parser.add_argument("--runs", type=int, default=MINIMUM_RUNS, help="runs per figure")
    arguments = parser.parse_args()
    results = _earlier() if arguments.only else {}
    failed: list[str] = []
    for part in arguments.only or PARTS:
        print(f"{part}: measuring …", file=sys.stderr, flush=True)
        started = time.monotonic()
        try:
            module = importlib.import_module(f"bench.{part}")
            run = cast("Callable[[int], dict[str, float]]", module.run)
            results |= run(max(MINIMUM_RUNS, arguments.runs))
        except Exception:  # noqa: BLE001 - one part must not take the others' figures along
            traceback.print_exc()
            failed.append(part)
        print(f"{part}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    _print_table(results)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _earlier() -> dict[str, float]:
    if not RESULTS.exists():
        return {}
    return cast("dict[str, float]", json.loads(RESULTS.read_text(encoding="utf-8")))


def _print_table(results: dict[str, float]) -> None:
    print(f"\nPython {platform.python_version()}, {platform.machine()}; medians\n")
    print(f"{'figure':<36}{'value':>12} {'unit':<8}{'target':>12}  ")
    for key, value in sorted(results.items()):
        entry = figure(key)
        unit = entry.unit if entry else ""
        goal, verdict = "", ""
        if entry and entry.target is not None:
            sign = ">=" if entry.better == "more" else "<="
            goal = f"{sign} {entry.target:,.10g}"
            verdict = "met" if entry.met(value) else "MISSED"
        print(f"{key:<36}{value:>12,.4g} {unit:<8}{goal:>12}  {verdict}")
    print(f"\nwritten to {RESULTS}")


if __name__ == "__main__":
    sys.exit(main())
