"""The live page in a real browser against the gateway's process and a real nats-server."""

import contextlib
import json
import signal
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest
from nats.aio.client import Client
from playwright.async_api import Browser, Page, expect

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_contracts.subjects import Kind, tenant_id
from support.gateway import SLOT, Router, declare, publish, publish_fleet
from support.gateway_process import GatewayProcess, gateway_process
from support.nats import NatsServer, connected
from support.waiting import eventually

pytest_plugins = ["support.browser"]
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

ATTACK = '<img src=x onerror="window.attacked=1"><script>window.attacked=1</script>'
TOKEN = "page-token-for-tests-0001"
NOTHING = "\N{EN DASH}"
SCREENSHOTS = Path(".bench/screenshots")


def now() -> float:
    """Seconds after the fixtures' first slot, so that the page sees events of today."""
    return time.time() - SLOT / 1000


def fleet() -> list[Router]:
    tenants = [tenant_id(name) for name in ("alpine", "north", "south")]
    return [
        Router(
            tenants[number % 3],
            number,
            down=number % 25 == 7,
            comment=ATTACK if number == 3 else "uplink",
            ssid=ATTACK if number == 3 else "Office",
        )
        for number in range(101)
    ]


@dataclass
class Site:
    nats: Client
    gateway: GatewayProcess
    routers: list[Router]
    errors: list[str]

    async def poll(self, *, facts: bool = False) -> None:
        await publish_fleet(self.nats, self.routers, now(), facts=facts)

    async def change(self, router: Router, kind: Kind, event: pb.Event) -> None:
        await publish(self.nats.jetstream(), router, {kind: event})  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely

    def watch(self, page: Page) -> None:
        """Whatever the page complains of must be expected."""
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "console",
            lambda message: self.errors.append(message.text) if message.type == "error" else None,
        )


@contextlib.asynccontextmanager
async def running_site(
    server: NatsServer, directory: Path, **settings: str
) -> AsyncGenerator[Site]:
    async with connected(server.url) as client:
        await declare(client.jetstream(), "alpine", "north", "south")  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        gateway = gateway_process(server, directory / "gateway", settings)
        gateway.start()
        try:
            site = Site(client, gateway, fleet(), [])
            await site.poll(facts=True)
            await gateway.ready()
            yield site
        finally:
            gateway.kill()


@pytest.fixture
async def site(nats_server: NatsServer, tmp_path: Path) -> AsyncGenerator[Site]:
    async with running_site(nats_server, tmp_path) as running:
        yield running


async def open_page(browser: Browser, site: Site, **context: object) -> Page:
    options = {"viewport": {"width": 1440, "height": 900}, **context}
    page = await (await browser.new_context(**options)).new_page()  # pyright: ignore[reportArgumentType] - a dict of Playwright's own options
    site.watch(page)
    await page.goto(site.gateway.url)
    return page


def row(page: Page, router: Router):  # noqa: ANN201 - a Playwright locator
    return page.locator(f'.body .row:not([hidden])[data-key="{router.tenant}/{router.name}"]')


async def search(page: Page, text: str) -> None:
    """Down to one device; waits for it, because rows are used again for others."""
    await expect(page.locator("#total-devices")).to_have_text("101")
    await page.get_by_role("searchbox").fill(text)
    await expect(page.locator("#shown")).to_have_text("1 of 101 devices")


async def test_the_table_shows_the_fleet_and_follows_it_by_itself(
    browser: Browser,
    site: Site,
) -> None:
    page = await open_page(browser, site)
    await expect(page.locator("#total-devices")).to_have_text("101")
    await expect(page.locator("#total-down")).to_have_text("4")
    await expect(page.locator("#connection")).to_have_text("Live")
    router = site.routers[5]
    await search(page, f"{router.tenant} {router.name}")
    line = row(page, router)
    await expect(line.locator(".c-device .main")).to_have_text(f"SOUTH-{router.name}")
    await expect(line.locator(".c-board")).to_have_text("wAP LTE kit")
    await expect(line.locator(".c-version")).to_contain_text("6.49.10")
    await expect(line.locator(".badge")).to_have_text("→ 6.49.18")
    await expect(line.locator(".c-rx")).to_have_text(NOTHING)
    await site.change(
        router, Kind.HEALTH,
        pb.Event(slot_unix_ms=round(time.time() * 1000), health=pb.Health(cpu_load_percent=93)),
    )  # fmt: skip
    await expect(line.locator(".c-cpu")).to_have_text("93%")
    await site.poll()
    await expect(line.locator(".c-rx")).to_contain_text("b/s")
    await site.change(
        router, Kind.STATUS,
        pb.Event(
            slot_unix_ms=round(time.time() * 1000) + 1,
            status=pb.Status(
                reachability=pb.REACHABILITY_DOWN, error_class=pb.ERROR_CLASS_TIMEOUT,
                error_message="no answer", consecutive_failures=1,
            ),
        ),
    )  # fmt: skip
    await expect(line).to_have_attribute("data-state", "down")
    await expect(line.locator(".c-device .sub")).to_contain_text("timeout")
    await expect(page.locator("#total-down")).to_have_text("5")
    assert site.errors == []


async def test_the_page_resumes_after_the_gateway_restarted(
    browser: Browser,
    site: Site,
) -> None:
    page = await open_page(browser, site)
    await expect(page.locator("#connection")).to_have_text("Live")
    await expect(page.locator("#total-devices")).to_have_text("101")
    site.gateway.kill()
    await expect(page.locator("#connection")).to_have_text("Reconnecting")
    router = site.routers[0]
    await search(page, f"{router.tenant} {router.name}")
    await site.change(
        router, Kind.HEALTH,
        pb.Event(slot_unix_ms=round(time.time() * 1000), health=pb.Health(cpu_load_percent=71)),
    )  # fmt: skip
    site.gateway.start()
    await site.gateway.ready()
    await expect(page.locator("#connection")).to_have_text("Live", timeout=20_000)
    await expect(row(page, router).locator(".c-cpu")).to_have_text("71%")


async def hear(page: Page, heard: list[str]) -> None:
    """Note the name of every event that the browser hands to the page's EventSource."""
    session = await page.context.new_cdp_session(page)

    def note(message: dict[str, str]) -> None:
        heard.append(message["eventName"])

    session.on("Network.eventSourceMessageReceived", note)
    await session.send("Network.enable")  # pyright: ignore[reportUnknownMemberType] - Playwright types its options loosely


async def test_a_silent_fleet_keeps_its_connection_and_a_dead_one_is_noticed(
    browser: Browser, nats_server: NatsServer, tmp_path: Path
) -> None:
    async with running_site(nats_server, tmp_path, HEARTBEAT_SECONDS="0.2") as site:
        page = await (await browser.new_context()).new_page()
        await page.clock.install()
        await page.goto(site.gateway.url)
        heard: list[str] = []
        await hear(page, heard)
        await expect(page.locator("#connection")).to_have_text("Live")

        async def heartbeats() -> int:
            return heard.count("heartbeat")

        # The snapshot that every connection begins with has been heard, or was sent before.
        await eventually(heartbeats, lambda now: now >= 1)
        heard.clear()
        for _ in range(4):
            before = await heartbeats()
            # The second of two was sent after the clock had gone on.
            await eventually(heartbeats, lambda now, least=before + 2: now >= least)
            await page.clock.fast_forward(50_000)
        assert set(heard) == {"heartbeat"}
        assert await site.gateway.metric("fleet_gateway_ended_clients_total") == 0
        await expect(page.locator("#connection")).to_have_text("Live")
        site.gateway.signal(signal.SIGSTOP)
        try:
            await page.clock.fast_forward(80_000)
            await expect(page.locator("#connection")).to_have_text("Reconnecting")
        finally:
            site.gateway.signal(signal.SIGCONT)
        await expect(page.locator("#connection")).to_have_text("Live")


async def test_text_of_strangers_stays_text(
    browser: Browser,
    site: Site,
) -> None:
    page = await open_page(browser, site)
    router = site.routers[3]
    await search(page, f"{router.tenant} {router.name}")
    await row(page, router).click()
    detail = page.locator("#detail")
    await expect(detail).to_contain_text(ATTACK)
    assert await detail.locator("img, script").count() == 0
    assert await page.evaluate("window.attacked") is None
    assert site.errors == []


async def test_the_detail_panel_shows_a_device_and_keys_reach_it(
    browser: Browser,
    site: Site,
) -> None:
    page = await open_page(browser, site)
    router = site.routers[6]
    await expect(page.locator("#total-devices")).to_have_text("101")
    await page.keyboard.press("/")
    await page.keyboard.type(f"{router.tenant} {router.name}")
    await expect(page.locator("#shown")).to_have_text("1 of 101 devices")
    await row(page, router).focus()
    await page.keyboard.press("Enter")
    detail = page.locator("#detail")
    await expect(detail.get_by_role("heading", level=2)).to_have_text(f"ALPINE-{router.name}")
    await site.poll()
    first = detail.locator("table").first.locator("tbody tr").first
    await expect(first).to_contain_text("sfp-sfpplus1")
    await expect(first.locator("td.number").first).to_contain_text("b/s")
    for text in ("cpu-temperature", "Office", "5180 MHz", "HF0000006", "RouterBOOT"):
        await expect(detail).to_contain_text(text)
    await page.keyboard.press("Escape")
    await expect(detail).to_be_hidden()
    await expect(row(page, router)).to_be_focused()
    assert site.errors == []


async def test_filters_and_sorting_choose_what_is_shown(
    browser: Browser,
    site: Site,
) -> None:
    page = await open_page(browser, site)
    await page.get_by_role("button", name="Down 4").click()
    await expect(page.locator("#shown")).to_have_text("4 of 101 devices")
    await expect(page.locator(".body .row:visible")).to_have_count(4)
    await page.get_by_role("button", name="Down 4").click()
    await page.get_by_role("button", name="north").click()
    await expect(page.locator("#shown")).to_have_text("34 of 101 devices")
    await page.get_by_role("button", name="CPU").click()
    await expect(page.locator('[aria-sort="descending"]')).to_have_text("CPU")
    # Devices without a load stand last in both directions.
    await page.wait_for_function(
        """() => {
          const rows = [...document.querySelectorAll(".body .row:not([hidden])")]
            .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex);
          const loads = rows.map((r) => parseInt(r.querySelector(".c-cpu .value").textContent, 10))
            .map((load) => Number.isNaN(load) ? -1 : load);
          return loads.length > 20 && loads.every((load, n) => !n || loads[n - 1] >= load);
        }""",
        timeout=15_000,
    )


async def test_logging_in_out_and_a_bad_token(
    browser: Browser,
    nats_server: NatsServer,
    tmp_path: Path,
) -> None:
    tokens = tmp_path / "tokens.json"
    entry = {"name": "north-noc", "token": TOKEN, "tenants": ["north"]}
    tokens.write_text(json.dumps({"tokens": [entry]}), encoding="utf-8")
    settings = {"AUTH__MODE": "token", "AUTH__TOKENS_FILE": str(tokens)}
    async with running_site(nats_server, tmp_path, **settings) as site:
        page = await open_page(browser, site)
        await page.get_by_label("Token").fill("not-a-token-of-anyone")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("alert")).to_have_text("This token is not known here.")
        await page.get_by_label("Token").fill(TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.locator("#visitor-name")).to_have_text("north-noc")
        await expect(page.locator("#total-devices")).to_have_text("34")
        assert await page.evaluate("document.cookie") == ""
        site.gateway.kill()
        await expect(page.locator("#connection")).to_have_text("Reconnecting")
        site.gateway.start()
        await site.gateway.ready()
        await expect(page.locator("#connection")).to_have_text("Live", timeout=20_000)
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("heading", name="Log in to RouterFleet")).to_be_visible()
        await expect(page.locator("#total-devices")).to_have_text("0")


async def test_rates_survive_counter_resets_and_missing_values(
    browser: Browser,
    site: Site,
) -> None:
    page = await open_page(browser, site)
    rates = await page.evaluate(
        """async () => {
          const { Device } = await import("./model.js");
          const device = new Device("t", "d");
          const seen = [];
          const read = (seconds, ...totals) => {
            device.apply({
              kind: "interfaces", slot_unix_ms: seconds * 1000, observed_unix_ms: seconds * 1000,
              interfaces: { interfaces: totals.map((rx, id) => rx === null ? { id } : {
                id, rx_bytes_total: rx, tx_bytes_total: 2 * rx }) },
            });
            seen.push([device.rxRate, device.txRate]);
          };
          read(0, 1000, 500);
          read(10, 2000, 500);     // 100/s and nothing
          read(20, 50, 1500);      // the first began anew: only the second counts
          read(30, 150, null);     // the second is not given
          read(40, 250, 700);      // the second has nothing to compare with
          read(40, 250, 700);      // the same slot again changes nothing
          read(35, 9999, 9999);    // an older one neither
          return seen;
        }"""
    )
    assert rates == [
        [None, None], [100, 200], [100, 200], [10, 20], [10, 20], [10, 20], [10, 20],
    ]  # fmt: skip


async def test_events_are_counted_in_little_space_however_many_come_unseen(
    browser: Browser,
    site: Site,
) -> None:
    page = await open_page(browser, site)
    seen = await page.evaluate(
        """async () => {
          const { Fleet } = await import("./model.js");
          const fleet = new Fleet();
          const event = { kind: "health", tenant: "t", device: "d", slot_unix_ms: 1,
            observed_unix_ms: 1, health: {} };
          // 200 a second for 5000 s, as long as a hidden tab draws nothing.
          for (let n = 0; n < 1_000_000; n += 1) fleet.live(event, 1_000_000 + 5 * n);
          const end = 1_000_000 + 5 * 1_000_000;
          return {
            kept: JSON.stringify(fleet.arrivals).length,
            steady: fleet.eventsPerSecond(end - 1),
            fading: fleet.eventsPerSecond(end + 5000),
            later: fleet.eventsPerSecond(end + 60_000),
            setBack: fleet.eventsPerSecond(end - 60_000),
          };
        }"""
    )
    assert seen["kept"] < 1000
    assert seen["steady"] == pytest.approx(200, rel=0.01)
    assert 50 < seen["fading"] < 150
    assert (seen["later"], seen["setBack"]) == (0, 0)


async def test_five_thousand_devices_scroll_and_sort_within_reason(
    browser: Browser,
    site: Site,
) -> None:
    """Feeds the page's own model and table, as the stream would; the broker's part is elsewhere."""
    page = await open_page(browser, site)
    taken = await page.evaluate(
        """async () => {
          const { Fleet } = await import("./model.js");
          const { Table } = await import("./table.js");
          const fleet = new Fleet();
          for (let n = 0; n < 5000; n += 1) {
            fleet.snapshot({ tenant: "t", device: `d-${n}`, events: {
              status: { kind: "status", tenant: "t", device: `d-${n}`, slot_unix_ms: Date.now(),
                observed_unix_ms: Date.now(), status: { reachability: "up" } },
              health: { kind: "health", tenant: "t", device: `d-${n}`, slot_unix_ms: Date.now(),
                observed_unix_ms: Date.now(), health: { cpu_load_percent: n % 100 } } } });
          }
          const head = document.createElement("div");
          const wrap = document.createElement("div");
          const body = document.createElement("div");
          body.className = "body";
          body.style.height = "600px";
          wrap.append(head);
          const outer = document.createElement("div");
          outer.append(wrap, body);
          document.body.append(outer);
          const table = new Table(head, body, null, () => {});
          const start = performance.now();
          table.setDevices([...fleet.devices.values()], Date.now());
          const sorted = performance.now() - start;
          const rows = body.querySelectorAll(".row").length;
          body.scrollTop = 100000;
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          const shown = [...body.querySelectorAll(".row:not([hidden])")].map((r) => r.ariaRowIndex);
          return { sorted, rows, shown: Math.min(...shown.map(Number)) };
        }"""
    )
    assert taken["rows"] < 60
    assert 2000 < taken["shown"] < 2100
    assert taken["sorted"] < 2000, taken


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_screenshots_of_the_running_page(
    browser: Browser,
    site: Site,
    scheme: str,
) -> None:
    page = await open_page(browser, site, color_scheme=scheme)
    await expect(page.locator("#total-devices")).to_have_text("101")
    for _ in range(3):
        await site.poll()
        await page.wait_for_timeout(1100)
    await page.screenshot(path=SCREENSHOTS / f"page-{scheme}.png")
    background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(244, 246, 248)" if scheme == "light" else "rgb(13, 19, 24)")
    await page.set_viewport_size({"width": 420, "height": 860})
    await page.screenshot(path=SCREENSHOTS / f"page-{scheme}-narrow.png")
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 420, f"the page is {width} px wide on a screen of 420"


async def test_a_narrow_row_names_its_tenant_because_others_have_devices_of_that_name(
    browser: Browser, site: Site
) -> None:
    page = await open_page(browser, site)
    router = site.routers[5]
    await search(page, f"{router.tenant} {router.name}")
    line = row(page, router)
    await expect(line.locator(".c-tenant")).to_be_visible()
    await expect(line.locator(".place")).to_be_hidden()
    await page.set_viewport_size({"width": 390, "height": 844})
    await expect(line.locator(".c-tenant")).to_be_hidden()
    await expect(line.locator(".place")).to_be_visible()
    await expect(line.locator(".place")).to_have_text(router.tenant)


async def test_a_focused_row_that_a_filter_hides_gives_focus_to_the_first(
    browser: Browser, site: Site
) -> None:
    page = await open_page(browser, site)
    await expect(page.locator("#total-devices")).to_have_text("101")
    await page.locator('.body .row[tabindex="0"]').focus()
    for _ in range(6):
        await page.keyboard.press("ArrowDown")
    await expect(page.locator('.body .row[aria-rowindex="8"]')).to_be_focused()
    await page.evaluate(
        """() => {
          const box = document.getElementById("search");
          box.value = "south tower-014";
          box.dispatchEvent(new Event("input"));
        }"""
    )
    await expect(page.locator("#shown")).to_have_text("1 of 101 devices")
    await expect(row(page, site.routers[14])).to_be_focused()
    assert site.errors == []
