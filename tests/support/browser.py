"""A headless Chromium: Debian's, the user's own, or none and then a skip that says so."""

import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str | None:
    """PLAYWRIGHT_CHROMIUM, a browser on the PATH, or one that Playwright downloaded."""
    named = os.environ.get("PLAYWRIGHT_CHROMIUM")  # noqa: TID251 - a test's own setting
    if named:
        return named
    for name in _NAMES:
        path = shutil.which(name)
        if path:
            return path
    cache = Path.home() / ".cache" / "ms-playwright"
    found = sorted(cache.glob("chromium-*/chrome-linux*/chrome"))
    return str(found[-1]) if found else None


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """A browser with a profile of its own; skips by name where there is none."""
    executable = find_chromium()
    if executable is None:
        pytest.skip(
            "no Chromium found: install one (apt-get install chromium) or name it in "
            "PLAYWRIGHT_CHROMIUM"
        )
    expect.set_options(timeout=15_000)  # the machine may be busy with other tests
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, args=list(_ARGUMENTS), timeout=30_000
        )
        yield browser
        await browser.close()
