"""What the cluster looked like when a step failed."""

import sys

from e2e.commands import run
from e2e.options import Options

_STATUSES = '{range .items[*]}{.metadata.name} {.status}{"\\n"}{end}'


def show(options: Options) -> None:
    """Pods, events, statuses of the fleets and the ends of all logs, on standard error."""
    for namespace in options.namespaces:
        _show("get", "pods,statefulsets,pvc", "-o", "wide", namespace=namespace)
        _show("get", "events", "--sort-by=.lastTimestamp", namespace=namespace, lines=60)
    for namespace in options.namespaces[:3]:
        _show("get", "routerfleets", "-o", f"jsonpath={_STATUSES}", namespace=namespace)
        _show("describe", "pods", namespace=namespace, lines=400, only_unready=True)
        _show(
            "logs",
            "-l",
            "app.kubernetes.io/part-of=routerfleet",
            "--all-containers",
            "--prefix",
            "--tail=40",
            "--max-log-requests=60",
            "--ignore-errors",
            namespace=namespace,
        )


def _show(*arguments: str, namespace: str, lines: int = 200, only_unready: bool = False) -> None:
    """Print the output of a kubectl command; its own failure is shown, not raised."""
    if only_unready:
        found = run(("kubectl", "-n", namespace, "get", "pods", "--no-headers"), check=False)
        unready = [
            line.split()[0]
            for line in found.stdout.splitlines()
            if len(line.split()) > 1 and len(set(line.split()[1].split("/"))) != 1
        ]
        if not unready:
            return
        arguments = (*arguments, *unready)
    done = run(("kubectl", "-n", namespace, *arguments), check=False)
    shown = (done.stdout + done.stderr).splitlines()[-lines:]
    text = "\n".join(shown)
    sys.stderr.write(f"\n--- kubectl -n {namespace} {' '.join(arguments)}\n{text}\n")
