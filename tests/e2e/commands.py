"""kubectl, helm and image commands, each with a deadline; a failure shows what was said."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from e2e.options import ROOT

type Document = dict[str, Any]


class CommandError(AssertionError):
    """A command that ended badly; the message has its whole output."""


def run(
    arguments: Sequence[str],
    *,
    seconds: float = 60.0,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    check: bool = True,
    directory: Path = ROOT,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; raises CommandError on another exit code than 0."""
    shown = " ".join(arguments)
    try:
        done = subprocess.run(  # noqa: S603 - the suite's own commands
            list(arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=None if environment is None else dict(environment),
            check=False,
            cwd=directory,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{shown}: not done within {seconds:g} s") from error
    if check and done.returncode != 0:
        raise CommandError(f"{shown}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def kubectl(*arguments: str, seconds: float = 60.0, stdin: str | None = None) -> str:
    """What kubectl wrote on standard output."""
    return run(("kubectl", *arguments), seconds=seconds, stdin=stdin).stdout


def get(kind: str, name: str, namespace: str) -> Document:
    """One object; CommandError when it is not there."""
    return json.loads(kubectl("-n", namespace, "get", kind, name, "-o", "json"))


def find(kind: str, name: str, namespace: str) -> Document | None:
    """One object, or None when it is not there."""
    text = kubectl("-n", namespace, "get", kind, name, "-o", "json", "--ignore-not-found")
    return json.loads(text) if text.strip() else None


def get_all(kinds: str, namespace: str, selector: str = "") -> list[Document]:
    """All objects of some kinds, comma separated."""
    options = ("-l", selector) if selector else ()
    return json.loads(kubectl("-n", namespace, "get", kinds, "-o", "json", *options))["items"]


def apply(documents: Sequence[Document], namespace: str, seconds: float = 60.0) -> None:
    """`kubectl apply` of some documents."""
    kubectl(
        "-n", namespace, "apply", "-f", "-", stdin=yaml.safe_dump_all(documents), seconds=seconds
    )


def refusal(document: Document, namespace: str) -> str:
    """What `kubectl apply` says of a document that must be refused."""
    done = run(
        ("kubectl", "-n", namespace, "apply", "-f", "-"),
        stdin=yaml.safe_dump(document),
        check=False,
    )
    if done.returncode == 0:
        raise CommandError(f"was accepted: {document}")
    return done.stderr


def patch(kind: str, name: str, namespace: str, change: Document) -> None:
    """A merge patch, as a person's `kubectl edit` would send it."""
    kubectl("-n", namespace, "patch", kind, name, "--type=merge", "-p", json.dumps(change))


def wait_until[ValueT](
    read: Callable[[], ValueT],
    holds: Callable[[ValueT], bool],
    *,
    seconds: float,
    what: str,
    every_seconds: float = 0.5,
) -> tuple[ValueT, float]:
    """The value that holds and the seconds it took; fails with the value seen last."""
    began = time.monotonic()
    while True:
        value = read()
        waited = time.monotonic() - began
        if holds(value):
            return value, waited
        if waited > seconds:
            raise AssertionError(f"{what}: not within {seconds:g} s; last seen: {value!r}"[:4000])
        time.sleep(every_seconds)
