"""Where a Chromium is, and how it is started without a desktop."""

import os
import shutil
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING = (
    "no Chromium found: install one (apt-get install chromium) or name it in PLAYWRIGHT_CHROMIUM"
)


def find_chromium() -> str | None:
    """PLAYWRIGHT_CHROMIUM, a browser on the PATH, or one that Playwright downloaded."""
    named = os.environ.get("PLAYWRIGHT_CHROMIUM")  # noqa: TID251 - the developer's own setting
    if named:
        return named
    for name in _NAMES:
        path = shutil.which(name)
        if path:
            return path
    cache = Path.home() / ".cache" / "ms-playwright"
    found = sorted(cache.glob("chromium-*/chrome-linux*/chrome"))
    return str(found[-1]) if found else None
