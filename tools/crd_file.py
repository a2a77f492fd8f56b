"""charts/routerfleet/crds/routerfleets.yaml: the custom resource definition, from the models."""

from pathlib import Path
from typing import Final

import yaml

from fleet_operator.crd import definition
from pages import page_command, write_page

_ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = _ROOT / "charts/routerfleet/crds/routerfleets.yaml"
_HEADER: Final = "# Made by tools/crd_file.py (`make generate`) from the models. Do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """Every part in full: anchors are for machines."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def render() -> str:
    """The whole file."""
    return _HEADER + yaml.dump(
        definition(), Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True
    )


def write() -> None:
    """Write the file."""
    write_page(PAGE, render())


if __name__ == "__main__":
    page_command(PAGE, render)
