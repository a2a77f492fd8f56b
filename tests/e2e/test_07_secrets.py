"""Passwords that change: in the right order nobody notices, in the wrong one it is told."""

import time
from typing import Any

import httpx
import pytest

from e2e import readings
from e2e.commands import Document, apply, get_all, kubectl, wait_until
from e2e.expectations import wait_for_condition
from e2e.site import GROWN, Site
from fleet_operator.workloads import SECRETS_DIRECTORY, selector

_MOUNTED_SECONDS = 60.0
_RECOVERY_SECONDS = 30.0


@pytest.mark.timeout(300)
def test_a_renewed_password_reaches_the_pods_and_no_device_goes_down(site: Site) -> None:
    secret, old = _login(site, "north")
    new = {**old, "password": "renewed"}
    pods = _pods(site, "north")
    with site.simulator() as simulator, site.broker() as broker:
        first = readings.last_sequence(broker, "north") + 1
        _let_in(simulator, "north", old, new)
        began = time.monotonic()
        apply([{**secret, "stringData": new}], site.namespace_of("north"))
        for pod in pods:
            wait_until(
                lambda pod=pod: _mounted(site, "north", pod, secret),
                lambda text: text == new["password"],
                seconds=_MOUNTED_SECONDS,
                what=f"the new password in {pod}",
            )
        site.note("secret_applied_to_mounted_seconds", time.monotonic() - began)
        before = _ledger(simulator, "north")
        _let_in(simulator, "north", new, hang_up=True)
        readings.wait_for_fresh(site, GROWN, seconds=60, what="all devices with the new password")
        after = _ledger(simulator, "north")
        down = readings.failed_polls(broker, "north", first)
        # Back, for whatever goes on with this site.
        _let_in(simulator, "north", old, new)
        apply([secret], site.namespace_of("north"))
    logins, refused = after["logins"] - before["logins"], after["refused"] - before["refused"]
    site.note("secret_rotation_logins_per_device", logins / GROWN["north"])
    site.note("secret_rotation_logins_refused", refused)
    site.note("secret_rotation_polls_failed", len(down))
    assert refused == 0
    assert logins <= GROWN["north"] * 1.1
    assert down == []
    assert _pods(site, "north") == pods, "no pod was replaced or restarted"


@pytest.mark.timeout(300)
def test_a_wrong_password_is_told_tried_once_and_mended(site: Site) -> None:
    secret, right = _login(site, "east")
    wrong = {**right, "password": "wrong"}
    namespace = site.namespace_of("east")
    with site.simulator() as simulator:
        before = _ledger(simulator, "east")
        apply([{**secret, "stringData": wrong}], namespace)
        (pod,) = _pods(site, "east")
        wait_until(
            lambda: _mounted(site, "east", pod, secret),
            lambda text: text == wrong["password"],
            seconds=_MOUNTED_SECONDS,
            what="the wrong password in the pod",
        )
        _let_in(simulator, "east", right, hang_up=True)
        told, took = wait_for_condition(site, "east", "CredentialsValid", "False", seconds=60)
        site.note("wrong_password_to_condition_seconds", took)
        assert told["reason"] == "LoginRejected"
        assert secret["metadata"]["name"] in told["message"]
        wait_until(
            lambda: _ledger(simulator, "east")["refused"] - before["refused"],
            lambda refused: refused >= GROWN["east"],
            seconds=60,
            what="every device has refused the password",
        )
        refused = _ledger(simulator, "east")["refused"] - before["refused"]
        apply([secret], namespace)
        began = time.monotonic()
        wait_for_condition(site, "east", "CredentialsValid", seconds=_RECOVERY_SECONDS)
        readings.wait_for_fresh(site, GROWN, seconds=60, what="all devices are back")
        site.note("password_mended_to_all_devices_seconds", time.monotonic() - began)
        after = _ledger(simulator, "east")
    site.note("wrong_password_logins_refused_per_device", refused / GROWN["east"])
    assert refused <= GROWN["east"] * 1.1, "a wrong password is not tried again and again"
    assert after["logins"] - before["logins"] <= GROWN["east"] * 1.1


def _login(site: Site, tenant: str) -> tuple[Document, dict[str, str]]:
    """The tenant's Secret, and the user in it."""
    (secret,) = [one for one in site.manifests[tenant] if one["kind"] == "Secret"]
    return secret, dict(secret["stringData"])


def _let_in(
    simulator: httpx.Client, tenant: str, *users: dict[str, str], hang_up: bool = False
) -> None:
    simulator.put(f"/users/{tenant}", json={"users": users, "hang_up": hang_up})


def _ledger(simulator: httpx.Client, tenant: str) -> dict[str, int]:
    devices: dict[str, dict[str, Any]] = simulator.get("/ledger").json()["devices"]
    own = [one for name, one in devices.items() if name.startswith(f"{tenant}/")]
    return {
        "logins": sum(one["logins"] for one in own),
        "refused": sum(one["logins_refused"] for one in own),
    }


def _pods(site: Site, tenant: str) -> dict[str, tuple[str, int]]:
    """By name of a pod its uid and how often its container was restarted."""
    labels = ",".join(f"{name}={value}" for name, value in selector(tenant).items())
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["uid"],
            pod["status"]["containerStatuses"][0]["restartCount"],
        )
        for pod in get_all("pods", site.namespace_of(tenant), labels)
    }


def _mounted(site: Site, tenant: str, pod: str, secret: Document) -> str:
    file = f"{SECRETS_DIRECTORY}/{secret['metadata']['name']}/password"
    return kubectl("-n", site.namespace_of(tenant), "exec", pod, "--", "cat", file).strip()
