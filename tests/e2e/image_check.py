"""What an image consists of, seen from inside a container of it."""

from e2e.commands import kubectl
from e2e.site import Site

_MAX_MEGABYTES_OVER_BASE = 90.0
_LOOK = """
import os, pathlib, shutil, sys
own = pathlib.Path("/opt/routerfleet")
print(sum(file.lstat().st_size for file in own.rglob("*")))
print(*filter(shutil.which, ("gcc", "cc", "make", "git")), *own.glob("lib/*/site-packages/pip"))
print(os.getuid(), *sys.version_info[:2])
"""


def check_image(site: Site, service: str, namespace: str, target: str) -> None:
    """At most 90 MB over its base, no build tools, not root, Python 3.13: seen in a container.

    The Dockerfile adds one folder and a passwd entry to its base.
    """
    said = kubectl("-n", namespace, "exec", target, "--", "python", "-c", _LOOK)
    size, tools, identity = said.split("\n")[:3]
    megabytes = int(size) / 1e6
    site.note(f"image_{service}_mb_over_base", megabytes)
    assert megabytes <= _MAX_MEGABYTES_OVER_BASE
    assert not tools.strip(), f"{service} holds {tools}"
    assert identity == "10001 3 13"
