"""The images and the release."""

from e2e.commands import get_all, kubectl, run
from e2e.images import services
from e2e.site import RELEASE, Site

_MAX_MEGABYTES_OVER_BASE = 90.0
_RUNNING = ("operator", "writer", "firmware", "gateway", "simulator")


def test_an_image_adds_at_most_90_mb_and_holds_no_build_tools(site: Site) -> None:
    """The Dockerfile adds one folder and a passwd entry to its base."""
    script = (
        "import pathlib, shutil, sys, os; "
        "print(sum(f.lstat().st_size for f in pathlib.Path('/opt/routerfleet').rglob('*'))); "
        "print(*[t for t in ('gcc', 'cc', 'make', 'git') if shutil.which(t)], "
        "*[p.name for p in pathlib.Path('/opt/routerfleet').glob('lib/*/site-packages/pip')]); "
        "print(os.getuid(), *sys.version_info[:2])"
    )
    for component in _RUNNING:
        said = kubectl(
            "-n", site.options.system, "exec", f"deploy/{RELEASE}-{component}", "--",
            "python", "-c", script,
        )  # fmt: skip
        size, tools, identity = said.split("\n")[:3]
        megabytes = int(size) / 1e6
        site.note(f"image_{component}_mb_over_base", megabytes)
        assert megabytes <= _MAX_MEGABYTES_OVER_BASE
        assert not tools.strip(), f"{component} holds {tools}"
        assert identity == "10001 3 13"


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
