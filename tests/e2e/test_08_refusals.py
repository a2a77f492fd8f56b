"""What cannot be right is refused with words, or told in a condition and mended by itself."""

from e2e import readings
from e2e.commands import Document, apply, kubectl, patch, refusal
from e2e.expectations import wait_for_condition
from e2e.site import GROWN, Site


def test_an_invalid_fleet_is_refused_with_the_reason(site: Site) -> None:
    namespace = site.options.site_a
    good = site.fleet("north", 1)

    def refused(**spec: object) -> str:
        document = {**good, "metadata": {"name": "wrong"}, "spec": {**good["spec"], **spec}}
        return refusal(document, namespace)

    assert "min must not be above max" in refused(shards={"min": 3, "max": 2})
    assert "mode pinned needs fingerprintSha256" in refused(tls={"mode": "pinned"})
    assert 'unknown field "spec.cadense"' in refused(cadense={"interval": "5s"})
    twice = [good["spec"]["devices"][0]] * 2
    assert "Duplicate value" in refused(devices=twice)


def test_a_missing_secret_is_told_and_mended(site: Site) -> None:
    namespace = site.namespace_of("south")
    secrets = [one for one in site.manifests["south"] if one["kind"] == "Secret"]
    name = secrets[0]["metadata"]["name"]
    kubectl("-n", namespace, "delete", "secret", name)
    found, _ = wait_for_condition(site, "south", "CredentialsValid", "False", seconds=90)
    assert name in found["message"]
    apply(secrets, namespace)
    wait_for_condition(site, "south", "CredentialsValid", seconds=90)


def test_a_bad_row_is_named_and_the_others_are_polled(site: Site) -> None:
    good = site.devices("east", GROWN["east"])
    bad: Document = {"name": "Not A Name", "address": "192.0.2.1"}
    site.apply_device_map([*good[:5], bad, *good[5:]])
    found, _ = wait_for_condition(site, "east", "InventoryValid", "False", seconds=60)
    assert "Not A Name" in found["message"]
    readings.wait_for_fresh(site, GROWN, seconds=60, what="all valid devices polled")
    site.apply_device_map(good)
    wait_for_condition(site, "east", "InventoryValid", seconds=60)


def test_a_second_fleet_of_the_same_name_is_told_and_left_alone(site: Site) -> None:
    namespace = site.options.site_b
    apply([*site.manifests["north"][:-1], site.fleet("north", 1)], namespace)
    kubectl(
        "-n", namespace, "wait", "routerfleet/north", "--for=condition=TenantConflict",
        "--timeout=60s", seconds=70,
    )  # fmt: skip
    assert not kubectl("-n", namespace, "get", "statefulset", "-o", "name").count("north")
    kubectl("-n", namespace, "delete", "routerfleet/north", "--timeout=60s", seconds=70)
    readings.wait_for_fresh(site, GROWN, seconds=60, what="the older fleet goes on")


def test_an_immutable_field_is_refused(site: Site) -> None:
    try:
        patch(
            "routerfleet",
            "north",
            site.namespace_of("north"),
            {"spec": {"events": {"storage": "memory"}}},
        )
    except AssertionError as error:
        assert "storage of a live stream cannot be changed" in str(error)  # noqa: PT017 - its text
    else:
        raise AssertionError("the storage of a live stream was changed")
