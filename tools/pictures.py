"""Make the README's pictures: run the demo, look at its page with a real browser.

    make pictures

Needs a Chromium (PLAYWRIGHT_CHROMIUM, chromium or google-chrome). Writes docs/images/.
"""

import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from playwright.sync_api import Page, sync_playwright

from support.chromium import FLAGS, MISSING, find_chromium

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs/images"
START_DEADLINE_SECONDS = 120
STOP_DEADLINE_SECONDS = 60
# Long enough for the rates and sparklines of ten-second polls to show a curve.
WATCH_MILLISECONDS = 60_000
DEVICE_ROW = "#body [role=row]"


def wait_for_address(output: IO[str]) -> str:
    """The page's address from the demo's own output, echoed for whoever waits."""
    for line in output:
        print(line, end="", flush=True)
        if match := re.search(r"live page\s+(http://\S+)", line):
            return match[1]
    raise SystemExit("the demo ended before it named its page")


def take(page: Page, name: str) -> None:
    """One picture."""
    path = OUT / f"{name}.png"
    page.screenshot(path=path)
    print(f"wrote {path.relative_to(ROOT)}")


def picture_the_page(address: str, chromium: str) -> None:
    """The fleet, a device's detail, and both again on a dark desktop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        for scheme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": 1440, "height": 900},
                color_scheme=scheme,
                device_scale_factor=1,
            )
            page = context.new_page()
            page.goto(address)
            page.wait_for_selector(DEVICE_ROW, timeout=30_000)
            page.wait_for_timeout(WATCH_MILLISECONDS if scheme == "light" else 25_000)
            take(page, f"fleet-{scheme}")
            page.locator(DEVICE_ROW).nth(2).click()
            page.wait_for_timeout(12_000)
            take(page, f"device-{scheme}")
            context.close()
        browser.close()


def main() -> None:
    """Run the demo in a folder of its own for as long as the pictures take."""
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit(MISSING)
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        demo = subprocess.Popen(
            [str(Path(sys.executable).parent / "routerfleet"), "demo", "--data-dir", folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        watchdog = threading.Timer(START_DEADLINE_SECONDS, demo.kill)
        watchdog.start()
        try:
            if demo.stdout is None:
                raise SystemExit("the demo has no output to read")
            address = wait_for_address(demo.stdout)
            watchdog.cancel()
            drain = threading.Thread(target=demo.stdout.read, daemon=True)
            drain.start()
            picture_the_page(address, chromium)
        finally:
            watchdog.cancel()
            demo.send_signal(signal.SIGINT)
            demo.wait(STOP_DEADLINE_SECONDS)


if __name__ == "__main__":
    main()
