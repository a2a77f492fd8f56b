"""Writing generated pages, and checking that a committed one is current."""

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path


def write_page(page: Path, text: str) -> None:
    """Write the page and say so."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    print(f"generated {page.name}")


def page_command(page: Path, render: Callable[[], str]) -> None:
    """Write the page, or with `--check` exit with 1 and the difference when it is not current."""
    parser = argparse.ArgumentParser(description=f"make {page.name}")
    parser.add_argument("--check", action="store_true", help="only compare")
    if not parser.parse_args().check:
        write_page(page, render())
        return
    committed = page.read_text(encoding="utf-8") if page.is_file() else ""
    difference = list(
        difflib.unified_diff(
            committed.splitlines(), render().splitlines(), "committed", "made now", n=0, lineterm=""
        )
    )
    if difference:
        print("\n".join(difference))
        sys.exit(1)
