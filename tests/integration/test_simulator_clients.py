"""Clients that are not ours speak to every kind of simulated device."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Generator
from typing import Any

import librouteros  # pyright: ignore[reportMissingTypeStubs] - ships none
import pytest
import routeros_api  # pyright: ignore[reportMissingTypeStubs] - ships none
from librouteros.exceptions import ConnectionClosed, FatalError, TrapError  # pyright: ignore[reportMissingTypeStubs] - ships none
from librouteros.login import async_token, plain, token  # pyright: ignore[reportMissingTypeStubs] - ships none
from librouteros.query import Key, Or  # pyright: ignore[reportMissingTypeStubs] - ships none
from routeros_api.exceptions import RouterOsApiCommunicationError  # pyright: ignore[reportMissingTypeStubs] - ships none

from fleet_simulator.certificates import anonymous_context
from fleet_simulator.device import TlsMode
from fleet_simulator.faults import Fault, FaultRule
from fleet_simulator.server import Endpoint, Place, running_simulator
from fleet_simulator.world import PERSONALITIES, build_router
from support.ports import free_port
from support.routers import fixed_router
from support.simulator import simulate

Rows = list[dict[str, Any]]


def _connect(endpoint: Endpoint, **more: Any) -> Any:  # noqa: ANN401 - an untyped library
    return librouteros.connect(
        endpoint.address, endpoint.username, endpoint.password, port=endpoint.port, **more
    )


@contextlib.contextmanager
def _pool(endpoint: Endpoint, **more: Any) -> Generator[Any]:  # noqa: ANN401 - as above
    pool = routeros_api.RouterOsApiPool(
        endpoint.address, endpoint.username, endpoint.password, endpoint.port, **more
    )
    try:
        yield pool.get_api()
    finally:
        pool.disconnect()


async def in_thread[ResultT](work: Callable[[], ResultT]) -> ResultT:
    async with asyncio.timeout(30):
        return await asyncio.to_thread(work)


@pytest.mark.parametrize("personality", sorted(PERSONALITIES))
async def test_librouteros_reads_every_personality(personality: str) -> None:
    router = build_router(7, "r", personality=personality, interfaces=None, started=time.time())

    def read(endpoint: Endpoint) -> tuple[Rows, Rows, Rows]:
        method = token if router.version < (6, 43, 0) else plain
        api = _connect(endpoint, encoding="latin-1", login_method=method)
        try:
            return (
                list(api.path("/system/resource")),
                list(api.path("/interface")),
                list(api.path("/interface").select(Key("name")).where(Key("running") == True)),  # noqa: E712
            )
        finally:
            api.close()

    async with simulate(router) as sim:
        resource, interfaces, running = await in_thread(lambda: read(sim.endpoint("r")))

    version = ".".join(map(str, router.version)).removesuffix(".0")
    assert str(resource[0]["version"]).startswith(version)
    assert interfaces
    names = {row["name"] for row in interfaces if row["running"] is True}
    assert {row["name"] for row in running} == names
    assert all(row["rx-byte"] >= 0 for row in interfaces)


async def test_librouteros_async_with_queries_writes_and_traps() -> None:
    async with simulate(fixed_router("r")) as sim:
        endpoint = sim.endpoint("r")
        api = await librouteros.async_connect(
            endpoint.address, endpoint.username, endpoint.password, port=endpoint.port
        )
        name, mtu = Key("name"), Key("mtu")
        either = api.path("/interface").select(name).where(Or(name == "ether1", name == "ether3"))
        inside = (
            api.path("/interface")
            .select(name)
            .where(
                name.In("ether2", "ether4")  # pyright: ignore[reportUnknownMemberType] - untyped
            )
        )
        unequal = api.path("/interface").select(name, mtu).where(name != "ether1")
        assert [row["name"] async for row in either] == ["ether1", "ether3"]
        assert [row["name"] async for row in inside] == ["ether2", "ether4"]
        assert len([row async for row in unequal]) == 9
        addresses = api.path("/ip/address")
        new = await addresses.add(address="198.51.100.9/32", interface="ether5")
        await addresses.update(**{".id": new, "comment": "x"})
        assert [row["comment"] async for row in addresses if row[".id"] == new] == ["x"]
        await addresses.remove(new)
        with pytest.raises(TrapError, match="no such item"):
            await addresses.remove(new)
        with pytest.raises(TrapError, match="no such command prefix"):
            assert [row async for row in api.path("/interface/wireless")]
        assert [row async for row in api.path("/interface/wifi/registration-table")] == []
        await api.close()


async def test_librouteros_token_login_async() -> None:
    async with simulate(fixed_router("old", version=(6, 40, 9))) as sim:
        endpoint = sim.endpoint("old")
        api = await librouteros.async_connect(
            endpoint.address,
            endpoint.username,
            endpoint.password,
            port=endpoint.port,
            login_method=async_token,
        )
        assert [row["name"] async for row in api.path("/system/identity")] == ["old"]
        await api.close()


async def test_librouteros_over_anonymous_tls() -> None:
    def read(endpoint: Endpoint) -> Rows:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ADH:@SECLEVEL=0")
        api = _connect(endpoint, ssl_wrapper=context.wrap_socket)
        try:
            return list(api.path("/interface"))
        finally:
            api.close()

    place = Place("127.0.0.1", free_port(), TlsMode.ANONYMOUS, anonymous_context())
    async with running_simulator([fixed_router("r")], [place]) as sim:
        assert len(await in_thread(lambda: read(sim.endpoint("r")))) == 10


async def test_librouteros_sees_fatal_and_cut_connections_as_such() -> None:
    def read(endpoint: Endpoint) -> str:
        api = _connect(endpoint)
        try:
            list(api.path("/interface"))
        except (FatalError, ConnectionClosed) as error:
            return type(error).__name__
        finally:
            api.close()
        return "no error"

    async with simulate(fixed_router("r")) as sim:
        sim.faults.replace([FaultRule(Fault.FATAL)])
        assert await in_thread(lambda: read(sim.endpoint("r"))) == "FatalError"
        sim.faults.replace([FaultRule(Fault.CUT)])
        assert await in_thread(lambda: read(sim.endpoint("r"))) == "ConnectionClosed"


@pytest.mark.parametrize("version", [(6, 40, 9), (6, 49, 10), (7, 17, 2), (7, 20, 1)])
async def test_routeros_api_reads_and_writes(version: tuple[int, int, int]) -> None:
    def use(endpoint: Endpoint) -> tuple[Rows, Rows, str, str]:
        with _pool(endpoint, plaintext_login=True) as api:
            interfaces = api.get_resource("/interface")
            addresses = api.get_resource("/ip/address")
            added = addresses.add(address="198.51.100.7/32", interface="ether2")
            new = added.done_message["ret"]
            addresses.set(id=new, comment="lab")
            chosen = addresses.get(comment="lab")
            addresses.remove(id=new)
            try:
                addresses.remove(id=new)
            except RouterOsApiCommunicationError as error:
                refusal = str(error)
            else:
                refusal = "none"
            count = interfaces.call("print", {"count-only": None}).done_message["ret"]
            return interfaces.get(), chosen, refusal, count

    async with simulate(fixed_router("r", version=version)) as sim:
        rows, chosen, refusal, count = await in_thread(lambda: use(sim.endpoint("r")))

    assert [row["name"] for row in rows] == [f"ether{number}" for number in range(1, 11)]
    assert [row["address"] for row in chosen] == ["198.51.100.7/32"]
    assert "no such item" in refusal
    assert count == "10"


async def test_routeros_api_sends_commands_side_by_side() -> None:
    def use(endpoint: Endpoint) -> list[int]:
        with _pool(endpoint, plaintext_login=True) as api:
            paths = ["/interface", "/system/identity", "/interface", "/system/health"]
            promises = [api.get_resource(path).get_async() for path in paths]
            return [len(promise.get()) for promise in reversed(promises)]

    async with simulate(fixed_router("r")) as sim:
        assert await in_thread(lambda: use(sim.endpoint("r"))) == [2, 10, 1, 10]
