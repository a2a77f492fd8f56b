"""The images and the release."""

from e2e.commands import get_all, run
from e2e.image_check import check_image
from e2e.images import services
from e2e.site import RELEASE, Site

_RUNNING = ("operator", "writer", "firmware", "gateway", "simulator")


def test_an_image_adds_at_most_90_mb_and_holds_no_build_tools(site: Site) -> None:
    for component in _RUNNING:
        check_image(site, component, site.options.system, f"deploy/{RELEASE}-{component}")


def test_all_services_have_an_image_of_skaffold_yaml() -> None:
    assert services() == {f"routerfleet-{name}": name for name in (*_RUNNING, "poller")}


def test_helm_test_passes(site: Site) -> None:
    run(
        ("helm", "test", RELEASE, "-n", site.options.system, "--timeout", "120s"),
        seconds=130,
    )


def test_every_pod_runs_restricted(site: Site) -> None:
    """The namespace takes the strictest of Kubernetes' pod security levels."""
    said = run(
        (
            "kubectl", "label", "--dry-run=server", "--overwrite", "namespace",
            site.options.system, "pod-security.kubernetes.io/enforce=restricted",
        )
    )  # fmt: skip
    assert "Warning" not in said.stderr, said.stderr
    pods = get_all("pods", site.options.system)
    for pod in pods:
        for container in pod["spec"]["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, pod["metadata"]["name"]


def test_no_container_needed_a_second_start(site: Site) -> None:
    """Services wait for NATS and PostgreSQL, they do not end when those come up later."""
    pods = get_all("pods", site.options.system, "app.kubernetes.io/part-of=routerfleet")
    restarted = {
        pod["metadata"]["name"]: status["restartCount"]
        for pod in pods
        for status in pod["status"].get("containerStatuses", [])
        if status["restartCount"]
    }
    assert not restarted
