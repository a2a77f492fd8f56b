"""The series that docs/metrics.md promises, which a test keeps true to the services."""

import re

from support.helm import ROOT


def documented_series() -> set[str]:
    """All names, with a histogram's parts."""
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.MULTILINE)
    parts = ("_bucket", "_sum", "_count")
    histograms = {name + part for name, kind in rows if kind == "histogram" for part in parts}
    return {name for name, _ in rows} | histograms
