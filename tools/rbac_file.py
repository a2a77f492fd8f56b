"""charts/routerfleet/files/operator-rules.yaml: the operator's rights, from fleet_operator.rbac."""

from pathlib import Path
from typing import Final

from fleet_operator.rbac import RULES
from pages import page_command, write_page

PAGE: Final = (
    Path(__file__).resolve().parent.parent / "charts/routerfleet/files/operator-rules.yaml"
)


def render() -> str:
    """The whole file."""
    lines = ["# Made from fleet_operator/rbac.py by tools/rbac_file.py (`make generate`)."]
    for rule in RULES:
        group = rule.group or '""'
        lines += [
            f"# {rule.purpose}",
            f"- apiGroups: [{group}]",
            f"  resources: [{rule.resource}]",
            f"  verbs: [{', '.join(rule.verbs)}]",
        ]
    return "\n".join(lines) + "\n"


def write() -> None:
    """Write the file."""
    write_page(PAGE, render())


if __name__ == "__main__":
    page_command(PAGE, render)
