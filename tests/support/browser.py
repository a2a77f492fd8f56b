"""A headless Chromium: Debian's, the user's own, or none and then a skip that says so."""

from collections.abc import AsyncGenerator

import pytest
from playwright.async_api import Browser, async_playwright, expect

from support.chromium import FLAGS, MISSING, find_chromium


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """A browser with a profile of its own; skips by name where there is none."""
    executable = find_chromium()
    if executable is None:
        pytest.skip(MISSING)
    expect.set_options(timeout=15_000)  # the machine may be busy with other tests
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, args=list(FLAGS), timeout=30_000
        )
        yield browser
        await browser.close()
