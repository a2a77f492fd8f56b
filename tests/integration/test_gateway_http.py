"""REST, errors, tokens, cookies and headers of the gateway's process."""

import hashlib
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from fleet_contracts.subjects import Kind, tenant_id
from support.gateway import Router, declare, publish
from support.gateway_process import GatewayProcess, gateway_process, running_gateway
from support.nats import NatsServer
from support.sse import sse
from support.waiting import eventually

NORTH_TOKEN = "north-token-for-tests-0001"
NOC_TOKEN = "noc-token-for-tests-000002"
OLD_TOKEN = "old-token-for-tests-000003"


@dataclass
class Gate:
    """A running gateway with tokens, its file of tokens, and a client without a cookie jar."""

    process: GatewayProcess
    js: JetStreamContext
    tokens: Path
    http: httpx.AsyncClient

    async def get(self, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await self.http.get(path, headers=headers)

    async def log_in(self, token: str) -> httpx.Response:
        return await self.http.post("/api/v1/session", json={"token": token})


def write_tokens(path: Path, *entries: dict[str, object]) -> None:
    # Written whole and moved into place, as a mounted secret is.
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"tokens": entries}), encoding="utf-8")
    fresh.replace(path)


def north_entry() -> dict[str, object]:
    return {"name": "north-noc", "token": NORTH_TOKEN, "tenants": ["north"]}


@pytest.fixture
async def gate(
    nats_server: NatsServer, nats_client: Client, tmp_path: Path
) -> AsyncGenerator[Gate]:
    js = nats_client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    await declare(js, "north", "south")
    for tenant in ("north", "south"):
        for number in range(2):
            router = Router(tenant_id(tenant), number)
            await publish(js, router, {**router.facts(), **router.poll(0)})
    tokens = tmp_path / "tokens.json"
    write_tokens(
        tokens,
        north_entry(),
        {
            "name": "noc", "sha256": hashlib.sha256(NOC_TOKEN.encode()).hexdigest(),
            "tenants": ["*"],
        },
        {
            "name": "old", "token": OLD_TOKEN, "tenants": ["*"],
            "expires": "2020-01-01T00:00:00Z",
        },
    )  # fmt: skip
    settings = {"AUTH__MODE": "token", "AUTH__TOKENS_FILE": str(tokens)}
    async with (
        running_gateway(nats_server, tmp_path / "gateway", **settings) as process,
        httpx.AsyncClient(
            base_url=process.url,
            timeout=10,
            # Shorter than the server's own: no request meets a connection that is closing.
            limits=httpx.Limits(keepalive_expiry=1),
        ) as http,
    ):
        yield Gate(process, js, tokens, http)


def error(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) <= {"code", "message", "field", "allowed"}
    assert body["error"]["message"]
    return answer.status_code, body["error"]["code"]


async def test_without_a_good_token_the_answer_says_what_to_do(gate: Gate) -> None:
    for path in ("/api/v1/events", "/api/v1/devices", "/api/v1/tenants", "/api/v1/session"):
        answer = await gate.get(path)
        assert error(answer) == (401, "unauthorized")
        assert "Authorization: Bearer" in answer.json()["error"]["message"]
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert error(await gate.get("/api/v1/events", "wrong-token-of-some-length")) == (
        401, "bad_token",
    )  # fmt: skip
    assert error(await gate.get("/api/v1/devices", OLD_TOKEN)) == (401, "token_expired")
    log = gate.process.log_text()
    for secret in (NORTH_TOKEN, NOC_TOKEN, OLD_TOKEN, "wrong-token"):
        assert secret not in log


async def test_a_token_is_bound_to_its_tenants(gate: Gate) -> None:
    for path in (
        "/api/v1/events?tenant=south",
        "/api/v1/devices?tenant=north&tenant=south",
        "/api/v1/devices/south/edge-000",
    ):
        answer = await gate.get(path, NORTH_TOKEN)
        assert error(answer) == (403, "forbidden_tenant")
        assert answer.json()["error"]["allowed"] == ["north"]
    body = (await gate.get("/api/v1/tenants", NORTH_TOKEN)).json()
    assert [tenant["tenant"] for tenant in body["tenants"]] == ["north"]
    body = (await gate.get("/api/v1/devices", NORTH_TOKEN)).json()
    assert {device["tenant"] for device in body["devices"]} == {"north"}
    async with sse(gate.process.url, token=NORTH_TOKEN) as client:
        end = (await client.until("snapshot-end"))[-1]
        assert end.data["tenants"] == ["north"]
        south = Router(tenant_id("south"), 0)
        north = Router(tenant_id("north"), 0)
        await publish(gate.js, south, south.poll(5))
        await publish(gate.js, north, {Kind.STATUS: north.poll(5)[Kind.STATUS]})
        assert (await client.events(1))[0].data["tenant"] == "north"


async def test_unknown_values_name_field_value_and_what_is_allowed(gate: Gate) -> None:
    cases = {
        "?kind=statuss": ("kind", "status"),
        "?tenant=norht": ("tenant", "north"),
        "?tenant=No_Label": ("tenant", "north"),
        "?device=edge-00": ("device", "edge-000"),
        "?coalesce=250": ("coalesce", "50ms to 10s, as in 250ms or 2s"),
        "?coalesce=1ms": ("coalesce", "50ms to 10s, as in 250ms or 2s"),
        "?color=red": ("color", "tenant"),
    }
    for query, (field, allowed) in cases.items():
        answer = await gate.get(f"/api/v1/events{query}", NOC_TOKEN)
        assert answer.status_code == 400, query
        body = answer.json()["error"]
        assert body["field"] == field
        assert allowed in body["allowed"]
        assert query.partition("=")[2] in body["message"] or field in body["message"]
    assert error(await gate.get("/api/v1/devices?limit=0", NOC_TOKEN)) == (400, "bad_value")
    assert error(await gate.get("/api/v1/devices?after=x", NOC_TOKEN)) == (400, "bad_value")
    assert error(await gate.get("/api/v1/devices/north/edge-999", NOC_TOKEN)) == (
        404, "unknown_device",
    )  # fmt: skip
    assert error(await gate.get("/api/v1/devices/west/edge-999", NOC_TOKEN)) == (
        404, "unknown_tenant",
    )  # fmt: skip
    assert error(await gate.get("/api/v2/devices", NOC_TOKEN)) == (404, "not_found")
    assert error(await gate.http.put("/api/v1/devices")) == (405, "method_not_allowed")
    answer = await gate.http.post("/api/v1/events")
    assert error(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


async def test_devices_are_listed_in_pages_and_one_by_one(gate: Gate) -> None:
    path = "/api/v1/devices?limit=3&kind=status"
    first = (await gate.get(path, NOC_TOKEN)).json()
    names = [(device["tenant"], device["device"]) for device in first["devices"]]
    assert names == [("north", "core-001"), ("north", "edge-000"), ("south", "core-001")]
    assert first["next"] == "south/core-001"
    rest = (await gate.get(f"{path}&after={first['next']}", NOC_TOKEN)).json()
    assert [device["device"] for device in rest["devices"]] == ["edge-000"]
    assert rest["next"] is None
    assert set(rest["devices"][0]["events"]) == {"status"}
    one = (await gate.get("/api/v1/devices/south/edge-000", NOC_TOKEN)).json()
    assert one["events"]["inventory"]["inventory"]["identity"] == "SOUTH-edge-000"


async def test_a_session_cookie_stands_in_for_the_token(gate: Gate) -> None:
    answer = await gate.log_in(NORTH_TOKEN)
    assert answer.status_code == 200
    assert answer.json()["tenants"] == ["north"]
    cookie = answer.headers["set-cookie"]
    for attribute in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=3600"):
        assert attribute in cookie
    assert NORTH_TOKEN not in cookie
    session = (await gate.get("/api/v1/session")).json()
    assert session["name"] == "north-noc"
    assert 3500 < session["session_expires_unix"] - time.time() <= 3600
    assert error(await gate.get("/api/v1/events?tenant=south")) == (403, "forbidden_tenant")
    answer = await gate.http.delete("/api/v1/session")
    assert answer.status_code == 204
    assert error(await gate.get("/api/v1/session")) == (401, "unauthorized")


async def test_a_forged_or_altered_cookie_is_refused(gate: Gate) -> None:
    await gate.log_in(NORTH_TOKEN)
    value = gate.http.cookies["routerfleet_session"]
    name, expiry, signature = value.split(".")
    gate.http.cookies.clear()
    for forged in (
        f"{name}.{int(expiry) + 9}.{signature}",
        f"bm9j.{expiry}.{signature}",
        f"{name}.{expiry}.{'A' * len(signature)}",
        f"{name}.{'1' * 5000}.{signature}",
        "x.y.z",
        "",
    ):
        answer = await gate.get("/api/v1/session", Cookie=f"routerfleet_session={forged}")
        assert answer.status_code == 401, forged


async def test_a_token_that_no_text_can_be_is_not_known(gate: Gate) -> None:
    answer = await gate.http.post(
        "/api/v1/session",
        content=rb'{"token": "\ud800-half-of-a-surrogate-pair"}',
        headers={"Content-Type": "application/json"},
    )
    assert error(answer) == (401, "bad_token")


async def test_another_sites_page_can_neither_log_in_nor_out(gate: Gate) -> None:
    evil = {"Origin": "https://evil.example"}
    path = "/api/v1/session"
    answer = await gate.http.post(path, json={"token": NORTH_TOKEN}, headers=evil)
    assert error(answer) == (403, "other_origin")
    answer = await gate.http.post(path, data={"token": NORTH_TOKEN})
    assert error(answer) == (415, "unsupported_media_type")
    assert error(await gate.http.delete(path, headers=evil)) == (403, "other_origin")
    answer = await gate.get("/api/v1/devices", NORTH_TOKEN, **evil)
    assert "access-control-allow-origin" not in answer.headers
    for body in (b"{", b"[]", b'{"token": 5}', b"x" * 9000):
        answer = await gate.http.post(
            path, content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in {400, 413}


async def test_a_changed_token_file_counts_at_once_and_a_broken_one_changes_nothing(
    gate: Gate,
) -> None:
    async with sse(gate.process.url, token=NORTH_TOKEN) as client:
        await client.until("snapshot-end")
        gate.tokens.write_text('{"tokens": [{"name": "x"}]}', encoding="utf-8")
        await eventually(
            gate.process.log_text, lambda log: "the token file is wrong" in log, what="report"
        )
        assert (await gate.get("/api/v1/session", NORTH_TOKEN)).status_code == 200
        write_tokens(gate.tokens, {**north_entry(), "token": "another-token-for-north"})
        bye = (await client.until("bye", 15))[-1]
        assert bye.data == {"reason": "revoked"}
    assert error(await gate.get("/api/v1/session", NORTH_TOKEN)) == (401, "bad_token")
    assert (await gate.get("/api/v1/session", "another-token-for-north")).status_code == 200


async def test_every_answer_has_security_headers_and_files_have_etags(gate: Gate) -> None:
    page = await gate.get("/")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in page.text
    assert " style=" not in page.text
    assert " on" + "click" not in page.text
    for path in ("/", "/app.js", "/api/v1/tenants", "/nothing"):
        answer = await gate.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-security-policy"] == policy
    script = await gate.get("/app.js")
    assert script.headers["content-type"].startswith("text/javascript")
    again = await gate.get("/app.js", **{"If-None-Match": script.headers["etag"]})
    assert again.status_code == 304
    assert not again.content
    assert error(await gate.get("/../settings.py")) == (404, "not_found")
    assert (await gate.get("/api/v1/tenants", NOC_TOKEN)).headers["cache-control"] == "no-store"


async def test_allowed_origins_may_read_with_a_token_and_no_cookie(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    origin = "https://wall.example"
    settings = {"ALLOWED_ORIGINS": json.dumps([origin])}
    async with (
        running_gateway(nats_server, tmp_path / "gateway", **settings) as process,
        httpx.AsyncClient(base_url=process.url) as http,
    ):
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        preflight = await http.options("/api/v1/devices", headers=asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == origin
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in preflight.headers
        other = await http.get("/api/v1/devices", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        # Open on loopback: a name of someone else's that points here is turned away.
        rebound = await http.get("/api/v1/devices", headers={"Host": "evil.example"})
        assert error(rebound) == (421, "unknown_host")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"HOST": "0.0.0.0"}, "FLEET_GATEWAY__AUTH__MODE"),  # noqa: S104 - refused is the point
        ({"AUTH__MODE": "token"}, "FLEET_GATEWAY__AUTH__TOKENS_FILE"),
        ({"AUTH__MODE": "token", "AUTH__TOKENS_FILE": "/nowhere/tokens"}, "/nowhere/tokens"),
        ({"AUTH__MODE": "maybe"}, "FLEET_GATEWAY__AUTH__MODE"),
        ({"TENANTS": '["Not A Label"]'}, "FLEET_GATEWAY__TENANTS"),
        ({"PAGE_DIRECTORY": "/nowhere"}, "FLEET_GATEWAY__PAGE_DIRECTORY"),
    ],
)
async def test_settings_that_cannot_be_are_refused_by_name(
    nats_server: NatsServer, tmp_path: Path, settings: dict[str, str], says: str
) -> None:
    gateway = gateway_process(nats_server, tmp_path / "gateway", settings).start()
    assert await gateway.exit_code(15) == 2
    assert says in gateway.log_text()
